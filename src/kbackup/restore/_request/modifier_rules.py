"""Resource modifiers, read once: from Velero's text to rules that can be applied.

Pure. All that is wrong with all rules is told at once, by rule number and field, before
anything is planned. What a rule does to an item is in `modifiers`.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar, cast

import attrs
import msgspec

from kbackup._kits.globs import glob_with_groups
from kbackup._kits.kinds import is_built_in
from kbackup._kits.patches import (
    holds,
    json_patch,
    merge_patch,
    pointer_fault,
    strategic_merge,
)
from kbackup.errors import CodecError
from kbackup.models import (
    JSONPatch,
    LabelSelector,
    ModifierConditions,
    PatchData,
    PatchOperation,
    ResourceIdentifier,
    ResourceModifierRule,
    ResourceModifiers,
    load_yaml,
    validate_label_selector,
)

Content = Mapping[str, Any]
Patch = Callable[[Any, ResourceIdentifier], Any]
"""Returns an item changed, another one than it was given.

It raises ValueError where it does not fit: a `JSONPatchTestError` where that is meant.
"""

_T = TypeVar("_T")
_VERSION = "v1"
_KINDS = ("patches", "merge_patches", "strategic_patches")
_MOVING = (PatchOperation.MOVE, PatchOperation.COPY)
_WITH_VALUE = (PatchOperation.ADD, PatchOperation.REPLACE, PatchOperation.TEST)
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


@attrs.frozen(kw_only=True)
class Rule:
    """One rule, ready to be applied.

    Attributes:
        number: From 1, as they are counted in messages.
        about: Which types it is for, as written.
        types: On ``resource.group``.
        name: Found anywhere in the name.
        namespaces: On the namespace in the backup; none: any.
        labels: That an item must have; None: any.
        matches: What an item must have at which path.
        patches: What is done, in order.
    """

    number: int
    about: str
    types: re.Pattern[str]
    name: re.Pattern[str]
    namespaces: tuple[re.Pattern[str], ...]
    labels: LabelSelector | None
    matches: tuple[tuple[str, Any], ...]
    patches: tuple[Patch, ...]

    def wants(self, ref: ResourceIdentifier, content: Content) -> bool:
        """Whether the rule is for an item; of its type `types` tells.

        Args:
            ref: The item in the backup.
            content: As it is before any rule has changed it.
        """
        labels = content["metadata"].get("labels") or {}
        return (
            self._wants_namespace(ref.namespace)
            and self.name.search(ref.name) is not None
            and (self.labels is None or self.labels.matches(labels))
            and all(holds(content, path, value) for path, value in self.matches)
        )

    def _wants_namespace(self, name: str) -> bool:
        """Whether a namespace is meant; what is in none is, whatever the rule says."""
        if not name or not self.namespaces:
            return True
        return any(each.fullmatch(name) for each in self.namespaces)


def read_rules(modifiers: ResourceModifiers) -> tuple[tuple[Rule, ...], list[str]]:
    """Return the rules, and a sentence for all that is wrong with any of them.

    Where something is wrong the rules are not to be used.
    """
    broken: list[str] = []
    if modifiers.version.lower() != _VERSION:
        broken.append(
            f"resource modifiers: version {modifiers.version!r} is not {_VERSION}"
        )
    if not modifiers.resource_modifier_rules:
        broken.append("resource modifiers: there is no rule")
    rules = tuple(
        _Reader(number, broken).rule(rule)
        for number, rule in enumerate(modifiers.resource_modifier_rules, 1)
    )
    return rules, broken


class _Reader:
    """Reads one rule and notes what is wrong with it."""

    def __init__(self, number: int, broken: list[str]) -> None:
        self._number = number
        self._broken = broken

    def rule(self, rule: ResourceModifierRule) -> Rule:
        """Read the rule."""
        conditions = rule.conditions
        if conditions.label_selector is not None:
            for fact in validate_label_selector(conditions.label_selector):
                self._note("conditions.labelSelector", fact)
        return Rule(
            number=self._number,
            about=conditions.group_resource,
            types=self._tried("conditions.groupResource", _types_of, conditions),
            name=self._tried("conditions.resourceNameRegex", _name_of, conditions),
            namespaces=tuple(
                self._tried(f"conditions.namespaces[{i}]", glob_with_groups, text)
                for i, text in enumerate(conditions.namespaces)
            ),
            labels=conditions.label_selector,
            matches=tuple(self._matches(conditions)),
            patches=tuple(self._patches(rule)),
        )

    def _matches(self, conditions: ModifierConditions) -> Iterator[tuple[str, Any]]:
        for index, match in enumerate(conditions.matches):
            where = f"conditions.matches[{index}]"
            path = self._tried(f"{where}.path", _pointer, match.path)
            yield path, self._tried(f"{where}.value", patch_value, match.value)

    def _patches(self, rule: ResourceModifierRule) -> Iterator[Patch]:
        given = [kind for kind in _KINDS if getattr(rule, kind)]
        if len(given) != 1:
            found = " and ".join(map(_spelt, given)) or "none"
            names = ", ".join(map(_spelt, _KINDS))
            self._note("", f"it takes one of {names}, and has {found}")
        if rule.patches:
            operations = [
                self._operation(f"patches[{i}]", patch)
                for i, patch in enumerate(rule.patches)
            ]
            yield lambda content, _: json_patch(content, operations)
        for index, data in enumerate(rule.merge_patches):
            yield _merging(self._data(f"mergePatches[{index}]", data))
        for index, data in enumerate(rule.strategic_patches):
            yield _merging_by_keys(self._data(f"strategicPatches[{index}]", data))

    def _operation(self, where: str, patch: JSONPatch) -> dict[str, Any]:
        """Read one operation of a JSON patch."""
        path = self._tried(f"{where}.path", _pointer, patch.path)
        operation = {"op": str(patch.operation), "path": path}
        if patch.operation in _MOVING:
            operation["from"] = self._tried(f"{where}.from", _pointer, patch.from_)
        if patch.operation in _WITH_VALUE:
            value = self._tried(f"{where}.value", patch_value, patch.value)
            operation["value"] = value
        return operation

    def _data(self, where: str, data: PatchData) -> Any:
        return self._tried(f"{where}.patchData", _patch_data, data.patch_data)

    def _tried(self, where: str, read: Callable[[Any], _T], value: Any) -> _T:
        """Read a field; what is wrong with it is noted, and then it is None."""
        try:
            return read(value)
        except ValueError as exc:
            self._note(where, str(exc))
        nothing: _T = cast("Any", None)
        return nothing  # whoever finds a note uses no rule

    def _note(self, where: str, fact: str) -> None:
        place = ": ".join(filter(None, (f"rule {self._number}", where)))
        self._broken.append(f"resource modifier {place}: {fact}")


# --- fields ---------------------------------------------------------------------------


def patch_value(text: str) -> Any:
    """Return what a value of Velero's modifiers means.

    What is a number, a truth, null, an object or a list in JSON is that; in quotes it is
    a text. Anything else is a text, in which JSON's escapes count.

    Raises:
        ValueError: It begins as one of these and is none; no value is quoted.
    """
    quoted = len(text) > 1 and text[0] == text[-1] == '"'
    if quoted:
        return _text(text[1:-1])
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if text == "null":
        return None
    if text.startswith(("{", "[")) or _NUMBER.fullmatch(text):
        return _storable(_json(text))
    return _text(text)


def _text(inner: str) -> Any:
    try:
        return _storable(json.loads(f'"{inner}"', strict=False))
    except json.JSONDecodeError as exc:
        raise ValueError(
            'quotes and backslashes in a text are written as JSON does: \\" and \\\\'
        ) from exc


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ValueError(
            "it begins as JSON and is none; a text is put in quotes of its own"
        ) from exc


def _storable(value: Any) -> Any:
    """Return what an object in the cluster can hold."""
    try:
        json.dumps(value, allow_nan=False)
        msgspec.json.encode(value)
    except (ValueError, OverflowError) as exc:
        raise ValueError("no object can hold it") from exc
    return value


def _patch_data(text: str) -> dict[str, Any]:
    try:
        data = load_yaml(text)
    except CodecError as exc:
        raise ValueError(f"it is neither YAML nor JSON: {exc}") from exc
    if isinstance(data, dict):
        return dict(_storable(data))
    raise ValueError("it is no object")


def _pointer(text: str) -> str:
    if not text:
        raise ValueError("it is empty")
    if fault := pointer_fault(text):
        raise ValueError(fault)
    return text


def _types_of(conditions: ModifierConditions) -> re.Pattern[str]:
    if not conditions.group_resource:
        raise ValueError(
            "it is empty; * is every type of the core group, ** every type"
        )
    return glob_with_groups(conditions.group_resource, ".")


def _name_of(conditions: ModifierConditions) -> re.Pattern[str]:
    text = conditions.resource_name_regex
    if re.search(r"\[\[:\^?\w+:\]", text):  # which to Python are letters
        raise ValueError(f"{text!r} has a class such as [[:alpha:]]; write [a-zA-Z]")
    try:
        return re.compile(text, re.ASCII)
    except (re.error, OverflowError, RecursionError) as exc:
        raise ValueError(f"{text!r} is no regular expression: {exc}") from exc


def _spelt(kind: str) -> str:
    first, *others = kind.split("_")
    return "".join([first, *(word.capitalize() for word in others)])


# --- patches --------------------------------------------------------------------------


def _merging(data: Any) -> Patch:
    return lambda content, _: merge_patch(content, data)


def _merging_by_keys(data: Any) -> Patch:
    def patched(content: Any, ref: ResourceIdentifier) -> Any:
        if not is_built_in(ref.group_resource.group):
            raise ValueError(
                "strategicPatches are for Kubernetes' own types, whose lists have keys; "
                f"for {ref.group_resource} there are mergePatches"
            )
        return strategic_merge(content, data)

    return patched
