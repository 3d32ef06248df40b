"""One entry of a plan, written: create, update, recreate, or find that it is done.

Called by the writer's threads. Here is what comes before the write: the item as it is to
be written, the place at the gate, what actions begin. The writes themselves are in
`creating` and `updating`.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from enum import Enum, auto
from functools import partial

from kbackup.archive import ArchiveContents
from kbackup.cluster import Cluster
from kbackup.errors import ClusterError, ForbiddenError, KBackupError
from kbackup.hooks import NO_COMMANDS, PodCommands
from kbackup.models import APIResource, ResourceIdentifier, well_known
from kbackup.plugins import Run
from kbackup.plugins.engine import Operations, plugin_of
from kbackup.restore._attempt import (
    FAILED,
    SKIPPED,
    UNCHANGED,
    UNTOLD,
    UPDATED,
    Attempt,
)
from kbackup.restore._making.desired import Desired, DesiredMaker
from kbackup.restore._making.readiness import Readiness
from kbackup.restore._owners.live_dependents import LiveDependents
from kbackup.restore._owners.owners import OwnerLinks
from kbackup.restore._plan.claims import ClaimLine, ClaimVerdict
from kbackup.restore._plan_entry import PlanAction, PlanEntry
from kbackup.restore._request.policies import Policies
from kbackup.restore._request.redaction import Redaction
from kbackup.restore._target.answers import may_pass
from kbackup.restore._target.types import ServedTypes
from kbackup.restore._verdicts.adoption import made_idle
from kbackup.restore._verdicts.hooked_pods import is_hooked
from kbackup.restore._writes.applying import Applier
from kbackup.restore._writes.creating import Creator
from kbackup.restore._writes.disk_watch import DiskWatch
from kbackup.restore._writes.gate import Gate
from kbackup.restore._writes.kept_volumes import KeptVolumes
from kbackup.restore._writes.recreating import DELETED, Recreator
from kbackup.restore._writes.saved import SavedObjects
from kbackup.restore._writes.server import Server
from kbackup.restore._writes.tying import Tier
from kbackup.restore._writes.updating import MOVED, Updater, other_digest

_FIRST_LOOK, _LONGEST_WAIT = 0.05, 2.0  # seconds, at the end of what is deleted


class _Aside(Enum):
    """What comes before an entry is written, and not at the gate."""

    BEGIN = auto()
    AWAIT_END = auto()


class ObjectWriter:
    """Writes single entries; its `write` may be called from any thread.

    With *dry_run* the server is asked what it would answer, and nothing is stored.
    Without *operations* no action begins anything, without *readiness* none waits, and
    without *kept* no claim does.
    """

    def __init__(
        self,
        *,
        cluster: Cluster,
        types: ServedTypes,
        contents: ArchiveContents,
        maker: DesiredMaker,
        lines: Mapping[ResourceIdentifier, ClaimLine],
        policies: Policies,
        redaction: Redaction,
        restore_label: str,
        gate: Gate,
        run: Run,
        owners: OwnerLinks,
        dependents: LiveDependents,
        operations: Operations | None = None,
        readiness: Readiness | None = None,
        kept: KeptVolumes | None = None,
        saved: SavedObjects = SavedObjects(),  # noqa: B008 - frozen
        dry_run: bool = False,
    ) -> None:
        self._server = Server(cluster, gate=gate, redaction=redaction, dry_run=dry_run)
        self._updater = Updater(self._server, policies, run, saved)
        server, updater = self._server, self._updater
        self._creator = Creator(
            server,
            updater,
            contents=contents,
            owners=owners,
            policies=policies,
            restore_label=restore_label,
            run=run,
        )
        self._recreator = Recreator(server, updater, self._creator, dependents)
        self._applier = Applier(server, policies, contents, run, saved)
        self._owners = owners
        self._tier = Tier(server, policies, owners, run)
        self._changed: dict[ResourceIdentifier, Attempt] = {}
        self._disks = DiskWatch(cluster)
        self._gate = gate
        self._types = types
        self._contents = contents
        self._maker = maker
        self._lines = lines
        self._offered = _offered(lines.values())
        self._run = run
        self._operations = operations
        self._readiness = readiness
        self._kept = kept
        self._begun: set[ResourceIdentifier] = set()

    def room(self) -> int:
        """How many writes the server seems to bear at this moment."""
        return self._gate.limit

    def untold(self, entry: PlanEntry) -> str:
        """What is to be known of an entry that was begun when the run ended."""
        if self._recreator.has_deleted(entry):
            return DELETED
        return UNTOLD if self._server.lost_an_answer(entry) else ""

    def write(self, entry: PlanEntry) -> Attempt:
        """Try to carry out one entry; an error becomes part of the attempt."""
        attempt = self._try(entry)
        is_recreated = entry.action is PlanAction.RECREATE and attempt.is_over
        if is_recreated or attempt.action in (FAILED, SKIPPED):
            self._owners.end(entry.target)
        if self._kept is not None:
            self._kept.note(entry, attempt)
        return attempt

    def _try(self, entry: PlanEntry) -> Attempt:
        try:
            return self._begin_and_write(entry)
        except ClusterError as exc:  # of a look, not of the write itself
            reason = self._server.explain_look(entry, exc)
            return Attempt(action="" if may_pass(exc) else FAILED, reason=reason)
        except KBackupError as exc:
            action = "" if may_pass(exc) else FAILED
            return Attempt(action=action, reason=str(exc), plugin=plugin_of(exc))
        except Exception as exc:  # noqa: BLE001 - one odd item must not end the restore
            words = "" if self._server.hides(entry) else f": {exc}"
            return Attempt(action=FAILED, reason=f"{type(exc).__name__}{words}")

    def _begin_and_write(self, entry: PlanEntry) -> Attempt:
        while isinstance(attempt := self._at_gate(entry), _Aside):
            if attempt is _Aside.AWAIT_END:
                self._await_end(entry)
                continue
            # What actions do, not at the gate: it says nothing about the server.
            if reason := self._reason_to_wait(entry):
                return Attempt(reason=reason)
            self._begin(entry)
        return attempt

    def _await_end(self, entry: PlanEntry) -> None:
        """Wait a moment until what was deleted is gone, so that no gap gets wide.

        What a finalizer holds longer is tried again as whatever may pass.
        """
        resource, cancel = self._types.find(entry), self._run.cancel
        waited, pause = 0.0, _FIRST_LOOK
        while resource is not None and waited < _LONGEST_WAIT:
            if self._recreator.is_gone(entry, resource):
                return
            cancel.wait(pause)
            waited, pause = waited + pause, pause * 2

    def _at_gate(self, entry: PlanEntry) -> Attempt | _Aside:
        # Within the gate from the start: whoever waits holds no body in memory.
        with self._gate.writing(self._contents.size(entry.identifier)):
            return self._write(entry)

    def _write(self, entry: PlanEntry) -> Attempt | _Aside:
        """Try to write one entry, or say what comes first."""
        resource = self._types.find(entry)
        if resource is None:
            reason = f"{entry.target.group_resource} is not served (yet)"
            return Attempt(reason=reason)
        claim = self._offered.get(entry.target.name)
        is_volume = entry.target.group_resource == well_known.PERSISTENT_VOLUMES
        if entry.action is PlanAction.UPDATE and is_volume and claim is not None:
            return self._rebind(entry, resource, claim)
        desired = self._desired(entry)
        if refused := self._refused(entry, resource, desired):
            return Attempt(action=FAILED, reason=refused)
        if self._kept is not None and (instead := self._kept.before(entry)):
            return instead
        if self._is_to_wait(entry, desired) or self._is_to_begin(entry, desired):
            return _Aside.BEGIN
        return self._send(entry, resource, desired) or _Aside.AWAIT_END

    def _send(
        self, entry: PlanEntry, resource: APIResource, desired: Desired
    ) -> Attempt | None:
        """Do what the plan says; None: the end of what was deleted is to be awaited."""
        if entry.action is PlanAction.RECREATE:
            return self._recreator.recreate(entry, resource, desired)
        if entry.action is not PlanAction.UPDATE:
            return self._creator.create(entry, resource, desired)
        return self._change_and_tie(entry, resource, desired)

    def _change_and_tie(
        self, entry: PlanEntry, resource: APIResource, desired: Desired
    ) -> Attempt:
        """Change what is there, then tie it to owners that were created anew."""
        if not entry.ties:
            return self._change(entry, resource, desired)
        if not entry.only_ties and entry.identifier not in self._changed:
            attempt = self._change(entry, resource, desired)
            if not attempt.is_over or attempt.action not in (UPDATED, UNCHANGED):
                return attempt
            self._changed[entry.identifier] = attempt
        attempt = self._tier.tie(entry, resource, desired)
        changed = self._changed.get(entry.identifier)
        is_told = attempt.action == UNCHANGED and changed is not None
        return changed if is_told and changed is not None else attempt

    def _change(
        self, entry: PlanEntry, resource: APIResource, desired: Desired
    ) -> Attempt:
        if entry.apply:
            return self._applier.apply(entry, resource, desired)
        completes = entry.only_second_writes
        change = self._creator.complete if completes else self._updater.update
        return change(entry, resource, desired)

    def _rebind(
        self, entry: PlanEntry, resource: APIResource, claim: ResourceIdentifier
    ) -> Attempt:
        if used := self._disks.in_use_beside(resource, entry.target.name):
            return Attempt(action=FAILED, reason=used)
        return self._updater.rebind(entry, resource, claim)

    def _refused(
        self, entry: PlanEntry, resource: APIResource, desired: Desired
    ) -> str:
        """Why an item is not written as it would be now; empty: it may be."""
        if not _is_planned(entry, desired):
            return other_digest(entry.changed_by, desired.changed_by)
        target = entry.target
        is_volume = target.group_resource == well_known.PERSISTENT_VOLUMES
        if not is_volume or entry.action is PlanAction.UPDATE:  # one keeps its disk
            return ""
        return self._disks.in_use(resource, target.name, desired.content)

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
        desired = self._maker.make(item, item.content, line, hooked=is_hooked(entry))
        return made_idle(desired) if entry.idle else desired

    def commands_of(self, entry: PlanEntry) -> PodCommands:
        """What is run in a Pod once it is there.

        Raises:
            PluginError: An action, a hook or a transform failed on it.
        """
        item = self._contents.get(entry.identifier)
        if item is None:
            return NO_COMMANDS
        return self._maker.make(item, item.content).commands

    # --- wait and begin ---------------------------------------------------------------

    def _is_to_wait(self, entry: PlanEntry, desired: Desired) -> bool:
        is_written = not (entry.only_second_writes or entry.only_ties)
        if not is_written or not desired.awaits or self._readiness is None:
            return False
        return self._readiness.is_open(entry, desired.awaits)

    def _reason_to_wait(self, entry: PlanEntry) -> str:
        """Why it is not written yet; empty: nobody waits for anything."""
        item, desired = self._contents.get(entry.identifier), self._desired(entry)
        if item is None or self._readiness is None or not desired.awaits:
            return ""
        return self._readiness.reason_to_wait(
            entry,
            desired.awaits,
            partial(self._maker.given, item, desired.content),
            hide=self._server.hides(entry),
        )

    def _begin(self, entry: PlanEntry) -> None:
        """Let actions act once; nothing is done to an object that moved."""
        resource = self._types.find(entry)
        item, desired = self._contents.get(entry.identifier), self._desired(entry)
        if resource is None or item is None or not self._is_to_begin(entry, desired):
            return
        as_planned = self._is_to_be_written(entry, resource, desired)
        self._begun.add(entry.identifier)
        for action in desired.begins:
            if as_planned and self._operations is not None:
                given = self._maker.given(item, desired.content, action.name)
                hide = self._server.hides(entry)
                self._operations.begin(action, given, entry.target, hide=hide)
            else:
                message = f"{action.name} did not begin: {MOVED}"
                self._run.warning(message, item=entry.target, plugin=action.name)

    def _is_to_begin(self, entry: PlanEntry, desired: Desired) -> bool:
        if entry.only_second_writes or entry.only_ties or not self._operations:
            return False
        return bool(desired.begins) and entry.identifier not in self._begun

    def _is_to_be_written(
        self, entry: PlanEntry, resource: APIResource, desired: Desired
    ) -> bool:
        """Whether the target has what the plan saw; what nobody may read counts."""
        try:
            live = self._server.look(entry, resource)
        except ForbiddenError:
            return entry.action is PlanAction.UNKNOWN
        if entry.action is PlanAction.RECREATE:
            return live is None or self._updater.fits(entry, desired, live)
        if live is None or entry.action is not PlanAction.UPDATE:
            return live is None and entry.action is not PlanAction.UPDATE
        return self._updater.fits(entry, desired, live)


def _offered(lines: Iterable[ClaimLine]) -> Mapping[str, ResourceIdentifier]:
    """The volumes that are bound again, each with its claim."""
    return {
        line.volume: line.target
        for line in lines
        if line.verdict is ClaimVerdict.REATTACH
    }


def _is_planned(entry: PlanEntry, desired: Desired) -> bool:
    """Whether the item as it would be written is the one, and goes where, planned."""
    content = desired.content
    named = (content.get("apiVersion"), content.get("kind"), desired.target)
    planned = (entry.api_version, entry.kind, entry.target)
    return desired.digest == entry.digest and named == planned
