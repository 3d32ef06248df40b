"""Holds a backup against the live cluster, type by type; reads only.

Not read out of a plan: a plan tells what a restore would choose to do, and leaves out
what it would not restore. Here each item is held as it is against the object of its
name. The archive's index and the LISTs are joined page by page as in the planner, so
that neither backup nor cluster is ever held in memory. Called by the engine.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import msgspec

from kbackup._kits.ahead import read_ahead
from kbackup._kits.normalise import differences
from kbackup.archive import ArchiveContents
from kbackup.cluster import Cluster, Discovery
from kbackup.errors import (
    ArchiveCorruptError,
    ClusterError,
    ClusterUnreachableError,
    UnauthorizedError,
)
from kbackup.models import (
    APIResource,
    GroupResource,
    ResourceIdentifier,
    RestoreOptions,
)
from kbackup.plugins import ItemsProgressed, Run
from kbackup.restore._difference import ChangedItem, Difference
from kbackup.restore._left_out import LeftOut
from kbackup.restore._oddity import ODD, oddity
from kbackup.restore._prepare import (
    Session,
    cancel_as_error,
    opened,
    read_manifest,
)
from kbackup.restore._reads import MemoReader
from kbackup.restore._scopes import EVERYWHERE, Scopes
from kbackup.restore._seen import LiveObject, find

_Key = tuple[str, str]  # namespace, name

_FEW = 3  # up to so many single GETs cost less than the LIST of a big namespace
_ALL = "*"  # stands for the name where nothing of a list could be read
_decode = msgspec.json.decode


def compare_backup(session: Session, backup_name: str) -> Difference:
    """Hold a backup against the live cluster; write nothing."""
    with cancel_as_error():
        backup, options = session.store.get(backup_name), RestoreOptions()
        run = session.run(backup_name, backup.metadata.uid)
        with opened(session, run, backup, options) as contents:
            cluster = session.cluster.for_run(
                session.cancel, settings=session.settings, count=run.count
            )
            manifest = read_manifest(session, backup, options)
            scopes = Scopes.of(backup, manifest, contents)
            with run.phase("compare", total=len(contents)):
                return Comparer(cluster, contents, scopes, run).compare()


@attrs.define
class _Found:
    """What has been found so far."""

    missing: list[ResourceIdentifier] = attrs.field(factory=list)
    new: list[ResourceIdentifier] = attrs.field(factory=list)
    changed: list[ChangedItem] = attrs.field(factory=list)
    unknown: list[tuple[ResourceIdentifier, str]] = attrs.field(factory=list)
    same: int = 0
    left_out: int = 0


class Comparer:
    """Compares one backup with one cluster; used once, by one thread."""

    def __init__(
        self, cluster: Cluster, contents: ArchiveContents, scopes: Scopes, run: Run
    ) -> None:
        self._cluster = cluster
        self._contents = contents
        self._scopes = scopes
        self._run = run
        self._discovery: Discovery = cluster.discover(refresh=True)  # CRDs come and go
        self._bodies = contents.in_order()
        reader = MemoReader(cluster.reader())
        self._left_out = LeftOut(contents, self._discovery, reader)
        self._found = _Found()
        self._done = 0

    def compare(self) -> Difference:
        """Look at everything that the backup has, and wherever it looked."""
        stored = set(self._contents.resources())
        for resource in sorted(stored | self._scopes.listed.keys(), key=str):
            self._run.cancel.check()
            if self._left_out.covers_type(resource):
                places = self._contents.of_type(resource).places
                self._found.left_out += len(places)
                continue
            for namespace in self._namespaces(resource):
                self._compare_scope(resource, namespace)
        found = self._found
        return Difference(
            only_in_backup=tuple(found.missing),
            only_in_cluster=tuple(found.new),
            changed=tuple(found.changed),
            same=found.same,
            left_out=found.left_out,
            unknown=tuple(found.unknown),
        )

    def _namespaces(self, resource: GroupResource) -> list[str]:
        """Where to look, each place once; `EVERYWHERE` alone: one LIST for all."""
        listed = self._scopes.listed.get(resource, frozenset())
        if EVERYWHERE in listed:
            return [EVERYWHERE]
        places = self._contents.of_type(resource).places
        return sorted(listed | {namespace for namespace, _ in places})

    def _compare_scope(self, resource: GroupResource, namespace: str) -> None:
        """Join the items of one place with the live objects of their names."""
        stored = self._contents.identifiers(resource, namespace or None)
        left = {(ref.namespace, ref.name) for ref in stored}
        self._run.emit(ItemsProgressed(done=self._done, current=resource))
        self._done += len(left)
        try:
            served = self._served(resource)
            for key, live in self._live(served, resource, namespace, left):
                ref = ResourceIdentifier(resource, *key)
                if key in left:
                    left.discard(key)
                    self._meet_any(ref, live)
                elif self._was_listed(resource, namespace) and self._is_new(ref, live):
                    self._found.new.append(ref)
        except ClusterError as exc:
            if isinstance(exc, ClusterUnreachableError | UnauthorizedError):
                raise
            refs = list(self._compared(resource, left))
            if not refs:
                refs = [ResourceIdentifier(resource, namespace, _ALL)]
            self._found.unknown += ((ref, f"not readable: {exc}") for ref in refs)
        else:
            self._found.missing += self._compared(resource, left)

    def _served(self, resource: GroupResource) -> APIResource | None:
        """How the cluster serves a type, best in the backup's version; None: not."""
        head = self._contents.of_type(resource).head
        served = self._discovery.by_kind(*head) or self._discovery.get(resource)
        if served is not None:
            return served
        for failure in self._discovery.failures:
            if failure.group_version.partition("/")[0] == resource.group:
                raise ClusterError("discover", str(resource), reason=failure.reason)
        return None

    def _live(
        self,
        served: APIResource | None,
        resource: GroupResource,
        namespace: str,
        left: set[_Key],
    ) -> Iterator[tuple[_Key, LiveObject]]:
        """The live objects of one place, or just those of a few names."""
        if served is None:
            return
        if not self._was_listed(resource, namespace) and len(left) <= _FEW:
            for where, name in sorted(left):
                found = find(self._cluster, served, name, where)
                if found is not None:
                    yield (where, name), found
            return
        listing = self._cluster.list(served, namespace=namespace)
        for page in read_ahead(listing.pages()):
            self._run.cancel.check()
            for item in page.items:
                yield (item.namespace, item.name), item

    def _was_listed(self, resource: GroupResource, namespace: str) -> bool:
        """Whether the backup read all of one place, not only what others refer to."""
        return namespace in self._scopes.listed.get(resource, ())

    # --- one object -------------------------------------------------------------------

    def _meet_any(self, ref: ResourceIdentifier, live: LiveObject) -> None:
        """As `_meet`; what cannot be compared is unknown."""
        try:
            self._meet(ref, live)
        except ArchiveCorruptError as exc:
            self._found.unknown.append((ref, str(exc)))
        except ODD as exc:
            self._found.unknown.append((ref, oddity(exc)))

    def _meet(self, ref: ResourceIdentifier, live: LiveObject) -> None:
        """Hold an item against the object of its name."""
        item = self._bodies.get(ref)
        if item is None:
            return
        stored, body = item.content, live.json()
        if self._left_out.in_backup(ref, stored):
            self._found.left_out += 1
            return
        if item.raw == body:  # not written to since: most objects of most clusters
            self._found.same += 1
            return
        found: dict[str, Any] = _decode(body)
        version = found.get("apiVersion")
        if version != item.api_version:
            reason = f"the cluster serves {version}, the backup has {item.api_version}"
            self._found.unknown.append((ref, reason))
        elif changes := tuple(differences(stored, found)):
            self._found.changed.append(ChangedItem(identifier=ref, differences=changes))
        else:
            self._found.same += 1

    def _is_new(self, ref: ResourceIdentifier, live: LiveObject) -> bool:
        """Whether the backup would have taken an object, had it been there."""
        content: dict[str, Any] = _decode(live.json())
        found = content["metadata"].get("labels")
        if live.deleting or not self._scopes.takes(ref, found):
            return False
        return not self._left_out.in_cluster(ref, content)

    def _compared(
        self, resource: GroupResource, left: set[_Key]
    ) -> Iterator[ResourceIdentifier]:
        """The items of which no live object was seen, but for what is left out."""
        for key in sorted(left):
            ref = ResourceIdentifier(resource, *key)
            item = self._bodies.get(ref)
            if item is None:
                continue
            try:
                if self._left_out.in_backup(ref, item.content):
                    self._found.left_out += 1
                    continue
            except (ArchiveCorruptError, *ODD):
                pass  # it is in the backup, and not in the cluster, whatever it is
            yield ref
