"""Holds a backup against the live cluster, type by type; reads only.

Not read out of a plan: a plan tells what a restore would choose to do, and leaves out
what it would not restore. Here each item is held as it is against the object of its
name. The archive's index and the LISTs are joined page by page as in the planner, so
that neither backup nor cluster is ever held in memory. Called by the engine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import msgspec

from kbackup._kits.ahead import read_ahead
from kbackup._kits.globs import is_glob
from kbackup.archive import TWINS, ArchiveContents, TypeWords
from kbackup.catalog.engine import (
    EVERYWHERE,
    SYSTEM_NAMESPACES,
    Comparison,
    LeftOut,
    Scopes,
    Selection,
    Wanted,
    damage_of,
    is_made,
    namespaces_in,
    select,
)
from kbackup.cluster import Cluster, Discovery
from kbackup.errors import (
    ClusterError,
    ClusterUnreachableError,
    UnauthorizedError,
)
from kbackup.models import (
    APIResource,
    Difference,
    GroupResource,
    Item,
    ResourceIdentifier,
    RestoreOptions,
    labels,
    well_known,
)
from kbackup.plugins import ClusterReader, ItemsProgressed, Run
from kbackup.restore._session import Session, cancel_as_error
from kbackup.restore._source import opened, read_manifest
from kbackup.restore._target.converting import ConvertedItem, needed_conversions
from kbackup.restore._target.reads import MemoReader
from kbackup.restore._target.seen import LiveObject, find
from kbackup.restore._target.serving import has_served_twin

_Key = tuple[str, str]  # namespace, name, in the cluster

_FEW = 3  # up to so many single GETs cost less than the LIST of a big namespace
_ALL = "*"  # stands for the name where nothing of a list could be read
_OF_EVERY_CLUSTER = frozenset({"default", *SYSTEM_NAMESPACES})
_decode = msgspec.json.decode


def compare_live(
    session: Session, backup_name: str, wanted: Wanted, *, salvage: bool = False
) -> Difference:
    """Hold a backup against the live cluster; write nothing."""
    with cancel_as_error():
        backup = session.store.get(backup_name)
        options = RestoreOptions(salvage=salvage)
        run = session.run(backup_name, backup.metadata.uid)
        with opened(session, run, backup, options) as contents:
            cluster = session.bound(run)
            manifest = read_manifest(session, backup, options)
            scopes = Scopes.of(backup, manifest, contents)
            damage = damage_of(contents, manifest)
            if damage:
                scopes = scopes.of_a_part()
            with run.phase("compare", total=len(contents)):
                around = Around.of(cluster, contents)
                selection = around.select(wanted)
                around = attrs.evolve(around, selection=selection)
                found = LiveDiff(backup.name, cluster, around, scopes, run).run()
                told = (f"backup {backup.name} is damaged: {each}" for each in damage)
                return attrs.evolve(found, damage=tuple(told))


@attrs.frozen(kw_only=True)
class Around:
    """What lies around the items of a backup: in it, and then in the cluster.

    `Surroundings` of a `LeftOut`; for one thread.

    Attributes:
        contents: The backup, in versions that the cluster serves.
        discovery: Of the cluster.
        reader: Of the cluster; remembers what it has read.
        selection: What is compared.
    """

    contents: ArchiveContents
    discovery: Discovery
    reader: ClusterReader
    selection: Selection = Selection()  # noqa: RUF009 - frozen

    @classmethod
    def of(cls, cluster: Cluster, contents: ArchiveContents) -> Around:
        """Look at what the cluster serves."""
        discovery = cluster.discover(refresh=True)  # CRDs come and go
        reader = MemoReader(cluster.reader())
        contents = needed_conversions(contents, discovery).applied_to(contents)
        return cls(contents=contents, discovery=discovery, reader=reader)

    def select(self, wanted: Wanted) -> Selection:
        """Resolve what was asked for against backup and cluster."""
        return select(
            wanted,
            left=namespaces_in(self.contents),
            words=TypeWords.of(self.contents) if wanted.names_types else TypeWords(),
            served=self._served,
            is_there=lambda name: self.live(_namespace(name)) is not None,
        )

    def _served(self, word: str) -> tuple[GroupResource, ...]:
        found = self.discovery.resolve(word)
        return () if found is None else (found.group_resource,)

    def find(self, ref: ResourceIdentifier) -> Mapping[str, Any] | None:
        """What the backup has of that name, or else the cluster."""
        stored = self.contents.get(ref)
        return (
            self.live(self.selection.target(ref)) if stored is None else stored.content
        )

    def live(self, ref: ResourceIdentifier) -> Mapping[str, Any] | None:
        """What the cluster has of that name; None: nothing that can be read."""
        try:
            return self.reader.get(ref)
        except ClusterError:  # not readable: then nothing speaks against comparing
            return None

    def type_of(self, api_version: str, kind: str) -> tuple[GroupResource, bool] | None:
        """The type of a kind."""
        found = self.discovery.by_kind(api_version, kind)
        return None if found is None else (found.group_resource, found.namespaced)

    def has_twin(self, ref: ResourceIdentifier) -> bool:
        """Whether the same object is stored under a newer type, too, which is served."""
        return has_served_twin(ref, self.contents, self.discovery)

    def keeps_out(self, namespace: str) -> bool:
        """Whether a label keeps a namespace, with all that is in it, out of backups."""
        found = self.live(_namespace(namespace)) or {}
        return labels.is_excluded((found.get("metadata") or {}).get("labels") or {})


def _namespace(name: str) -> ResourceIdentifier:
    return ResourceIdentifier(well_known.NAMESPACES, "", name)


class LiveDiff:
    """Compares one backup with one cluster; used once, by one thread."""

    def __init__(
        self, name: str, cluster: Cluster, around: Around, scopes: Scopes, run: Run
    ) -> None:
        self._cluster = cluster
        self._around = around
        self._contents = around.contents
        self._selection = around.selection
        self._scopes = scopes
        self._run = run
        self._bodies = around.contents.in_order()
        named = self._selection.types or frozenset()
        self._left_out = LeftOut(around, named)
        self._found = Comparison(
            left=f"backup {name}",
            right=f"cluster {cluster.context or cluster.server}",
            selection=self._selection,
            left_out=self._left_out,
        )
        self._done = 0

    def run(self) -> Difference:
        """Look at everything that the backup has, and wherever it looked."""
        types = {*self._contents.resources(), *self._scopes.listed}
        for resource in sorted(filter(self._selection.wants_type, types), key=str):
            self._run.cancel.check()
            if self._left_out.covers_type(resource):
                found = self._contents.identifiers(resource)
                self._found.skipped += sum(map(self._selection.wants, found))
                continue
            for namespace in self._namespaces(resource):
                self._compare_scope(resource, namespace)
        return self._found.result()

    def _namespaces(self, resource: GroupResource) -> list[str]:
        """Where to look, each place once; `EVERYWHERE` alone: one LIST for all.

        Places are called as in the backup.
        """
        listed = self._scopes.listed.get(resource, frozenset())
        chosen = self._selection.namespaces
        if EVERYWHERE in listed and chosen.includes_everything:
            return [EVERYWHERE]
        places = self._contents.of_type(resource).places
        found = {*listed, *(namespace for namespace, _ in places)}
        if EVERYWHERE in listed and self._is_namespaced(resource):
            if any(map(is_glob, chosen.includes)):
                return [EVERYWHERE]
            found = {*found, *chosen.includes} - {EVERYWHERE}
        elif resource != well_known.NAMESPACES and not chosen.includes_everything:
            found.discard(EVERYWHERE)
        return sorted(x for x in found if x == EVERYWHERE or chosen.wants(x))

    def _compare_scope(self, resource: GroupResource, namespace: str) -> None:
        """Join the items of one place with the live objects of their names."""
        stored = self._contents.identifiers(resource, namespace or None)
        left = {}
        for ref in filter(self._selection.wants, stored):
            target = self._selection.target(ref)
            left[target.namespace, target.name] = ref
        self._run.emit(ItemsProgressed(done=self._done, current=resource))
        self._done += len(left)
        listed = self._scopes.listed_all(resource, namespace)
        try:
            served = self._served(resource)
            where = self._live_name(namespace)
            for key, live in self._live(served, where, left, listed=listed):
                stored_ref = left.pop(key, None)
                if stored_ref is not None:
                    self._meet(stored_ref, live)
                elif listed:
                    self._see_new(ResourceIdentifier(resource, *key), live)
        except ClusterError as exc:
            if isinstance(exc, ClusterUnreachableError | UnauthorizedError):
                raise
            self._cannot_read(resource, namespace, left, exc)
        else:
            for ref in left.values():
                item = self._bodies.get(ref)
                if item is not None:
                    self._found.lose(item)

    def _cannot_read(
        self,
        resource: GroupResource,
        namespace: str,
        left: Mapping[_Key, ResourceIdentifier],
        exc: ClusterError,
    ) -> None:
        """Say of what could not be looked at that it is not known."""
        reason = f"not readable: {exc}"
        items = filter(None, map(self._bodies.get, left.values()))
        if not [item for item in items if self._found.miss(item, reason)]:
            place = ResourceIdentifier(resource, namespace, _ALL)
            self._found.cannot_tell(place, reason)

    def _live_name(self, namespace: str) -> str:
        return self._selection.mapping.get(namespace, namespace)

    def _served(self, resource: GroupResource) -> APIResource | None:
        """How the cluster serves a type, best in the backup's version; None: not."""
        discovery = self._around.discovery
        head = self._contents.of_type(resource).head
        served = discovery.by_kind(*head) or discovery.get(resource)
        if served is not None:
            return served
        for failure in discovery.failures:
            if failure.group_version.partition("/")[0] == resource.group:
                raise ClusterError("discover", str(resource), reason=failure.reason)
        return None

    def _is_namespaced(self, resource: GroupResource) -> bool:
        places = self._contents.of_type(resource).places
        if places:
            return bool(next(iter(places))[0])
        served = self._around.discovery.get(resource)
        return served is not None and served.namespaced

    def _live(
        self,
        served: APIResource | None,
        namespace: str,
        left: Mapping[_Key, ResourceIdentifier],
        *,
        listed: bool,
    ) -> Iterator[tuple[_Key, LiveObject]]:
        """The live objects of one place, or just those of a few names."""
        if served is None:
            return
        if not listed and len(left) <= _FEW:
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

    # --- one object -------------------------------------------------------------------

    def _meet(self, ref: ResourceIdentifier, live: LiveObject) -> None:
        """Hold an item against the object of its name."""
        item: Item | None = self._bodies.get(ref)
        if isinstance(item, ConvertedItem) and item.refusal:
            self._found.miss(item, item.refusal)
        elif item is not None:
            self._found.meet(item, live.json())

    def _see_new(self, ref: ResourceIdentifier, live: LiveObject) -> None:
        """Note an object that the backup would have taken, had it been there."""
        source = self._selection.source(ref)
        if live.deleting or source is None or not self._selection.wants(source):
            return
        content: dict[str, Any] = _decode(live.json())
        found = content["metadata"].get("labels")
        if not self._scopes.takes(source, found):
            return
        if self._selection.wants_labels(content) and not self._is_none(ref, content):
            self._found.add(ref)

    def _is_none(self, ref: ResourceIdentifier, content: Mapping[str, Any]) -> bool:
        """Whether an object that only the cluster has is not new.

        What it was made of lives, too, or it would soon be gone.
        """
        if (
            ref.group_resource == well_known.NAMESPACES
            and ref.name in _OF_EVERY_CLUSTER
        ):
            return True
        if ref.namespace and self._around.keeps_out(ref.namespace):
            return True
        newer = TWINS.get(ref.group_resource)
        if newer is not None and self._around.discovery.get(newer) is not None:
            return True
        return self._left_out.is_systems(ref, content) or is_made(ref, content)
