"""One entry of a plan, written: create, update, or find that it is done already.

Called by the writer's threads. Each ordinary object is written once; the answer of a
write that got lost is found by looking for our label.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from kbackup._kits.normalise import same
from kbackup._kits.words import first_few
from kbackup.archive import ArchiveContents
from kbackup.cluster import Cluster, PatchKind
from kbackup.errors import (
    ClusterError,
    ForbiddenError,
    ItemNotFoundError,
    KBackupError,
)
from kbackup.models import APIResource, ResourceIdentifier, well_known
from kbackup.plugins import Run
from kbackup.plugins.engine import Operations
from kbackup.restore._answers import (
    Answer,
    explain,
    is_about_conversion,
    is_push_back,
    leaving,
    meaning,
)
from kbackup.restore._claims import (
    ClaimLine,
    ClaimVerdict,
    is_offered,
    rebind_digest,
    rebind_patch,
)
from kbackup.restore._desired import Desired, DesiredMaker
from kbackup.restore._dropped import dropped_fields
from kbackup.restore._existing import ExistingRules, decide, update_patch
from kbackup.restore._gate import Gate
from kbackup.restore._managed_fields import ownership_patch
from kbackup.restore._owners import OwnerLinks, tied, without_blocks
from kbackup.restore._plan import PlanAction, PlanEntry, Precondition
from kbackup.restore._redaction import Redaction
from kbackup.restore._reset import is_labelled
from kbackup.restore._seen import cleaned
from kbackup.restore._types import ServedTypes
from kbackup.restore._writer import (
    CREATED,
    FAILED,
    SKIPPED,
    UNCHANGED,
    UPDATED,
    Attempt,
)

_MOVED = "the live object changed since the plan was made"
_APPEARED = "an object of this name appeared since the plan was made"
_UNSEEN = "an object of this name exists"
_DONE = "done already"
_OURS_CHANGED = "this restore made it before, and it changed since"
_DEFERRALS = 3  # for an owner that waits itself; it is tried before what it owns
_BLOCKING = "blockownerdeletion"
_DIGEST = "the item would be written differently than planned"
_NOT_ALLOWED = "the plan says update, which it does not allow"


class ObjectWriter:
    """Writes single entries; its `write` may be called from any thread.

    With *dry_run* the server is asked what it would answer, and nothing is stored.
    Without *operations* no action begins anything.
    """

    def __init__(
        self,
        *,
        cluster: Cluster,
        types: ServedTypes,
        contents: ArchiveContents,
        maker: DesiredMaker,
        lines: Mapping[ResourceIdentifier, ClaimLine],
        rules: ExistingRules,
        redaction: Redaction,
        restore_label: str,
        gate: Gate,
        run: Run,
        owners: OwnerLinks,
        operations: Operations | None = None,
        dry_run: bool = False,
    ) -> None:
        self._operations = operations
        self._begun: set[ResourceIdentifier] = set()
        self._unanswered: set[ResourceIdentifier] = set()
        self._owners = owners
        self._deferred: Counter[ResourceIdentifier] = Counter()
        self._dry_run = dry_run
        self._cluster = cluster
        self._types = types
        self._contents = contents
        self._maker = maker
        self._lines = lines
        self._offered = {
            line.volume: line.target
            for line in lines.values()
            if line.verdict is ClaimVerdict.REATTACH
        }
        self._rules = rules
        self._redaction = redaction
        self._label = restore_label
        self._gate = gate
        self._run = run

    def room(self) -> int:
        """How many writes the server seems to bear at this moment."""
        return self._gate.limit

    def write(self, entry: PlanEntry) -> Attempt:
        """Try to carry out one entry; an error becomes part of the attempt."""
        try:
            return self._begin_and_write(entry)
        except ClusterError as exc:  # of a look, not of the write itself
            reason = explain(exc, hide=self._hides(entry))
            retry = meaning(exc, create=True) in (Answer.RETRY, Answer.LOOK)
            return Attempt(action="" if retry else FAILED, reason=reason)
        except KBackupError as exc:
            return Attempt(action=FAILED, reason=str(exc))
        except Exception as exc:  # noqa: BLE001 - one odd item must not end the restore
            words = "" if self._hides(entry) else f": {exc}"
            return Attempt(action=FAILED, reason=f"{type(exc).__name__}{words}")

    def _begin_and_write(self, entry: PlanEntry) -> Attempt:
        while (attempt := self._at_gate(entry)) is None:
            self._begin(entry)  # not at the gate: it says nothing about the server
        return attempt

    def _at_gate(self, entry: PlanEntry) -> Attempt | None:
        # Within the gate from the start: whoever waits holds no body in memory.
        with self._gate.writing():
            return self._write(entry)

    def _write(self, entry: PlanEntry) -> Attempt | None:
        """Try to write one entry; None: first its actions are to begin."""
        resource = self._types.find(entry)
        if resource is None:
            reason = f"{entry.target.group_resource} is not served (yet)"
            return Attempt(reason=reason)
        claim = self._offered.get(entry.target.name)
        is_volume = entry.target.group_resource == well_known.PERSISTENT_VOLUMES
        if entry.action is PlanAction.UPDATE and is_volume and claim is not None:
            return self._rebind(entry, resource, claim)
        desired = self._desired(entry)
        if not _is_planned(entry, desired):
            return Attempt(action=FAILED, reason=_DIGEST)
        if desired.begins and self._operations and entry.identifier not in self._begun:
            return None
        if entry.action is PlanAction.UPDATE:
            return self._update(entry, resource, desired)
        return self._create(entry, resource, desired)

    def rehearse(self, entries: Iterable[PlanEntry]) -> None:
        """Let every action see the target as it is before the first write.

        What they ask it is remembered: what this very restore changes there must not
        change what they make of the next item. What fails will fail again when it is
        written, and is told then.
        """
        for entry in entries:
            if entry.action.writes and self._maker.has_actions(entry.identifier):
                self._run.cancel.check()
                with suppress(KBackupError):
                    self._desired(entry)

    def _desired(self, entry: PlanEntry) -> Desired:
        item = self._contents.get(entry.identifier)
        if item is None:
            return self._maker.make_blank_namespace(entry.target)
        line = self._lines.get(entry.identifier)
        return self._maker.make(item, item.content, line)

    # --- begin ------------------------------------------------------------------------

    def _begin(self, entry: PlanEntry) -> None:
        """Let actions act once; nothing is done to an object that moved."""
        resource = self._types.find(entry)
        item, desired = self._contents.get(entry.identifier), self._desired(entry)
        if resource is None or item is None or self._operations is None:
            return
        as_planned = self._is_to_be_written(entry, resource, desired)
        self._begun.add(entry.identifier)
        for action in desired.begins:
            if as_planned:
                given = self._maker.given(item, desired.content)
                hide = self._hides(entry)
                self._operations.begin(action, given, entry.target, hide=hide)
            else:
                message = f"{action.name} did not begin: {_MOVED}"
                self._run.warning(message, item=entry.target, plugin=action.name)

    def _is_to_be_written(
        self, entry: PlanEntry, resource: APIResource, desired: Desired
    ) -> bool:
        """Whether the target has what the plan saw; what nobody may read counts."""
        try:
            live = self._look(entry, resource)
        except ForbiddenError:
            return entry.action is PlanAction.UNKNOWN
        if live is None or entry.action is not PlanAction.UPDATE:
            return live is None and entry.action is not PlanAction.UPDATE
        return _is_as_seen(entry, live) or self._is_as_planned(entry, desired, live)

    # --- create -----------------------------------------------------------------------

    def _create(
        self, entry: PlanEntry, resource: APIResource, desired: Desired
    ) -> Attempt:
        body: Mapping[str, Any] | bytes = desired.body
        lost = ""
        if desired.owners and not self._dry_run:
            owners = self._owners.resolve(desired.owners, entry.target.namespace)
            lost = ", ".join(owners.lost)
            if owners.may_come and self._deferred[entry.identifier] < _DEFERRALS:
                self._deferred[entry.identifier] += 1
                return Attempt(reason=f"its owner {lost} is not there")
            body = tied(desired.content, owners) if owners.found else body
        try:
            stored = self._post(entry, resource, body)
        except ClusterError as exc:
            return self._after_create(entry, resource, desired, exc)
        if entry.second_write and not self._dry_run:
            self._give_back_fields(entry, resource, stored["metadata"]["uid"])
        if lost:
            self._run.warning(f"restored without its owner {lost}", item=entry.target)
        if dropped := dropped_fields(desired.content, stored):
            message = f"the target dropped {first_few(dropped)}"
            self._run.warning(message, item=entry.target)
        return Attempt(action=CREATED, reason=entry.reason)

    def _post(
        self, entry: PlanEntry, resource: APIResource, body: Mapping[str, Any] | bytes
    ) -> dict[str, Any]:
        """Create it; an owner whose deletion we may not hold up is not held up."""
        namespace, dry_run = entry.target.namespace, self._dry_run
        try:
            return self._cluster.create(
                resource, body, namespace=namespace, dry_run=dry_run
            )
        except ForbiddenError as exc:
            if isinstance(body, bytes) or _BLOCKING not in str(exc).lower():
                raise
        stored = self._cluster.create(
            resource, without_blocks(body), namespace=namespace, dry_run=dry_run
        )
        message = "restored without blockOwnerDeletion: the server forbids it"
        self._run.warning(message, item=entry.target)
        return stored

    def _after_create(
        self,
        entry: PlanEntry,
        resource: APIResource,
        desired: Desired,
        error: ClusterError,
    ) -> Attempt:
        if is_push_back(error):
            self._gate.push_back()
        reason = self._last_answer(entry, error)
        answer = meaning(error, create=True)
        if answer is Answer.LOOK:
            self._unanswered.add(entry.identifier)
        if answer is Answer.RETRY:
            return Attempt(reason=reason)
        if answer is Answer.FAIL:
            return Attempt(action=FAILED, reason=reason)
        live = self._look(entry, resource)
        if live is None:
            fails = answer is Answer.EXISTS
            return Attempt(action=FAILED if fails else "", reason=reason)
        if live["metadata"].get("deletionTimestamp"):
            return Attempt(reason=leaving(live))
        return self._meet(entry, resource, desired, live)

    def _meet(
        self,
        entry: PlanEntry,
        resource: APIResource,
        desired: Desired,
        live: dict[str, Any],
    ) -> Attempt:
        """An object of that name is there, though the plan saw none."""
        ours, seen = (
            is_labelled(live["metadata"].get("labels"), self._label),
            Precondition.of(live),
        )
        verdict = decide(desired.content, cleaned(live), self._rules)
        is_as_desired = verdict.action is PlanAction.UNCHANGED
        answered = entry.identifier not in self._unanswered
        if ours and entry.second_write and (is_as_desired or not answered):
            self._give_back_fields(entry, resource, seen.uid)
        if ours and not answered:
            return Attempt(action=CREATED, reason=entry.reason)
        if is_as_desired:
            return Attempt(action=UNCHANGED, reason=_DONE if ours else verdict.reason)
        if entry.target.group_resource == well_known.NAMESPACES:
            return Attempt(action=SKIPPED, reason=verdict.reason)
        if (
            entry.kind == "ServiceAccount" and not ours
        ):  # the target makes `default` by itself
            return self._patch(entry, resource, desired, live, seen)
        reason = _UNSEEN if entry.action is PlanAction.UNKNOWN else _APPEARED
        reason = _OURS_CHANGED if ours else reason
        return Attempt(action=SKIPPED, reason=reason, moved=True)

    # --- update -----------------------------------------------------------------------

    def _update(
        self, entry: PlanEntry, resource: APIResource, desired: Desired
    ) -> Attempt:
        live = self._look(entry, resource)
        if live is None:
            return Attempt(action=SKIPPED, reason=_MOVED, moved=True)
        seen = Precondition.of(live)
        if seen != entry.precondition and not self._is_as_planned(entry, desired, live):
            return self._moved(entry, desired, live)
        live = cleaned(live)
        verdict = decide(desired.content, live, self._rules, hide=True)
        if verdict.action is not PlanAction.UPDATE:
            reason = f"{_NOT_ALLOWED}: {verdict.reason or verdict.action}"
            return Attempt(action=FAILED, reason=reason)
        return self._patch(entry, resource, desired, live, seen)

    def _patch(
        self,
        entry: PlanEntry,
        resource: APIResource,
        desired: Desired,
        live: dict[str, Any],
        seen: Precondition,
    ) -> Attempt:
        keep = self._rules.keep_node_ports
        patch = update_patch(desired.content, live, seen, keep_node_ports=keep)
        return self._send(entry, resource, patch, desired)

    def _send(
        self,
        entry: PlanEntry,
        resource: APIResource,
        patch: dict[str, Any],
        desired: Desired | None,
    ) -> Attempt:
        target = entry.target
        try:
            self._cluster.patch(
                resource,
                target.name,
                patch,
                namespace=target.namespace,
                kind=PatchKind.MERGE,
                dry_run=self._dry_run,
            )
        except ClusterError as exc:
            return self._after_patch(entry, resource, desired, exc)
        return Attempt(action=UPDATED, reason=entry.reason)

    def _after_patch(
        self,
        entry: PlanEntry,
        resource: APIResource,
        desired: Desired | None,
        error: ClusterError,
    ) -> Attempt:
        if is_push_back(error):
            self._gate.push_back()
        reason = self._last_answer(entry, error)
        answer = meaning(error, create=False)
        if answer is Answer.LOOK:
            self._unanswered.add(entry.identifier)
        if answer is Answer.FAIL:
            return Attempt(action=FAILED, reason=reason)
        # A volume that is bound again has no body: its next try looks first.
        if answer is Answer.RETRY or desired is None:
            return Attempt(reason=reason)
        live = self._look(entry, resource)
        if live is None:
            return Attempt(action=SKIPPED, reason=_MOVED, moved=True)
        if answer is Answer.LOOK and _is_as_seen(entry, live):
            return Attempt(reason=reason)  # it did not take place
        if self._is_as_planned(entry, desired, live):
            return Attempt(reason=reason)  # only its status moved: once more
        return self._moved(entry, desired, live)

    def _is_as_planned(
        self, entry: PlanEntry, desired: Desired, live: dict[str, Any]
    ) -> bool:
        """Whether the update would change just what the plan shows, and nothing else.

        A controller that writes a status gives an object a new resourceVersion, often
        because of what this very restore wrote before. Of a Secret, or what else is
        redacted, nobody can tell: a plan does not show its values.
        """
        seen = entry.precondition
        if self._hides(entry) or seen is None or not entry.differences:
            return False
        if live["metadata"]["uid"] != seen.uid:
            return False
        verdict = decide(desired.content, cleaned(live), self._rules)
        return (
            verdict.action is PlanAction.UPDATE
            and verdict.differences == entry.differences
        )

    def _moved(
        self, entry: PlanEntry, desired: Desired, live: dict[str, Any]
    ) -> Attempt:
        """The live object is another than the plan saw: done, or left alone."""
        keep = self._rules.keep_node_ports
        if same(desired.content, cleaned(live), keep_node_ports=keep):
            return self._done(entry)
        return Attempt(action=SKIPPED, reason=_MOVED, moved=True)

    def _done(self, entry: PlanEntry) -> Attempt:
        """An update that is there: by a write whose answer was lost, or from before."""
        if entry.identifier in self._unanswered:
            return Attempt(action=UPDATED, reason=entry.reason)
        return Attempt(action=UNCHANGED, reason=_DONE)

    def _rebind(
        self, entry: PlanEntry, resource: APIResource, claim: ResourceIdentifier
    ) -> Attempt:
        if rebind_digest(claim) != entry.digest:
            return Attempt(action=FAILED, reason=_DIGEST)
        live = self._look(entry, resource)
        if live is not None and is_offered(live, claim):
            return self._done(entry)
        if live is None or not _is_as_seen(entry, live):
            return Attempt(action=SKIPPED, reason=_MOVED, moved=True)
        seen = live["metadata"]
        patch = rebind_patch(claim)
        patch["metadata"] = {
            "uid": seen["uid"],
            "resourceVersion": seen["resourceVersion"],
        }
        return self._send(entry, resource, patch, None)

    # --- beside the write -------------------------------------------------------------

    def _look(self, entry: PlanEntry, resource: APIResource) -> dict[str, Any] | None:
        target = entry.target
        try:
            item = self._cluster.get(resource, target.name, target.namespace)
        except ItemNotFoundError:
            return None
        return item.content

    def _give_back_fields(
        self, entry: PlanEntry, resource: APIResource, uid: str
    ) -> None:
        """The second write: managers of server-side apply own their fields again."""
        patch = ownership_patch(self._contents.get(entry.identifier), uid)
        if patch is None:
            return
        target = entry.target
        try:
            self._cluster.patch(
                resource,
                target.name,
                patch,
                namespace=target.namespace,
                kind=PatchKind.MERGE,
            )
        except ClusterError as exc:
            reason = explain(exc, hide=self._hides(entry))
            message = f"restored without its managedFields: {reason}"
            self._run.warning(message, item=target)

    def _last_answer(self, entry: PlanEntry, error: ClusterError) -> str:
        """What the server said; of a conversion the plan knows more than it says."""
        reason = explain(error, hide=self._hides(entry))
        if is_about_conversion(error) and entry.reason:
            return f"{reason}; {entry.reason}"
        return reason

    def _hides(self, entry: PlanEntry) -> bool:
        return self._redaction.hides(entry.identifier.group_resource, entry.kind)


def _is_planned(entry: PlanEntry, desired: Desired) -> bool:
    """Whether the item as it would be written is the one, and goes where, planned."""
    content = desired.content
    named = (content.get("apiVersion"), content.get("kind"), desired.target)
    planned = (entry.api_version, entry.kind, entry.target)
    return desired.digest == entry.digest and named == planned


def _is_as_seen(entry: PlanEntry, live: Mapping[str, Any]) -> bool:
    return Precondition.of(live) == entry.precondition
