"""Every error that leaves kbackup, in one tree.

A message states a fact and names the thing it is about; its parts are attributes;
advice stands in `KBackupError.hint`. Errors of foreign libraries are translated once,
in the room that owns the library, and kept as the cause. Nothing secret is ever part
of a message.

::

    KBackupError                   exit_code = 1, retryable = False
    ├── ConfigError (2)            InvalidSpecError (violations) · InvalidConfigError ·
    │                              InvalidPlanError · UnknownLocationError
    ├── CodecError (path, expected, got)
    ├── PluginError (plugin)       PluginNotFoundError · PluginConflictError ·
    │                              PluginLoadError · ActionError (plugin, item) ·
    │                              ActionTimeoutError (plugin, item, seconds)
    ├── ClusterError (verb, resource, item, reason, status)
    │                              ForbiddenError · UnauthorizedError ·
    │                              ItemNotFoundError · AlreadyExistsError ·
    │                              ConflictError* · InvalidItemError · GoneError ·
    │                              UnsupportedByServerError · ThrottledError* ·
    │                              ClusterUnreachableError* · ServerFaultError* ·
    │                              TargetMismatchError · ExecError
    ├── HookError (hook, pod)      HookFailedError · HookTimeoutError
    ├── StoreError (key)           ObjectNotFoundError · ObjectExistsError ·
    │                              StoreAccessError · StoreUnavailableError* ·
    │                              StoreFullError · DigestMismatchError ·
    │                              ReadOnlyLocationError · UnsupportedCapabilityError
    ├── BackupError (name)         BackupExistsError · BackupInProgressError* ·
    │                              BackupNotFoundError · BackupDamagedError ·
    │                              BackupOwnsDataError · BackupCleanupError (failures)
    ├── RestoreError (name)        RestoreExistsError · RestoreInProgressError* ·
    │                              RestoreNotFoundError · RestoreDamagedError
    ├── PlanOutdatedError
    ├── RunCancelledError (130)
    ├── ArchiveError (entry)       ArchiveCorruptError · ArchiveVersionError
    ├── VolumeError                SnapshotFailedError · NoSnapshotterError ·
    │                              DataMoverError
    ├── OperationTimeoutError (what, seconds)
    └── SpoolError (place)

    (n) exit code        * retryable
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class KBackupError(Exception):
    """Anything that kbackup raises on purpose.

    Attributes:
        exit_code: What the command line ends with when this error ends it.
        retryable: Whether the same call may succeed later without a change.
        hint: What to do about it.
        result: The result of the run that the error ended, where there was a run.
    """

    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, reason: str = "", *, hint: str = "") -> None:
        super().__init__(f"{message}: {reason}" if reason else message)
        self._hint = ""
        self.hint = hint
        self.result: Any = None

    @property
    def hint(self) -> str:
        """One sentence, or empty; a traceback shows it below the message, as a note."""
        return self._hint

    @hint.setter
    def hint(self, hint: str) -> None:
        notes = getattr(self, "__notes__", [])
        if self._hint in notes:
            notes.remove(self._hint)
        self._hint = hint
        if hint:
            self.add_note(hint)


class ConfigError(KBackupError):
    """What was asked for cannot be meant."""

    exit_code = 2


class InvalidSpecError(ConfigError):
    """A specification breaks its rules; `violations` has a sentence for each."""

    def __init__(self, violations: Sequence[str], *, hint: str = "") -> None:
        super().__init__("; ".join(violations), hint=hint)
        self.violations = tuple(violations)


class InvalidConfigError(ConfigError):
    """A setting, a file of settings or an option has no meaning."""


class InvalidPlanError(ConfigError):
    """A saved plan is none, was changed, or names other functions than were given."""


class UnknownLocationError(ConfigError):
    """No plugin knows a store at this address or under this name."""


class CodecError(KBackupError, ValueError):
    """A document, or a value on its way into one, is not what its model says."""

    def __init__(self, path: str, expected: str, got: str) -> None:
        self.path, self.expected, self.got = path or "document", expected, got
        super().__init__(f"{self.path}: expected {expected}, got {got}")


class PluginError(KBackupError):
    """A plugin is missing, broken or failed."""

    def __init__(self, message: str, *, plugin: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.plugin = plugin


class PluginNotFoundError(PluginError):
    """No installed plugin offers what was selected."""


class PluginConflictError(PluginError):
    """Two plugins offer the same name."""


class PluginLoadError(PluginError):
    """A selected plugin is installed but cannot be used."""


class ActionError(PluginError):
    """An item action raised; anything a plugin raises arrives as this."""

    def __init__(self, plugin: str, item: str, message: str, *, hint: str = "") -> None:
        told = f"{plugin} failed on {item}: {message}"
        super().__init__(told, plugin=plugin, hint=hint)
        self.item = item


class ActionTimeoutError(PluginError):
    """An item action did not come back; it is not called again in this run."""

    def __init__(self, plugin: str, item: str, seconds: float) -> None:
        told = f"{plugin} did not come back from {item} within {seconds:g} s"
        super().__init__(told, plugin=plugin)
        self.item, self.seconds = item, seconds


class ClusterError(KBackupError):
    """The API server refused or failed a request.

    Attributes:
        verb: The Kubernetes verb: get, list, create, patch, delete, watch, exec...
        resource: What it was asked about, such as ``deployments.apps``.
        item: ``namespace/name`` or ``name``, or empty.
        reason: What the server or the connection said.
        status: The HTTP status, or None where there was no answer.
        body: The server's Status object, or None.
    """

    fact: ClassVar[str] = "failed"

    def __init__(
        self,
        verb: str,
        resource: str,
        item: str = "",
        reason: str = "",
        *,
        status: int | None = None,
        body: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
        hint: str = "",
    ) -> None:
        thing = f"{resource} {item}" if item else resource
        super().__init__(f"cannot {verb} {thing}: {self.fact}", reason, hint=hint)
        self.verb = verb
        self.resource = resource
        self.item = item
        self.reason = reason
        self.status = status
        self.body = body
        self.retry_after = retry_after


class ForbiddenError(ClusterError):
    """The caller's account may not do this (HTTP 403)."""

    fact = "forbidden"


