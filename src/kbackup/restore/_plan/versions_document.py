"""The chosen versions in a plan's document, written and read. Called by `document`."""

from typing import Annotated, Any

import msgspec

from kbackup.models import GroupResource
from kbackup.restore._target.api_versions import ChosenVersion, PlanVersions

_Word = Annotated[str, msgspec.Meta(min_length=1)]


class _Chosen(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    resource: _Word
    version: _Word
    instead_of: _Word
    reason: str


class VersionsPart(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the document says of versions; keys that it does not name are ignored."""

    source: str
    chosen: tuple[_Chosen, ...]


def write_versions(versions: PlanVersions) -> dict[str, Any]:
    """Return them as plain JSON values."""
    chosen = [
        {
            "resource": str(each.resource),
            "version": each.version,
            "insteadOf": each.instead_of,
            "reason": each.reason,
        }
        for each in versions.chosen
    ]
    return {"source": versions.source, "chosen": chosen}


def read_versions(part: VersionsPart) -> PlanVersions:
    """Make of the document's part what `write_versions` was given."""
    chosen = tuple(
        ChosenVersion(
            resource=GroupResource.parse(each.resource),
            version=each.version,
            instead_of=each.instead_of,
            reason=each.reason,
        )
        for each in part.chosen
    )
    return PlanVersions(source=part.source, chosen=chosen)
