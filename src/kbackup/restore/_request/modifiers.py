"""What the user's resource modifiers make of an item. Pure.

Every rule that is for an item is applied, in order; which are, its content before the
first of them tells. A rule whose test does not hold is not applied. One that does not
fit is not applied either, and that is an error of the item, which is restored without.

Source: Velero, "Restore Resource Modifiers".
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import msgspec

from kbackup._kits.patches import JSONPatchTestError
from kbackup.models import GroupResource, ResourceIdentifier
from kbackup.plugins.engine import is_object
from kbackup.restore._request.modifier_rules import Rule

_IDENTITY = ("apiVersion", "kind")
_NOT_OF_MODIFIERS = "no modifier can change that"
_encode_sorted = msgspec.json.Encoder(order="sorted").encode


class Modified(msgspec.Struct, frozen=True):
    """What the rules made of an item.

    Attributes:
        content: The item.
        rules: The numbers of the rules that are for it, applied or not.
        changed_by: Those that changed it, by name.
        errors: Why others were not applied.
    """

    content: dict[str, Any]
    rules: tuple[int, ...] = ()
    changed_by: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()

    def __repr__(self) -> str:  # never the body: it may be a Secret
        return f"Modified(rules={self.rules})"


class Modifiers:
    """The rules of one restore; may be asked from any thread."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple(rules)
        self._by_type: dict[GroupResource, tuple[Rule, ...]] = {}

    @property
    def names(self) -> frozenset[str]:
        """How the rules are called where a plan says who changed an item."""
        return frozenset(rule_name(rule.number) for rule in self._rules)

    def modify(self, content: dict[str, Any], ref: ResourceIdentifier) -> Modified:
        """Return what the rules make of an item, which is left as it is.

        Args:
            content: Reset, acted upon and in its place.
            ref: The item in the backup, which is where the rules look for it.
        """
        rules = self._for_type(ref.group_resource)
        if not rules:
            return Modified(content)
        place = content["metadata"].get("namespace")
        seen = _placed(content, ref.namespace) if place else content
        met = [rule for rule in rules if rule.wants(ref, seen)]
        if not met:
            return Modified(content)
        current, changed_by, errors = seen, [], []
        for rule in met:
            try:
                changed = _patched(rule, current, ref)
            except JSONPatchTestError:
                continue
            except ValueError as exc:
                errors.append(f"{rule_name(rule.number)} is not applied: {exc}")
                continue
            if _encode_sorted(changed) != _encode_sorted(current):
                changed_by.append(rule_name(rule.number))
                current = changed
        return Modified(
            content=_placed(current, place) if place else current,
            rules=tuple(rule.number for rule in met),
            changed_by=tuple(changed_by),
            errors=tuple(errors),
        )

    def unmet(self, met: AbstractSet[int]) -> list[str]:
        """Say which rules no item was for, which is hardly meant."""
        return [
            f"{rule_name(rule.number)}, for {rule.about}, matches no item of this restore"
            for rule in self._rules
            if rule.number not in met
        ]

    def _for_type(self, resource: GroupResource) -> tuple[Rule, ...]:
        found = self._by_type.get(resource)
        if found is None:
            name = str(resource)
            found = tuple(rule for rule in self._rules if rule.types.fullmatch(name))
            self._by_type[resource] = found
        return found


def rule_name(number: int) -> str:
    """How a rule is called in a plan and in errors."""
    return f"resource modifier rule {number}"


def _placed(content: dict[str, Any], namespace: str) -> dict[str, Any]:
    """The item in another namespace."""
    return {**content, "metadata": {**content["metadata"], "namespace": namespace}}


def _patched(rule: Rule, content: dict[str, Any], ref: ResourceIdentifier) -> Any:
    """Apply one rule, all of it or nothing.

    Raises:
        ValueError: It does not fit; the text quotes no value of the item.
    """
    changed: Any = content
    for patch in rule.patches:
        try:
            changed = patch(changed, ref)
        except (
            TypeError,
            AttributeError,
            LookupError,
        ) as exc:  # of a directive that is none
            raise ValueError("the patch does not fit what is there") from exc
    if not is_object(changed) or not all(map(_may_be_labels, _tags(changed))):
        raise ValueError("what it makes is no Kubernetes object")
    for key in _IDENTITY:
        if changed[key] != content[key]:
            raise ValueError(f"it changes {key}; {_NOT_OF_MODIFIERS}")
    if changed["metadata"].get("namespace") != content["metadata"].get("namespace"):
        raise ValueError(
            f"it changes the namespace; {_NOT_OF_MODIFIERS}, namespaceMapping does"
        )
    return changed


def _tags(content: Mapping[str, Any]) -> tuple[Any, ...]:
    metadata = content["metadata"]
    return metadata.get("labels"), metadata.get("annotations")


def _may_be_labels(value: Any) -> bool:
    return value is None or isinstance(value, Mapping)