class UnauthorizedError(ClusterError):
    """The server does not know who calls (HTTP 401)."""

    fact = "not logged in"


class ItemNotFoundError(ClusterError):
    """There is no such object."""

    fact = "not found"


class AlreadyExistsError(ClusterError):
    """An object of that name is there already."""

    fact = "already exists"


class ConflictError(ClusterError):
    """The object moved: a precondition did not hold or a field is owned elsewhere."""

    retryable = True
    fact = "conflict"


class InvalidItemError(ClusterError):
    """The server refuses the object as it is (HTTP 400, 422)."""

    fact = "refused as invalid"


class GoneError(ClusterError):
    """The asked resourceVersion or continue token is no longer kept (HTTP 410)."""

    fact = "expired"


class UnsupportedByServerError(ClusterError):
    """The server does not serve this type, version or kind of request."""

    fact = "not served"


class ThrottledError(ClusterError):
    """The server asks for patience (HTTP 429)."""

    retryable = True
    fact = "throttled"


class ClusterUnreachableError(ClusterError):
    """No answer came; whether a write took place is unknown."""

    retryable = True
    fact = "no answer"


class ServerFaultError(ClusterError):
    """The server answered that it failed (HTTP 5xx)."""

    retryable = True
    fact = "the server failed"


class TargetMismatchError(ClusterError):
    """The cluster is not the one that the caller expected."""

    fact = "another cluster"


class ExecError(ClusterError):
    """A command could not be run in a container."""

    fact = "not run"


class HookError(KBackupError):
    """`hook`, such as ``pre hook quiesce``, did not do in `pod`; no command is named."""

    fact: ClassVar[str] = "failed"

    def __init__(self, hook: str, pod: str, reason: str, *, hint: str = "") -> None:
        super().__init__(f"{hook} of Pod {pod} {self.fact}", reason, hint=hint)
        self.hook, self.pod, self.reason = hook, pod, reason


class HookFailedError(HookError):
    """A hook's command could not be run, or ended with an error."""


class HookTimeoutError(HookError):
    """A hook's command did not end in time; it may still run."""

    fact = "did not end in time"


class StoreError(KBackupError):
    """The object store failed.

    Attributes:
        key: The object it was about, below the store's root.
        reason: What the store said.
    """

    fact: ClassVar[str] = "the store failed"

    def __init__(self, key: str, reason: str = "", *, hint: str = "") -> None:
        super().__init__(f"{key or 'store'}: {self.fact}", reason, hint=hint)
        self.key, self.reason = key, reason


class ObjectNotFoundError(StoreError):
    """The store has no object under this key."""

    fact = "no such object"


