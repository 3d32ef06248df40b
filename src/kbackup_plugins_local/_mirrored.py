"""The object store of several directories that mirror each other.

Each directory carries the location's identity; one without it is *away*: an unmounted
mount point looks like an empty directory and is neither read nor written. What succeeds
in one directory succeeds; what the others missed is told by `problems` and `copies`.
Copies that differ are decided by the caller's digest, never chosen.
"""

from __future__ import annotations

import hashlib
import heapq
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, ClassVar

import attrs

from kbackup.errors import (
    DigestMismatchError,
    ObjectExistsError,
    ObjectNotFoundError,
    StoreAccessError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
    UnsupportedCapabilityError,
)
from kbackup.plugins import Capability, Digest, ObjectInfo
from kbackup.stores import (
    Copies,
    DirectoryStore,
    LocationRecord,
    LocationState,
    PendingDeletion,
    UnfinishedWrite,
    common_prefixes,
    translate_store_errors,
    validate_key,
)
from kbackup_plugins_local._local import LocalStore
from kbackup_plugins_local._mirrors_view import (
    Held,
    Mirror,
    OneDirectory,
    View,
    Viewer,
    are_equal,
    right_copies,
)
from kbackup_plugins_local._tombstones import Tombstone, Tombstones

_MAX_PROBLEMS = 100
# Copies that differ may be those of an object that is being replaced right now, one
# directory after the other; they get half a second to become equal.
_ATTEMPTS = 10
_PAUSE = 0.05  # seconds


