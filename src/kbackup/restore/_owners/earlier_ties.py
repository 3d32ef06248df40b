"""Who owned what, before an earlier run of the same restore deleted its owners. Pure.

That run saved what it was to change (`_writes.before`). Where it ended before it tied
something again, what it saved tells: the very object had that owner then. Asked by the
planner about what is there and has owners in the backup.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from kbackup.models import ResourceIdentifier
from kbackup.restore._owners.owners import Reference, owner_key, owner_name

EarlierTies = Mapping[ResourceIdentifier, Sequence[Mapping[str, Any]]]
"""The metadata of what had owners when it was saved, by where it is."""


def tied_earlier(
    ties: EarlierTies,
    target: ResourceIdentifier,
    metadata: Mapping[str, Any],
    references: Sequence[Reference],
) -> dict[str, str]:
    """Which owners an object had, and is not tied to anew: the UID of each, by its name.

    Whether such an owner was deleted, or is about to go, is not told.

    Args:
        ties: Of earlier runs.
        target: Where the object is.
        metadata: As it has it now.
        references: The owners that the backup names.
    """
    wanted = {owner_key(x) for x in references}
    now = {owner_key(x): x.get("uid") for x in metadata.get("ownerReferences") or ()}
    return {
        owner_name(reference): str(reference.get("uid"))
        for saved in ties.get(target, ())
        if saved.get("uid") == metadata.get("uid")
        for reference in saved["ownerReferences"]
        if (key := owner_key(reference)) in wanted
        and now.get(key, reference.get("uid")) == reference.get("uid")
    }
