"""Pods with hooks: each is backed up between its commands, many at a time.

Nothing here is done for a Pod that no hook concerns. The seam is
`HookedPods._store_quiesced`: what it does is done while the Pod is quiesced.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import as_completed

import attrs

from kbackup._kits.workers import WorkerPool
from kbackup.backup._additional import AdditionalItems
from kbackup.backup._item_backupper import SELECTED_TWICE, ItemBackupper
from kbackup.backup._items import Candidate
from kbackup.backup._ledger import Ledger, Tally
from kbackup.cluster import ListedItem
from kbackup.hooks import HookRules, HookRunner, PodHooks
from kbackup.models import APIResource, Item
from kbackup.plugins import Run, WaitingFor

_ENDED = "the run has ended"


@attrs.frozen(kw_only=True)
class _HookedPod:
    """A Pod that is wanted, and what is run in it."""

    resource: APIResource
    candidate: Candidate
    hooks: PodHooks
    tally: Tally


@attrs.frozen(kw_only=True)
class HookedPods:
    """Tells Pods with hooks from others, and backs them up.

    Attributes:
        runner: Runs the commands; None: they are not run, as for a plan.
        writing: Held while something is stored.
    """

    run: Run
    ledger: Ledger
    rules: HookRules
    runner: HookRunner | None
    backupper: ItemBackupper
    additional: AdditionalItems
    writing: threading.Lock

    def back_up_page(
        self, resource: APIResource, items: Sequence[ListedItem], tally: Tally
    ) -> Sequence[ListedItem]:
        """Back up those Pods of a page that have hooks; return the others."""
        concerns = self.rules.may_concern
        concerned = [x for x in items if concerns(x.namespace, x.labels, bytes(x.raw))]
        if not concerned:
            return items
        tally.listed += len(concerned)
        self.ledger.total += len(concerned)
        unmet = tally.settled(self.ledger.of_type(resource), concerned)
        chosen = self.backupper.chosen(resource, unmet, tally)
        self._back_up_all(resource, chosen, tally)
        done = {id(each) for each in concerned}
        return [each for each in items if id(each) not in done]

    def back_up_fetched(self, resource: APIResource, pods: Sequence[Item]) -> None:
        """Back up Pods that were read one by one, with or without hooks."""
        tally = Tally()
        self.ledger.total += len(pods)
        found = (self.backupper.fetched(resource, pod, tally) for pod in pods)
        self._back_up_all(resource, filter(None, found), tally)

    def _back_up_all(
        self, resource: APIResource, chosen: Iterable[Candidate], tally: Tally
    ) -> None:
        hooked: dict[str, _HookedPod] = {}
        for candidate in chosen:
            if candidate.identifier.qualified_name in hooked:  # twice in one page
                tally.skipped[SELECTED_TWICE] += 1
                continue
            hooks = self.rules.of(candidate.identifier, candidate.item)
            for oddity in hooks.oddities:
                self.run.warning(oddity, item=candidate.identifier)
            pod = _HookedPod(
                resource=resource, candidate=candidate, hooks=hooks, tally=tally
            )
            if hooks:
                hooked[candidate.identifier.qualified_name] = pod
            else:
                self._store(pod)
        self.ledger.hooked_pods += len(hooked)
        if self.runner is not None and hooked:
            self._at_once(self.runner, list(hooked.values()))
            return
        for pod in hooked.values():
            self._store(pod)

    def _at_once(self, runner: HookRunner, pods: Sequence[_HookedPod]) -> None:
        """Back up many Pods; return when the hooks of every one have ended.

        However this ends: also a run that is to stop waits for what it still owes.
        """
        workers = min(self.run.settings.workers, len(pods))
        pool = WorkerPool(workers, f"kbackup-hooks-{self.run.uid[:8]}")
        try:
            done = [pool.submit(self._back_up, runner, pod) for pod in pods]
            for future in as_completed(done):
                future.result()
        except BaseException:
            runner.stop(_ENDED)
            left = HookRunner.GRACE.total_seconds()
            self.run.emit(WaitingFor(what="the post hooks of Pods", seconds_left=left))
            raise
        finally:
            pool.close(wait=True)

    def _back_up(self, runner: HookRunner, pod: _HookedPod) -> None:
        """Store a Pod, and what belongs to it, between its commands."""
        try:
            with runner.around(pod.hooks) as quiesced:
                self._store_quiesced(pod, quiesced=quiesced)
        except BaseException:
            runner.stop(_ENDED)  # before this thread takes the next Pod
            raise

    def _store_quiesced(self, pod: _HookedPod, *, quiesced: bool) -> None:
        """Store a Pod and what belongs to it; what acts on that heeds *quiesced*."""
        with self.writing, self.ledger.asked_apart() as asked:
            if not quiesced:
                self.ledger.unquiesced.add(pod.candidate.identifier)
            self._store(pod)
        self.additional.store_with_pod(asked, quiesced=quiesced)

    def _store(self, pod: _HookedPod) -> None:
        self.backupper.store(pod.resource, pod.candidate, pod.tally)
