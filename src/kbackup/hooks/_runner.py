"""Commands run in Pods: before something is done with them, and in any case afterwards.

`HookRunner.around` is a context manager: what was quiesced is released again however
its body ends, also by a cancel. Only a killed process releases nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import ClassVar

from kbackup._kits.workers import Cancelled, ChildToken
from kbackup.cluster import Cluster
from kbackup.errors import HookError, HookTimeoutError
from kbackup.hooks._commands import HookTally, failure_of
from kbackup.hooks._specs import HookPhase, PodHook, PodHooks
from kbackup.models import HookErrorMode, HookStatus, ResourceIdentifier
from kbackup.plugins import Run


class HookRunner:
    """Runs the hooks of one run; any number of Pods at once, from any threads.

    A failing hook is an error of the result and is never raised.

    Attributes:
        GRACE: How long the post hooks of a run that is to stop may take, all together.
    """

    GRACE: ClassVar[timedelta] = timedelta(seconds=60)

    def __init__(self, run: Run, cluster: Cluster) -> None:
        self._run = run
        self._stop = ChildToken(run.cancel)
        late = ChildToken(self._stop, grace=self.GRACE)
        self._clusters = {
            HookPhase.PRE: cluster.for_run(self._stop),
            HookPhase.POST: cluster.for_run(late),
        }
        self._tally = HookTally(run)

    @property
    def status(self) -> HookStatus:
        """How many hooks were tried so far, and how many failed."""
        return self._tally.status

    def stop(self, reason: str) -> None:
        """Begin no more Pods; hooks that are still owed have `GRACE` from now on."""
        self._stop.cancel(reason)

    @contextmanager
    def around(
        self, block: Sequence[PodHooks]
    ) -> Iterator[frozenset[ResourceIdentifier]]:
        """Run the pre hooks of all Pods, then the body, then all post hooks.

        Pod by Pod, each time in the order given, and the post hooks whatever happens.
        Those of a Pod are run as soon as it was begun with: a pre hook that failed, or
        was left for a cancel, may have done its work all the same.

        Yields:
            The Pods of whose volumes no data may be taken: those in which a hook failed
            that is to be heeded. Their later pre hooks are then not run.

        Raises:
            Cancelled: The run is to stop: nothing was begun, or what was begun was
                left and its post hooks were run.
        """
        begun: list[PodHooks] = []
        failed: list[ResourceIdentifier] = []
        try:
            for hooks in block:
                self._stop.check()
                begun.append(hooks)
                if not all(self._does(hook, hooks.pod) for hook in hooks.pre):
                    failed.append(hooks.pod)
            yield frozenset(failed)
        finally:
            for hooks in begun:
                for hook in hooks.post:  # each may release something else
                    self._does(hook, hooks.pod)

    def _does(self, hook: PodHook, pod: ResourceIdentifier) -> bool:
        """Run a hook; tell whether what follows may go on as if it did."""
        self._tally.begin(hook, pod)
        try:
            error = self._failure(hook, pod)
        except Cancelled as exc:
            self._tally.end(hook, pod, f"left: {exc.reason}")
            raise
        self._tally.end(hook, pod, str(error) if error is not None else "")
        if error is None:
            return True
        heeded = hook.on_error is HookErrorMode.FAIL
        loses = heeded and hook.phase is HookPhase.PRE
        consequence = "; the data of its volumes are not stored" if loses else ""
        advice = f" ({error.hint})" if error.hint else ""
        self._run.error(f"{error}{consequence}{advice}", item=pod, cause=error)
        return not heeded

    def _failure(self, hook: PodHook, pod: ResourceIdentifier) -> HookError | None:
        """Run a hook and return what it failed with.

        Raises:
            Cancelled: The run is to stop, and this was a pre hook.
        """
        try:
            return failure_of(hook, pod, self._clusters[hook.phase], self._run)
        except Cancelled as exc:
            if hook.phase is HookPhase.PRE:
                raise
            reason = f"the run is over: {exc.reason}"
            return HookTimeoutError(str(hook), pod.qualified_name, reason)
