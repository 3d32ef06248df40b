"""Commands run in Pods: before something is done with them, and in any case afterwards.

`HookRunner.around` is a context manager: what was quiesced is released again however
its body ends, also by a cancel. Only a killed process releases nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import ClassVar

from kbackup._kits.workers import Cancelled, ChildToken
from kbackup.cluster import Cluster, ExecResult
from kbackup.errors import (
    ForbiddenError,
    HookError,
    HookFailedError,
    HookTimeoutError,
    KBackupError,
    OperationTimeoutError,
)
from kbackup.hooks._specs import HookPhase, PodHook, PodHooks
from kbackup.hooks._words import last_line, masked
from kbackup.models import HookErrorMode, HookStatus, ResourceIdentifier
from kbackup.plugins import HookEnded, HookStarted, Run
from kbackup.plugins.engine import fact_of

_KEEP = 4096  # bytes of stdout, and of stderr, for the log
_NEEDED = "running commands needs the rights get and create of pods/exec"
_ONE_WORD = (
    "there is no shell: give a list of program and arguments, in an annotation as JSON"
)


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
        self._counting = threading.Lock()
        self._attempted = self._failed = 0

    @property
    def status(self) -> HookStatus:
        """How many hooks were tried so far, and how many failed."""
        with self._counting:
            return HookStatus(
                hooks_attempted=self._attempted, hooks_failed=self._failed
            )

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
        self._run.emit(
            HookStarted(
                pod=pod, phase=hook.phase, name=hook.name, container=hook.container
            )
        )
        try:
            error = self._failure(hook, pod)
        except Cancelled as exc:
            self._note_end(hook, pod, f"left: {exc.reason}")
            raise
        self._note_end(hook, pod, str(error) if error is not None else "")
        if error is None:
            return True
        heeded = hook.on_error is HookErrorMode.FAIL
        loses = heeded and hook.phase is HookPhase.PRE
        consequence = "; the data of its volumes are not stored" if loses else ""
        advice = f" ({error.hint})" if error.hint else ""
        self._run.error(f"{error}{consequence}{advice}", item=pod, cause=error)
        return not heeded

    def _note_end(self, hook: PodHook, pod: ResourceIdentifier, error: str) -> None:
        """Count a hook and tell the observers what became of it."""
        with self._counting:
            self._attempted += 1
            self._failed += bool(error)
        self._run.emit(
            HookEnded(
                pod=pod,
                phase=hook.phase,
                name=hook.name,
                container=hook.container,
                error=error,
            )
        )

    def _failure(self, hook: PodHook, pod: ResourceIdentifier) -> HookError | None:
        """Run a hook and return what it failed with.

        Raises:
            Cancelled: The run is to stop, and this was a pre hook.
        """
        what, where = str(hook), pod.qualified_name
        if hook.fault:
            return HookFailedError(what, where, hook.fault)
        try:
            result = self._executed(hook, pod)
        except OperationTimeoutError as exc:
            seconds = f"{hook.timeout.total_seconds():g} s"
            error = HookTimeoutError(what, where, f"it may go on after its {seconds}")
            error.__cause__ = exc
            return error
        except Cancelled as exc:
            if hook.phase is HookPhase.PRE:
                raise
            return HookTimeoutError(what, where, f"the run is over: {exc.reason}")
        except Exception as exc:  # noqa: BLE001 - no other hook may be lost for it
            return _not_run(hook, where, exc)
        if result.exit_code:
            told = last_line(result.stderr, hook.command)
            reason = f"exit code {result.exit_code}"
            return HookFailedError(what, where, f"{reason}: {told}" if told else reason)
        return None

    def _executed(self, hook: PodHook, pod: ResourceIdentifier) -> ExecResult:
        cluster = self._clusters[hook.phase]
        result = cluster.exec(
            pod.namespace,
            pod.name,
            hook.command,
            container=hook.container,
            timeout=hook.timeout,
            keep=_KEEP,
        )
        fields = {"resource": str(pod.group_resource), "namespace": pod.namespace}
        fields["name"] = pod.name
        self._run.logger.info(
            "%s ended with exit code %d",
            hook,
            result.exit_code,
            extra={"fields": fields},
        )
        for stream, data in (("stdout", result.stdout), ("stderr", result.stderr)):
            if data:
                text = data.decode(errors="replace")
                self._run.logger.debug(
                    "%s, %s: %s", hook, stream, text, extra={"fields": fields}
                )
        return result


def _not_run(hook: PodHook, where: str, exc: Exception) -> HookFailedError:
    """Return the error of a command that was not run, without the command's words."""
    told = str(exc) if isinstance(exc, KBackupError) else fact_of(exc, hide=True)
    reason, hint = masked(told, hook.command), getattr(exc, "hint", "")
    if isinstance(exc, ForbiddenError):
        hint = _NEEDED
    elif len(hook.command) == 1 and len(hook.command[0].split()) > 1:
        hint = _ONE_WORD
    error = HookFailedError(str(hook), where, reason, hint=hint)
    error.__cause__ = exc
    return error
