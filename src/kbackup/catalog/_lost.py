"""How much of a damaged backup is lost: what its manifest counts against what is there."""

from collections import Counter

from kbackup._kits.words import first_few
from kbackup.archive import ArchiveContents
from kbackup.catalog._manifest import Manifest

_UNKNOWN = "how many items the backup had is not known: no manifest of it can be read"


def damage_of(contents: ArchiveContents, manifest: Manifest | None) -> tuple[str, ...]:
    """Say what of a backup could not be read, and how much is lost; empty: nothing."""
    lost = lost_items(contents, manifest)
    return (*contents.damage, *filter(None, [lost]))


def lost_items(contents: ArchiveContents, manifest: Manifest | None) -> str:
    """Say how many items of a backup cannot be read; empty: none is missing.

    By type as far as the manifest tells, which of items that an action asked for only
    knows the sum.
    """
    if manifest is None:
        return _UNKNOWN if contents.damage else ""
    lost = manifest.items - len(contents)
    if lost <= 0:
        return ""
    told = f"{lost} of {manifest.items} items of the backup cannot be read"
    types = _by_type(contents, manifest)
    return f"{told}: {first_few(types)}" if types else told


def _by_type(contents: ArchiveContents, manifest: Manifest) -> list[str]:
    """What is lost of each type, most first; nothing where the sum would not hold."""
    stored: Counter[str] = Counter()
    there: dict[str, int] = {}
    for record in manifest.lists:
        name = str(record.resource)
        stored[name] += record.stored
        there[name] = len(contents.of_type(record.resource).places)
    if stored.total() != manifest.items:
        return []
    lost = Counter({name: stored[name] - there[name] for name in stored})
    return [f"{n} of {stored[name]} {name}" for name, n in lost.most_common() if n > 0]
