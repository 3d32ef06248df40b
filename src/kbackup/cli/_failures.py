"""What a person reads when something failed: the fact, the hint, the next command."""

from __future__ import annotations

from collections.abc import Sequence

from kbackup import errors

_NEXT: tuple[tuple[type[errors.KBackupError], str], ...] = (
    (errors.BackupExistsError, "kbackup backup describe {name}"),
    (errors.BackupInProgressError, "kbackup backup get"),
    (errors.BackupNotFoundError, "kbackup backup get"),
    (errors.BackupDamagedError, "kbackup backup verify {name}"),
    (errors.BackupOwnsDataError, "kbackup backup describe {name} --details"),
    (errors.RestoreExistsError, "kbackup restore describe {name}"),
    (errors.RestoreNotFoundError, "kbackup restore get"),
    (errors.ArchiveError, "kbackup backup verify NAME"),
    (errors.PluginError, "kbackup plugin get"),
    (errors.UnknownLocationError, "kbackup plugin get"),
    (errors.StoreError, "kbackup location validate"),
    (errors.ClusterError, "kbackup doctor"),
    (errors.PlanOutdatedError, "kbackup restore plan --from-backup NAME"),
    (errors.RunCancelledError, "{again}"),
    (errors.ConfigError, "kbackup {verb} --help"),
)


def explain(error: errors.KBackupError, arguments: Sequence[str]) -> str:
    """Return what to print for *error*, raised by the command of *arguments*."""
    if isinstance(error, errors.InvalidSpecError) and len(error.violations) > 1:
        facts = "".join(f"\n  - {violation}" for violation in error.violations)
        lines = [f"Error: the request breaks these rules:{facts}"]
    else:
        lines = [f"Error: {error}"]
    if error.hint:
        lines.append(f"Hint: {error.hint}")
    lines.append(f"Next: {next_command(error, arguments)}")
    return "\n".join(lines)


def next_command(error: errors.KBackupError, arguments: Sequence[str]) -> str:
    """Return the command that continues after *error*, or explains it."""
    words = [word for word in arguments if not word.startswith("-")]
    parts = {
        "name": getattr(error, "name", ""),
        "again": " ".join(("kbackup", *arguments)),
        "verb": " ".join(words[:2]),
    }
    for kind, command in _NEXT:
        if isinstance(error, kind):
            return command.format(**parts)
    return "kbackup doctor"