class ObjectExistsError(StoreError):
    """A create-only put found the key taken; what was there is untouched."""

    fact = "exists already"


class StoreAccessError(StoreError):
    """The store refuses the caller."""

    fact = "access refused"


class StoreUnavailableError(StoreError):
    """The store does not answer, or not in time."""

    retryable = True
    fact = "the store does not answer"


class StoreFullError(StoreError):
    """The store has no room left."""

    fact = "no space left"


class DigestMismatchError(StoreError):
    """The bytes are not those that were written."""

    fact = "differs from what was written"


class ReadOnlyLocationError(StoreError):
    """The location was opened, or is declared, read-only."""

    fact = "the location is read-only"


class UnsupportedCapabilityError(StoreError):
    """The store cannot do what was asked of it."""

    fact = "not supported by this store"


class BackupError(KBackupError):
    """Something about the backup `name`."""

    fact: ClassVar[str] = "failed"

    def __init__(self, name: str, reason: str = "", *, hint: str = "") -> None:
        super().__init__(f"backup {name}: {self.fact}", reason, hint=hint)
        self.name, self.reason = name, reason


class BackupExistsError(BackupError):
    """The name is taken; nothing was overwritten."""

    fact = "exists already"


class BackupInProgressError(BackupError):
    """Another run is writing a backup of this name."""

    retryable = True
    fact = "is being written"


class BackupNotFoundError(BackupError):
    """The store has no backup of this name."""

    fact = "not found"


class BackupDamagedError(BackupError):
    """What is stored is not what was written, or a part is missing."""

    fact = "is damaged"


class BackupOwnsDataError(BackupError):
    """The backup owns something outside its directory, which deleting would orphan."""

    fact = "owns data outside the store"


class BackupCleanupError(BackupError):
    """DeleteItemActions failed, as `failures` tell one by one; nothing was removed."""

    fact = "was not deleted"
    failures: tuple[PluginError, ...] = ()


class RestoreError(KBackupError):
    """Something about the restore `name`."""

    fact: ClassVar[str] = "failed"

    def __init__(self, name: str, reason: str = "", *, hint: str = "") -> None:
        super().__init__(f"restore {name}: {self.fact}", reason, hint=hint)
        self.name, self.reason = name, reason


class RestoreExistsError(RestoreError):
    """Another run has used this name."""

    fact = "exists already"


class RestoreInProgressError(RestoreError):
    """Another run is restoring under this name."""

    retryable = True
    fact = "is running already"


class RestoreNotFoundError(RestoreError):
    """The store has no record of this restore."""

    fact = "not found"


class RestoreDamagedError(RestoreError):
    """A file of the restore's record is not what was written, or cannot be read."""

    fact = "is damaged"


class PlanOutdatedError(KBackupError):
    """The plan was made for another archive, another cluster or another state."""


class RunCancelledError(KBackupError):
    """The caller cancelled: nothing is published; what a restore wrote stays."""

    exit_code = 130


class ArchiveError(KBackupError):
    """A backup's archive cannot be read; `entry` is the path inside it, or empty."""

    def __init__(self, reason: str, *, entry: str = "", hint: str = "") -> None:
        super().__init__(f"{entry}: {reason}" if entry else reason, hint=hint)
        self.reason, self.entry = reason, entry


class ArchiveCorruptError(ArchiveError):
    """The archive is truncated, altered or hostile."""


class ArchiveVersionError(ArchiveError):
    """The archive's layout is newer than this reader."""


class VolumeError(KBackupError):
    """A volume's data could not be handled."""


class SnapshotFailedError(VolumeError):
    """A native or CSI snapshot was not made."""


class NoSnapshotterError(VolumeError):
    """No plugin can snapshot this volume."""


class DataMoverError(VolumeError):
    """A volume's data could not be moved."""


class OperationTimeoutError(KBackupError):
    """What was waited for did not end within so many seconds."""

    def __init__(self, what: str, seconds: float, *, hint: str = "") -> None:
        super().__init__(f"{what}: not done within {seconds:g} s", hint=hint)
        self.what, self.seconds = what, seconds


class SpoolError(KBackupError):
    """This machine has no room, or no place, for temporary files."""

    def __init__(self, place: object, reason: str, *, hint: str = "") -> None:
        message = f"cannot write temporary files in {place}: {reason}"
        elsewhere = "EngineSettings(spool_directory=...) or TMPDIR names another place"
        super().__init__(message, hint=hint or elsewhere)
        self.place, self.reason = str(place), reason
