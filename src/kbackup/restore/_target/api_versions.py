"""Which version of a type is restored, where the backup holds several.

Source: Velero's order with ``EnableAPIGroupVersions``: what the user lists, what the
target prefers, what the source preferred, the best that both have. Velero compares the
versions of groups; here it is those of the very type, for a group may serve a type in
some of its versions only. Pure, but for definitions that are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import attrs

from kbackup._kits.crds import conversion_webhook, storage_version
from kbackup._kits.kinds import is_built_in
from kbackup.archive import ArchiveContents
from kbackup.cluster import Discovery
from kbackup.models import GroupResource, ResourceIdentifier, well_known
from kbackup.restore._target.converting import conversion_for
from kbackup.restore._target.reads import MemoReader

LISTED = "the list of versions names it"
PREFERRED = "the target prefers it"
STORED = "the target stores it, and a webhook converts the others"
BEST = "the best that both have"
CONVERTED = "the target has none of them, and this one can be converted"
NO_CHOICE = "no type is in the backup in several versions: there is nothing to choose"


@attrs.frozen(kw_only=True)
class ChosenVersion:
    """A type that is restored in another version than the source preferred.

    Attributes:
        resource: The type.
        version: The one that is restored.
        instead_of: The one that the source preferred.
        reason: Why.
    """

    resource: GroupResource
    version: str
    instead_of: str
    reason: str

    def __str__(self) -> str:
        return f"{self.resource} {self.version} instead of {self.instead_of}: {self.reason}"


@attrs.frozen(kw_only=True)
class PlanVersions:
    """What a plan says of versions, where they were to be chosen.

    Attributes:
        chosen: Those that are others than without a choice.
        source: The ConfigMap with the user's list; empty: it is of none.
    """

    chosen: tuple[ChosenVersion, ...] = ()
    source: str = ""

    def lines(self) -> Iterator[str]:
        """Yield what a plan's head says."""
        if self.source:
            yield f"preferred as in {self.source}"
        yield from map(str, self.chosen) if self.chosen else ["as the source preferred"]


def versions_of(chosen: Sequence[ChosenVersion]) -> Mapping[GroupResource, str]:
    """Return the versions by type, as the archive is asked for them."""
    return {each.resource: each.version for each in chosen}


def choose_versions(
    contents: ArchiveContents,
    types: Sequence[GroupResource],
    discovery: Discovery,
    reader: MemoReader,
    priority: Mapping[str, Sequence[str]],
    *,
    convert: bool,
) -> tuple[ChosenVersion, ...]:
    """Return the types that are restored in another version than the source preferred.

    Args:
        contents: The backup, indexed with every version.
        types: Which of its types are restored.
        discovery: Of the target. A type that it does not have comes as the source
            preferred it, for then its definition comes from there.
        reader: The target.
        priority: The versions that the user wants first, by type.
        convert: What the target does not serve is converted.
    """
    found = []
    for resource in types:
        others = contents.other_versions(resource)
        stored = (*contents.versions(resource)[:1], *others)
        served = [
            each.version
            for each in discovery.all_versions
            if each.group_resource == resource and each.supports("create")
        ]
        if others and served:
            preferred = _preferred(resource, discovery, reader)
            listed = priority.get(str(resource), ())
            choice = _choice(stored, served, preferred, listed)
            if choice is None and convert:
                choice = _convertible(contents, resource, stored, discovery)
            if choice is not None and choice[0] != stored[0]:
                version, reason = choice
                found.append(
                    ChosenVersion(
                        resource=resource,
                        version=version,
                        instead_of=stored[0],
                        reason=reason,
                    )
                )
    return tuple(found)


def _choice(
    stored: Sequence[str],
    served: Sequence[str],
    preferred: tuple[str, str],
    listed: Sequence[str],
) -> tuple[str, str] | None:
    """Return a version, and why; None: the target takes none of those in the backup.

    Args:
        stored: In the backup; the first one is what the source preferred, the others
            have Kubernetes' order.
        served: By the target.
        preferred: What the target prefers, and why that is so.
        listed: By the user.
    """
    both = [version for version in stored if version in served]
    for version in listed:
        if version in both:
            return version, LISTED
    if preferred[0] in both:
        return preferred
    return (both[0], BEST) if both else None


def _convertible(
    contents: ArchiveContents,
    resource: GroupResource,
    stored: Sequence[str],
    discovery: Discovery,
) -> tuple[str, str] | None:
    """Return the first version that can be converted, and why; None: none can."""
    kind = contents.of_type(resource).head[1]
    for version in stored:
        head = (f"{resource.group}/{version}", kind)
        if conversion_for(resource, head, discovery) is not None:
            return version, CONVERTED
    return None


def _preferred(
    resource: GroupResource, discovery: Discovery, reader: MemoReader
) -> tuple[str, str]:
    """Return the version that the target prefers, and why.

    Behind a conversion webhook it is the one that is stored: written in another one, each
    object would need the webhook, which may be part of the very restore.
    """
    served = discovery.get(resource)
    version = served.version if served is not None else ""
    if is_built_in(resource.group):
        return version, PREFERRED
    ref = ResourceIdentifier(well_known.CRDS, "", str(resource))
    definition = reader.find(ref).content or {}
    stored = storage_version(definition) if conversion_webhook(definition) else ""
    return (stored, STORED) if stored else (version, PREFERRED)


def without_effect(
    contents: ArchiveContents,
    discovery: Discovery,
    priority: Mapping[str, Sequence[str]],
) -> Iterator[str]:
    """Yield what to know of a list of versions that chooses nothing; maybe a slip."""
    types = {str(resource): resource for resource in contents.resources()}
    if not any(map(contents.other_versions, types.values())):
        yield NO_CHOICE
    for name, listed in priority.items():
        resource = types.get(name)
        if resource is None:
            yield f"the list of versions names {name}, of which the backup has nothing"
            continue
        stored = contents.versions(resource)
        if not any(x in stored and discovery.get(resource, x) for x in listed):
            yield (
                f"the list of versions has none for {name} that backup and target "
                f"both have: {', '.join(listed)}"
            )
