"""For which Pods an entry of a spec's hooks is. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Generic, Self, TypeVar

import attrs

from kbackup._kits.globs import IncludesExcludes
from kbackup._kits.nested import mapping_at
from kbackup.models import (
    BackupResourceHookSpec,
    ResourceIdentifier,
    RestoreResourceHookSpec,
)

_Spec = TypeVar("_Spec", BackupResourceHookSpec, RestoreResourceHookSpec)


@attrs.frozen
class HookRule(Generic[_Spec]):
    """One entry of the spec, for Pods; make it with `of`.

    Attributes:
        spec: As it was given.
        namespaces: Those that it is for.
    """

    spec: _Spec
    namespaces: IncludesExcludes

    @classmethod
    def of(cls, spec: _Spec, *more: object) -> Self:
        """Return the rule of an entry; *more* are the fields of a subclass."""
        wanted = IncludesExcludes(spec.included_namespaces, spec.excluded_namespaces)
        return cls(spec, wanted, *more)

    def applies_to(self, namespace: str, found: Mapping[str, str]) -> bool:
        """Tell whether it is for a Pod with these labels."""
        selector = self.spec.label_selector
        return self.namespaces.wants(namespace) and (
            selector is None or selector.matches(found)
        )


RestoreRule = HookRule[RestoreResourceHookSpec]
"""It is for Pods only, whichever types it names; its namespaces are the target's."""

_Rule = TypeVar("_Rule", bound=RestoreRule)


class RestoreRules(Generic[_Rule]):
    """The entries of a restore's hooks that have something of one sort; immutable."""

    _rules: Sequence[_Rule]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the entries."""
        return tuple(rule.spec.name for rule in self._rules)

    def names_for(
        self, pod: ResourceIdentifier, content: Mapping[str, Any]
    ) -> Iterator[str]:
        """Yield the names of those that are for a Pod of the target."""
        found = mapping_at(content, "metadata", "labels")
        for rule in self._rules:
            if rule.applies_to(pod.namespace, found):
                yield rule.spec.name
