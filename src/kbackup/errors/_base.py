"""The root of the tree, and what any room may raise: no family of its own."""

from __future__ import annotations

from collections.abc import Sequence
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
    def without_location(self) -> str:
        """The message for a reader who knows which location it is about."""
        return str(self)

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


class PlanOutdatedError(KBackupError):
    """The plan was made for another archive, another cluster or another state."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        again = "plan again, and look at the new plan"
        super().__init__(message, hint=f"{hint}, or {again}" if hint else again)


class RunCancelledError(KBackupError):
    """The caller cancelled: nothing is published; what a restore wrote stays."""

    exit_code = 130


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
