"""Which versions of which types the user wants first: given, or read from the target.

As for a Velero server they are in a ConfigMap of its namespace. They are read when a
restore is planned, and are among the options of the plan.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from kbackup._kits.nested import text_at
from kbackup._kits.version_lists import read_version_lists
from kbackup._kits.words import first_few
from kbackup.errors import ForbiddenError
from kbackup.models import ResourceIdentifier, RestoreOptions, well_known
from kbackup.plugins import ClusterReader

_CONFIG_MAP = ResourceIdentifier(
    well_known.CONFIG_MAPS, well_known.VELERO_NAMESPACE, "enableapigroupversions"
)
_KEY = "restoreResourcesVersionPriority"
_NEEDS = (
    "restore_resources_version_priority has no effect without enable_api_group_versions"
)


@attrs.frozen(kw_only=True)
class FoundPriority:
    """The versions that go first in one restore.

    Attributes:
        versions: By the full name of the type, best first; None: nobody asks for any.
        source: The ConfigMap that they are of; empty: none.
        notice: What to know about that; empty: nothing.
    """

    versions: Mapping[str, tuple[str, ...]] | None = None
    source: str = ""
    notice: str = ""


def priority_violations(options: RestoreOptions) -> list[str]:
    """Return what is wrong with what was given."""
    given = options.restore_resources_version_priority
    return (
        [_NEEDS] if given is not None and not options.enable_api_group_versions else []
    )


def find_priority(reader: ClusterReader, options: RestoreOptions) -> FoundPriority:
    """Return the versions that were given, or those of the target's ConfigMap.

    Raises:
        ClusterError: The target cannot be read.
    """
    given = options.restore_resources_version_priority
    if given is not None or not options.enable_api_group_versions:
        return FoundPriority(versions=given)
    name = f"ConfigMap {_CONFIG_MAP.qualified_name}"
    try:
        live = reader.get(_CONFIG_MAP)
    except ForbiddenError:
        notice = f"{name} may not be read: no versions are taken from there"
        return FoundPriority(versions={}, notice=notice)
    if live is None:
        return FoundPriority(versions={})
    versions, broken = read_version_lists(text_at(live, "data", _KEY))
    notice = f"{name}: passed over, as no list of versions: {first_few(broken)}"
    return FoundPriority(
        versions=versions, source=name, notice=notice if broken else ""
    )
