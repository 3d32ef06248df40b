"""Where the resource modifiers of a restore come from, and that they are the same again.

A ConfigMap of the target, which the specification names as Velero's does, or a value
that was given. Read when a restore is planned, and once more when a plan is applied: a
plan has their digest only.
"""

from collections.abc import Mapping
from typing import Any

import attrs

from kbackup.errors import CodecError, InvalidSpecError
from kbackup.models import (
    ResourceIdentifier,
    ResourceModifiers,
    RestoreOptions,
    RestoreSpec,
    well_known,
)
from kbackup.plugins import ClusterReader
from kbackup.restore._request.modifier_rules import read_rules
from kbackup.restore._request.modifiers import Modifiers

_BOTH = (
    "resourceModifier and the option resource_modifiers cannot be combined: both say "
    "what the resource modifiers are"
)
_GIVEN = "given with the restore"
_SHOWN = 19  # characters of a digest that people compare, "sha256:" among them


@attrs.frozen(kw_only=True)
class PlanModifiers:
    """What a plan says of its resource modifiers: never what is in them.

    Attributes:
        source: ``ConfigMap velero/mods``, or that they were given.
        rules: How many there are.
        digest: ``sha256:<hex>`` of what they say.
    """

    source: str
    rules: int
    digest: str

    def __str__(self) -> str:
        noun = "rule" if self.rules == 1 else "rules"
        return f"{self.rules} {noun}, {self.source}, {self.digest[:_SHOWN]}"


@attrs.frozen(kw_only=True)
class LoadedModifiers:
    """Resource modifiers that were read and found right.

    Attributes:
        about: What a plan says of them.
        modifiers: What applies them.
    """

    about: PlanModifiers
    modifiers: Modifiers


def modifier_violations(spec: RestoreSpec, options: RestoreOptions) -> list[str]:
    """Return what is wrong with the modifiers, as far as no cluster has to be asked."""
    given = options.resource_modifiers
    if given is None:
        return []
    both = [_BOTH] if spec.resource_modifier is not None else []
    return [*both, *read_rules(given)[1]]


def load_modifiers(
    reader: ClusterReader, spec: RestoreSpec, options: RestoreOptions
) -> LoadedModifiers | None:
    """Return the modifiers that a restore has; None: it has none.

    Raises:
        InvalidSpecError: The ConfigMap is not there, has not just one key, or not such
            rules in it; all that is wrong with them is named.
        ClusterError: It cannot be read.
    """
    reference, given = spec.resource_modifier, options.resource_modifiers
    source = _GIVEN
    if reference is not None:
        ref = ResourceIdentifier(
            well_known.CONFIG_MAPS, well_known.VELERO_NAMESPACE, reference.name
        )
        source = f"ConfigMap {ref.qualified_name}"
        given = _of_config_map(reader.get(ref), source)
    if given is None:
        return None
    rules, broken = read_rules(given)
    if broken:
        raise InvalidSpecError([f"{source}: {fact}" for fact in broken])
    about = PlanModifiers(source=source, rules=len(rules), digest=given.digest)
    return LoadedModifiers(about=about, modifiers=Modifiers(rules))


def named_digest(spec: RestoreSpec, modifiers: LoadedModifiers | None) -> str:
    """The digest of modifiers that only the specification names; options have theirs."""
    if spec.resource_modifier is None or modifiers is None:
        return ""
    return modifiers.about.digest


def _of_config_map(live: Mapping[str, Any] | None, source: str) -> ResourceModifiers:
    if live is None:
        raise InvalidSpecError([f"resourceModifier: the target has no {source}"])
    data = live.get("data") or {}
    if len(data) != 1:
        raise InvalidSpecError(
            [f"{source}: it takes one key with the rules, and has {len(data)}"]
        )
    (text,) = data.values()
    try:
        return ResourceModifiers.from_yaml(text)
    except CodecError as exc:
        raise InvalidSpecError([f"{source}: {exc}"]) from exc
    except InvalidSpecError as exc:
        raise InvalidSpecError([f"{source}: {x}" for x in exc.violations]) from exc