class MirroredLocalStore:
    """Objects in several directories; shared freely between threads and processes.

    Args:
        stores: One for each directory, in the order in which they are asked.
    """

    api_version: ClassVar[int] = 1

    def __init__(self, stores: Sequence[LocalStore]) -> None:
        self.capabilities = frozenset({Capability.ATOMIC_CREATE, Capability.RANGE})
        self._mirrors = tuple(Mirror(store, Tombstones(store)) for store in stores)
        self._viewer = Viewer(self._mirrors)
        self._problems: dict[str, None] = {}  # an ordered set
        self._lock = threading.Lock()
        # Which tombstone was applied where; to apply one twice does no harm.
        self._applied: set[tuple[str, Tombstone]] = set()

    def __repr__(self) -> str:
        return f"MirroredLocalStore({[mirror.path for mirror in self._mirrors]!r})"

    # --- writing ----------------------------------------------------------------------

    def put(
        self,
        key: str,
        source: Path | bytes,
        *,
        create: bool = False,
        retain_until: datetime | None = None,
    ) -> ObjectInfo:
        """Write an object to every directory that is there; see `ObjectStore.put`.

        With *create* the first directory that is there decides between two writers.

        Raises:
            StoreFullError: No directory took it, at least one for want of room.
        """
        validate_key(key)
        if retain_until:
            raise UnsupportedCapabilityError(key, "a directory cannot lock files")
        view = self._look()
        self._apply_tombstones(view)
        self._forget_tombstones(view, key, source)
        holders = self._find(view, key)
        if create and holders:
            raise ObjectExistsError(key)
        old = {digest for _, digest in self._digests(holders)}
        info, written = self._put_everywhere(view, key, source, create=create)
        if old and len(written) < len(self._mirrors):
            # Whoever was not reached must not come back with what this replaces.
            with self._noticed():
                self._bury(written, key, old - {_digest_of(source)})
        return info

    def delete(self, key: str) -> None:
        """Remove every copy, and keep those that are away from coming back."""
        validate_key(key)
        view = self._look()
        self._apply_tombstones(view)
        holders = self._find(view, key)
        if holders and view.away:
            digests = {digest for _, digest in self._digests(holders)}
            try:
                self._bury(view.mirrors, key, digests)
            except StoreFullError:  # deleting makes room for the tombstone
                self._delete_everywhere(view, key)
                self._bury(view.mirrors, key, digests)
        self._delete_everywhere(view, key)

    # --- reading ----------------------------------------------------------------------

    def get(
        self,
        key: str,
        target: BinaryIO,
        *,
        start: int = 0,
        length: int | None = None,
        expect: Digest | None = None,
    ) -> ObjectInfo:
        """Read an object from a right copy; see `ObjectStore.get`.

        With *expect* any copy with that digest is the right one; without, all copies
        must be equal, so all are read.

        Raises:
            DigestMismatchError: No copy is as expected, or the copies differ; nothing
                was written to *target* then.
        """
        validate_key(key)
        for _ in range(_ATTEMPTS):
            holders = self._holders(self._look(key), key)
            if len(holders) == 1 or (expect is None and are_equal(holders)):
                return holders[0].deliver(target, start, length, expect)
            digests = self._digests(holders, start, length)
            right = right_copies(digests, expect)
            if right or not any(held.is_recent for held in holders):
                break
            time.sleep(_PAUSE)
        if not right:
            found = ", ".join(f"{held.mirror.path} has {d}" for held, d in digests)
            raise DigestMismatchError(key, f"its copies: {found}")
        for held, _ in digests:
            if held not in right:
                self._notice(f"{held.mirror.path}: its copy of {key} is damaged")
        return right[0].deliver(target, start, length, expect)

    def stat(self, key: str) -> ObjectInfo:
        """Describe the first copy; see `ObjectStore.stat`."""
        validate_key(key)
        infos = [held.info for held in self._holders(self._look(), key)]
        if len({info.size for info in infos}) > 1:
            self._notice(f"the copies of {key} differ in size")
        return infos[0]

    def list(self, prefix: str, *, after: str = "") -> Iterator[ObjectInfo]:
        """List the objects of all directories; see `ObjectStore.list`."""
        view = self._look()
        streams = [self._listed(mirror, prefix, after) for mirror in view.mirrors]
        merged = heapq.merge(*streams, key=lambda found: found[0].key)
        for key, copies in groupby(merged, key=lambda found: found[0].key):
            for info, mirror in copies:
                if key not in view.deleted or not view.is_deleted(mirror, key):
                    yield info
                    break

    def list_prefixes(self, prefix: str, delimiter: str = "/") -> Iterator[str]:
        """List beginnings of keys; see `ObjectStore.list_prefixes`."""
        if delimiter != "/":
            yield from common_prefixes(self.list(prefix), prefix, delimiter)
            return
        view = self._look()
        found: set[str] = set()
        for mirror in view.mirrors:
            with self._noticed():
                found.update(mirror.store.list_prefixes(prefix))
        for path in sorted(found):
            if not view.deleted or next(self.list(path), None):
                yield path

    def signed_url(self, key: str, ttl: timedelta) -> str:
        """Raise `UnsupportedCapabilityError`: nobody serves the directories."""
        del ttl
        raise UnsupportedCapabilityError(key, "a directory has no signed addresses")

    def close(self) -> None:
        """Refuse further calls."""
        for mirror in self._mirrors:
            mirror.store.close()

    # --- copies and identity ----------------------------------------------------------

    def copies(self, key: str) -> Copies:
        """Count the copies of an object; see `MirroredStore.copies`."""
        return Copies(len(self._find(self._look(), key)), len(self._mirrors))

    def location_state(self) -> LocationState:
        """Describe every directory; see `MirroredStore.location_state`."""
        return LocationState(directories=tuple(self._viewer.states()))

    def problems(self) -> tuple[str, ...]:
        """Tell what some directory missed; see `MirroredStore.problems`."""
        with self._lock:
            return tuple(self._problems)

    def initialise(self) -> str:
        """Make the directories that are missing and give each the same identity.

        Raises:
            StoreAccessError: Two directories belong to different locations.
        """
        records = [mirror.store.read_location() for mirror in self._mirrors]
        uuids = {record.uuid for record in records if record}
        if len(uuids) > 1:
            raise StoreAccessError("", "the directories belong to different locations")
        wanted = LocationRecord(uuid=uuids.pop()) if uuids else LocationRecord()
        for mirror, record in zip(self._mirrors, records, strict=True):
            if record is None:
                mirror.store.write_location(wanted)
        return wanted.uuid

    # --- repair -----------------------------------------------------------------------

    def directories(self) -> tuple[DirectoryStore, ...]:
        """Return those that are there; see `MirroredStore.directories`."""
        view = self._look()
        return tuple(
            DirectoryStore(mirror.path, OneDirectory(view, mirror))
            for mirror in view.mirrors
        )

    def pending_deletions(self) -> tuple[PendingDeletion, ...]:
        """Tell what tombstones speak of; see `RepairableStore.pending_deletions`."""
        view = self._look()
        found = []
        for mirror in view.mirrors:
            for key in sorted(view.deleted):
                with self._noticed(), suppress(ObjectNotFoundError):
                    if view.is_deleted(mirror, key):
                        found.append(PendingDeletion(mirror.path, key))
        return tuple(found)

    def apply_deletions(self) -> None:
        """Apply the tombstones; see `RepairableStore.apply_deletions`."""
        self._apply_tombstones(self._look())

    def make_copy(self, key: str, digest: Digest, path: str) -> bool:
        """Copy from a right directory; see `RepairableStore.make_copy`."""
        validate_key(key)
        view = self._look()
        self._apply_tombstones(view)
        target = view.mirror(path)
        holders = self._find(view, key)
        right = right_copies(self._digests(holders), digest) if holders else []
        if not holders or target in [held.mirror for held in right]:
            return False
        if not right:
            raise DigestMismatchError(key, f"no directory has {digest}")
        source = right[0].mirror
        is_new = target not in [held.mirror for held in holders]
        target.store.put(key, source.store.path_of(key), create=is_new)
        if not self._viewer.is_present(target):
            raise StoreUnavailableError(key, "unmounted while it was written")
        if target.store.digest(key) != digest:
            target.store.delete(key)
            raise DigestMismatchError(key, "it changed while it was copied")
        if view.find(source, key) is None:  # deleted meanwhile: it must not come back
            target.store.delete(key)
            return False
        return True

    def unfinished(self, prefix: str) -> Iterator[UnfinishedWrite]:
        """Yield what lies in any directory; see `TidyStore.unfinished`."""
        for mirror in self._look().mirrors:
            with self._noticed():
                for each in mirror.store.unfinished(prefix):
                    yield attrs.evolve(each, path=mirror.path)

    def discard(self, write: UnfinishedWrite) -> None:
        """Remove it where it lies; see `TidyStore.discard`."""
        self._look().mirror(write.path).store.discard(write)

    # --- inside: writing --------------------------------------------------------------

    def _put_everywhere(
        self, view: View, key: str, source: Path | bytes, *, create: bool
    ) -> tuple[ObjectInfo, Sequence[Mirror]]:
        """Write to every directory; one success is a success.

        Of failures a full directory counts first: deleting something can mend it.
        """
        failures: list[StoreError] = []
        written = []
        for mirror in view.mirrors:
            try:
                info = mirror.store.put(key, source, create=create)
                if not self._viewer.is_present(mirror):
                    raise StoreUnavailableError(key, "unmounted while it was written")
                written.append((info, mirror))
            except ObjectExistsError:
                for _, mine in written:  # the other writer was first elsewhere
                    mine.store.delete(key)
                raise
            except StoreError as exc:
                failures.append(exc)
                self._notice(f"{mirror.path}: {exc.without_location}")
        if not written:
            full = [each for each in failures if isinstance(each, StoreFullError)]
            raise (full or failures)[0]
        return written[0][0], [mirror for _, mirror in written]

    def _delete_everywhere(self, view: View, key: str) -> None:
        """Remove the copies that are there; the first failure is raised at the end."""
        failures = []
        for mirror in view.mirrors:
            try:
                mirror.store.delete(key)
            except StoreError as exc:
                failures.append(exc)
        if failures:
            raise failures[0]

    def _bury(self, mirrors: Sequence[Mirror], key: str, digests: set[Digest]) -> None:
        tombstones = [Tombstone(key=key, digest=digest) for digest in digests]
        for mirror in mirrors:
            mirror.tombstones.add(tombstones)

    def _apply_tombstones(self, view: View) -> None:
        """Delete what was deleted while a directory was away.

        Tombstones stay until every directory has been there.
        """
        settled = set(view.tombstones)
        for mirror in view.mirrors:
            for tombstone in view.tombstones:
                pair = (mirror.path, tombstone)
                if pair in self._applied:
                    continue
                try:
                    _apply(mirror, tombstone)
                    with self._lock:
                        self._applied.add(pair)
                except StoreError as exc:
                    settled.discard(tombstone)
                    self._notice(f"{mirror.path}: {exc.without_location}")
            with self._noticed():
                mirror.tombstones.add(view.tombstones)
        if not view.away:
            for mirror in view.mirrors:
                with self._noticed():
                    mirror.tombstones.remove(settled)

    def _forget_tombstones(self, view: View, key: str, source: Path | bytes) -> None:
        """Let bytes be written again that were deleted under the same key."""
        if key not in view.deleted:
            return
        tombstone = Tombstone(key=key, digest=_digest_of(source))
        for mirror in view.mirrors:
            with self._lock:
                self._applied.discard((mirror.path, tombstone))
            if tombstone in view.tombstones:
                mirror.tombstones.remove([tombstone])

    # --- inside: reading --------------------------------------------------------------

    def _look(self, key: str = "") -> View:
        """Take a view, of an object as well, and tell who is away."""
        view = self._viewer.look(key)
        for state in view.away:
            self._notice(str(state))
            # What comes back may be another disk, or an older copy of this one.
            with self._lock:
                self._applied = {p for p in self._applied if p[0] != state.path}
        return view

    def _find(self, view: View, key: str) -> Sequence[Held]:
        """Return the copies of an object; directories that fail have none."""
        return self._try_to_find(view, key)[0]

    def _holders(self, view: View, key: str) -> Sequence[Held]:
        """Return the copies of an object, at least one."""
        holders, failures = self._try_to_find(view, key)
        if not holders and failures:
            raise failures[0]
        if not holders:
            away = ", ".join(state.path for state in view.away)
            raise ObjectNotFoundError(key, f"of which {away} is away" if away else "")
        return holders

    def _try_to_find(
        self, view: View, key: str
    ) -> tuple[Sequence[Held], Sequence[StoreError]]:
        holders, failures = [], []
        for mirror in view.mirrors:
            try:
                if held := view.find(mirror, key):
                    holders.append(held)
            except StoreError as exc:
                failures.append(exc)
                self._notice(f"{mirror.path}: {exc.without_location}")
        return holders, failures

    def _digests(
        self, holders: Sequence[Held], start: int = 0, length: int | None = None
    ) -> Sequence[tuple[Held, Digest]]:
        """Return what each copy is; one that cannot be read is told and left out."""
        found = []
        failures = []
        for held in holders:
            try:
                found.append((held, held.digest(start, length)))
            except StoreError as exc:
                failures.append(exc)
                self._notice(f"{held.mirror.path}: {exc.without_location}")
        if failures and not found:
            raise failures[0]
        return found

    def _listed(
        self, mirror: Mirror, prefix: str, after: str
    ) -> Iterator[tuple[ObjectInfo, Mirror]]:
        """List one directory; where that fails, the others are still listed."""
        with self._noticed():
            for info in mirror.store.list(prefix, after=after):
                yield info, mirror

    def _notice(self, problem: str) -> None:
        with self._lock:
            self._problems[problem] = None
            if len(self._problems) > _MAX_PROBLEMS:  # a run waits for the newest
                del self._problems[next(iter(self._problems))]

    @contextmanager
    def _noticed(self) -> Iterator[None]:
        """Turn a failure into a problem."""
        try:
            yield
        except StoreError as exc:
            self._notice(exc.without_location)


def _apply(mirror: Mirror, tombstone: Tombstone) -> None:
    """Delete a copy if it is the one that the tombstone speaks of."""
    try:
        if mirror.store.digest(tombstone.key) == tombstone.digest:
            mirror.store.delete(tombstone.key)
    except ObjectNotFoundError:
        return


def _digest_of(source: Path | bytes) -> Digest:
    if isinstance(source, bytes):
        return Digest(hashlib.sha256(source).hexdigest())
    with translate_store_errors(str(source)), source.open("rb") as file:
        return Digest(hashlib.file_digest(file, "sha256").hexdigest())
