"""Is a location fit for backups? What lies in it is looked at, then it is tried out.

Called by ``location validate`` and by whoever wants to know before a run.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import attrs

from kbackup._kits.words import first_few
from kbackup.errors import StoreError
from kbackup.plugins import Capability, ObjectStore
from kbackup.stores import _layout as layout
from kbackup.stores._location_file import read_location_record, remember_profile
from kbackup.stores._mirrors import problems_of, state_of
from kbackup.stores._profile import (
    StoreProfile,
    adapt,
    checksum_mode,
    is_adapted,
    probe_store,
    retention_of,
    to_try,
)

_NAMED = 3  # offenders in one message, as Velero
_DEEDS = {
    Capability.ATOMIC_CREATE: "conditional puts",
    Capability.RETENTION: "object locks",
}


@attrs.frozen(kw_only=True)
class StoreCheck:
    """What was found.

    Attributes:
        problems: Why the location is not fit, or not wholly; sentences.
        hints: What to do about them, where a failure has said it; sentences.
        writable: Whether an object could be written, read back and deleted.
        capabilities: What the store can do; what it declares but did not do when it
            was tried is not among it.
        checksum: The algorithm of the checksum that goes with uploads; empty: none does;
            None: the store has none to send.
        lock_for: How long the objects of a backup are locked; None: they are not.
        news: What the location's server does otherwise than was remembered of it, and
            whether that is remembered now; sentences.
    """

    problems: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    writable: bool = False
    capabilities: frozenset[Capability] = frozenset()
    checksum: str | None = None
    lock_for: timedelta | None = None
    news: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def validate_object_store(store: ObjectStore, *, write: bool = True) -> StoreCheck:
    """Look at a store and try it out below ``plugins/kbackup.io/probe/``.

    What ``location.json`` remembers of the server is brought up to date. Only a store
    that was just opened can show that: one that was used before has been told what to do
    without, and does it.

    Args:
        store: Bound to the location's prefix.
        write: Whether to write at all.

    Raises:
        StoreError: It cannot even be listed, or its layout is of a newer kbackup.
    """
    problems = [str(state) for state in state_of(store).away]
    problems += foreign_directories(store)
    record = read_location_record(store)
    if not write:
        if record is not None and record.profile is not None:
            adapt(store, record.profile)
        return _check(store, problems, writable=False)
    lacks: frozenset[Capability] = frozenset()
    news: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    is_new, tried = not is_adapted(store), to_try(store)
    try:
        probe = probe_store(store)
    except StoreError as exc:
        problems.append(exc.without_location)
        hints = (exc.hint,) if exc.hint else ()
        writable = False
    else:
        problems += probe.problems
        lacks, writable = probe.profile.lacks, True
        if is_new and record is not None:
            news = _remembered(store, tried, probe.profile)
    problems += [text for text in problems_of(store) if text not in problems]
    check = _check(store, problems, writable=writable, lacks=lacks)
    return attrs.evolve(check, hints=hints, news=news)


def _remembered(
    store: ObjectStore, tried: StoreProfile, found: StoreProfile
) -> tuple[str, ...]:
    """Bring ``location.json`` up to date, and say in sentences what is new.

    Who may not write it, as where that very object is locked, still knows what was found.
    """
    if tried == StoreProfile():
        return ()
    try:
        before = remember_profile(store, tried, found)
    except StoreError as exc:
        return (f"what the server does could not be written down: {exc}",)
    if before is None:
        return ()
    learned = before.lacks & tried.lacks - found.lacks
    checksums = set(before.refused_checksums) & set(tried.refused_checksums)
    said = [f"the server has learned {_DEEDS[each]}" for each in sorted(learned)]
    said += [
        f"the server has learned the checksum {each}"
        for each in sorted(checksums - set(found.refused_checksums))
    ]
    said += [
        f"the server does no {_DEEDS[each]}"
        for each in sorted(found.lacks - before.lacks)
    ]
    said += [
        f"the server refuses the checksum {each}"
        for each in found.refused_checksums
        if each not in before.refused_checksums
    ]
    return tuple(f"{text}: remembered from now on" for text in said)


def _check(
    store: ObjectStore,
    problems: Iterable[str],
    *,
    writable: bool,
    lacks: frozenset[Capability] = frozenset(),
) -> StoreCheck:
    return StoreCheck(
        problems=tuple(problems),
        writable=writable,
        capabilities=store.capabilities - lacks,
        checksum=checksum_mode(store),
        lock_for=retention_of(store),
    )


def foreign_directories(store: ObjectStore) -> list[str]:
    """Say which directories below the prefix make Velero refuse the location.

    Source: Velero, validity of a BackupStorageLocation: every directory must be known;
    objects directly below the prefix do not matter.
    """
    found = [name.rstrip("/") for name in store.list_prefixes("")]
    foreign = [name for name in found if name not in layout.TOP_LEVEL]
    if not foreign:
        return []
    names = first_few(foreign, _NAMED)
    return [f"directories that Velero does not know lie below the prefix: {names}"]
