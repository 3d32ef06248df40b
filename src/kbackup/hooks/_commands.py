"""One command of a hook, run and told of: counted, announced, its failure as an error.

Used by what runs hooks around a backup, and in restored Pods.
"""

from __future__ import annotations

import threading

from kbackup.cluster import Cluster, ExecResult
from kbackup.errors import (
    ForbiddenError,
    HookError,
    HookFailedError,
    HookTimeoutError,
    KBackupError,
    OperationTimeoutError,
)
from kbackup.hooks._specs import PodHook
from kbackup.hooks._words import last_line, masked
from kbackup.models import HookStatus, ResourceIdentifier
from kbackup.plugins import HookEnded, HookStarted, Run
from kbackup.plugins.engine import fact_of

_KEEP = 4096  # bytes of stdout, and of stderr, for the log
_NEEDED = "running commands needs the rights get and create of pods/exec"
_ONE_WORD = (
    "there is no shell: give a list of program and arguments, in an annotation as JSON"
)


class HookTally:
    """Counts the hooks of a run and tells its observers; for any threads."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._counting = threading.Lock()
        self._attempted = self._failed = 0

    @property
    def status(self) -> HookStatus:
        """How many hooks were tried so far, and how many failed."""
        with self._counting:
            return HookStatus(
                hooks_attempted=self._attempted, hooks_failed=self._failed
            )

    def begin(self, hook: PodHook, pod: ResourceIdentifier) -> None:
        """Tell that a hook is run now."""
        self._run.emit(
            HookStarted(
                pod=pod, phase=hook.phase, name=hook.name, container=hook.container
            )
        )

    def end(self, hook: PodHook, pod: ResourceIdentifier, error: str) -> None:
        """Count a hook, and tell what became of it."""
        self.count(1, failed=bool(error))
        self._run.emit(
            HookEnded(
                pod=pod,
                phase=hook.phase,
                name=hook.name,
                container=hook.container,
                error=error,
            )
        )

    def count(self, attempted: int, *, failed: int) -> None:
        """Count hooks of which nobody is told."""
        with self._counting:
            self._attempted += attempted
            self._failed += failed


def failure_of(
    hook: PodHook, pod: ResourceIdentifier, cluster: Cluster, run: Run
) -> HookError | None:
    """Run a hook and return what it failed with.

    Raises:
        Cancelled: The run is to stop; the command may go on.
    """
    what, where = str(hook), pod.qualified_name
    if hook.fault:
        return HookFailedError(what, where, hook.fault)
    try:
        result = _executed(hook, pod, cluster, run)
    except OperationTimeoutError as exc:
        seconds = f"{hook.timeout.total_seconds():g} s"
        error = HookTimeoutError(what, where, f"it may go on after its {seconds}")
        error.__cause__ = exc
        return error
    except Exception as exc:  # noqa: BLE001 - no other hook may be lost for it
        return _not_run(hook, where, exc)
    if result.exit_code:
        told = last_line(result.stderr, hook.command)
        reason = f"exit code {result.exit_code}"
        return HookFailedError(what, where, f"{reason}: {told}" if told else reason)
    return None


def _executed(
    hook: PodHook, pod: ResourceIdentifier, cluster: Cluster, run: Run
) -> ExecResult:
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
    run.logger.info(
        "%s ended with exit code %d",
        hook,
        result.exit_code,
        extra={"fields": fields},
    )
    for stream, data in (("stdout", result.stdout), ("stderr", result.stderr)):
        if data:
            text = data.decode(errors="replace")
            run.logger.debug("%s, %s: %s", hook, stream, text, extra={"fields": fields})
    return result


def _not_run(hook: PodHook, where: str, exc: Exception) -> HookFailedError:
    """Return the error of a command that was not run, without the command's words."""
    fact = str(exc) if isinstance(exc, KBackupError) else fact_of(exc, hide=True)
    reason, hint = masked(fact, hook.command), getattr(exc, "hint", "")
    if isinstance(exc, ForbiddenError):
        hint = _NEEDED
    elif len(hook.command) == 1 and len(hook.command[0].split()) > 1:
        hint = _ONE_WORD
    error = HookFailedError(str(hook), where, reason, hint=hint)
    error.__cause__ = exc
    return error
