"""Does a target take the types of a backup, each in the version in which it is stored?

Told from the archive's index and from discovery alone. The planner asks about a type at
a time; `unserved_types` tells of a whole backup before anything is planned.
"""

from collections.abc import Iterable

from kbackup.archive import TWINS, ArchiveContents
from kbackup.catalog.engine import SNAPSHOTS_ROW, SystemObjects
from kbackup.cluster import Discovery
from kbackup.models import GroupResource, ResourceIdentifier, well_known
from kbackup.restore._target.converting import conversion_for

LEFT_AS_IT_IS = (
    "its CRD exists and is left as it is; --existing-cluster-resource-policy update "
    "changes it"
)
_CHOOSING = "--enable-api-group-versions"
UNCHANGEABLE = "its CRD exists and is not changed"


def unserved(
    resource: GroupResource,
    api_version: str,
    kind: str,
    discovery: Discovery,
    *,
    stored: Iterable[str] = (),
) -> str:
    """Why objects cannot be written as they are stored; empty: the target takes them.

    Args:
        resource: Their type in the archive.
        api_version: As they say.
        kind: As they say.
        discovery: Of the target.
        stored: The other versions in which the archive has the type, if none was chosen.
    """
    if discovery.by_kind(api_version, kind) is not None:
        return ""
    other = discovery.get(resource)
    if other is None:
        return f"the target does not serve {api_version} {kind}"
    both = [version for version in stored if discovery.get(resource, version)]
    found = f"; it has {both[0]}, too: {_CHOOSING} takes that" if both else ""
    return (
        f"the target serves {other.api_version} of {resource}, "
        f"the backup has {api_version}{found}"
    )


def has_served_twin(
    ref: ResourceIdentifier, contents: ArchiveContents, discovery: Discovery
) -> bool:
    """Whether the same object is stored under a newer type, too, which is written."""
    newer = TWINS.get(ref.group_resource)
    if newer is None:
        return False
    twin = contents.get(ResourceIdentifier(newer, ref.namespace, ref.name))
    return twin is not None and not unserved(
        newer, twin.api_version, twin.kind, discovery
    )


def unserved_types(contents: ArchiveContents, discovery: Discovery) -> tuple[str, ...]:
    """Say of each type and version that a restore of everything could not write, why.

    Left out is what a restore leaves out unless it is named, what is written as another
    type or converted to a version that is served, and what a definition in the backup
    brings along. One that the target has is left as it is, unless a restore is told to
    update it. Which items cannot be converted a plan says, for it reads them.

    Args:
        contents: The backup.
        discovery: Of the target.
    """
    system = SystemObjects()
    told: dict[str, None] = {}
    for resource in contents.resources():
        definition = ResourceIdentifier(well_known.CRDS, "", str(resource))
        if system.covers_type(resource) or resource in SNAPSHOTS_ROW.resources:
            continue
        has_definition = definition in contents
        if has_definition and discovery.get(resource) is None:
            continue
        held, versions = contents.of_type(resource), contents.other_versions(resource)
        for head in sorted({held.others.get(key, held.head) for key in held.places}):
            if conversion_for(resource, head, discovery) is not None:
                continue
            problem = unserved(resource, *head, discovery, stored=versions)
            if problem and not _written_as_twins(resource, contents, discovery):
                why = f"{problem}; {LEFT_AS_IT_IS}" if has_definition else problem
                told[why] = None
    return tuple(told)


def _written_as_twins(
    resource: GroupResource, contents: ArchiveContents, discovery: Discovery
) -> bool:
    return resource in TWINS and all(
        has_served_twin(ref, contents, discovery)
        for ref in contents.identifiers(resource)
    )
