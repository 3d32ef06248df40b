"""For which Pods an entry of a restore's hooks is. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from kbackup._kits.globs import IncludesExcludes
from kbackup.models import RestoreResourceHookSpec


@attrs.frozen
class RestoreRule:
    """One entry of the spec; it is for Pods only, whichever types it names.

    Attributes:
        spec: As it was given.
        namespaces: Of the target.
    """

    spec: RestoreResourceHookSpec
    namespaces: IncludesExcludes

    @staticmethod
    def parts_of(
        spec: RestoreResourceHookSpec,
    ) -> tuple[RestoreResourceHookSpec, IncludesExcludes]:
        """The entry, and its namespaces resolved."""
        wanted = IncludesExcludes(spec.included_namespaces, spec.excluded_namespaces)
        return spec, wanted

    def applies_to(self, namespace: str, found: Mapping[str, str]) -> bool:
        """Tell whether it is for a Pod with these labels."""
        selector = self.spec.label_selector
        return self.namespaces.wants(namespace) and (
            selector is None or selector.matches(found)
        )
