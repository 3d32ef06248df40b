"""What a person reads when something failed: the fact, the hint, the next command."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from kbackup import errors
from kbackup._kits.words import plural
from kbackup.cli._asking import NobodyToAskError
from kbackup.cli._config import NoLocationError
from kbackup.cli._place import place_of, without_own_key
from kbackup.cli._session import NoBackupGivenError

if TYPE_CHECKING:
    from kbackup.cli._session import Session

_NEXT: tuple[tuple[type[errors.KBackupError], str], ...] = (
    (errors.BackupExistsError, "kbackup backup describe {name}"),
    (errors.BackupInProgressError, "kbackup backup get"),
    (errors.BackupNotFoundError, "kbackup backup get"),
    (errors.BackupDamagedError, "kbackup backup verify {name}"),
    (errors.BackupOwnsDataError, "kbackup backup describe {name} --details"),
    (errors.BackupCleanupError, "kbackup backup delete {name}"),
    (errors.RestoreExistsError, "kbackup restore describe {name}"),
    (errors.RestoreInProgressError, "kbackup restore get"),
    (errors.RestoreNotFoundError, "kbackup restore get"),
    (errors.RestoreDamagedError, "kbackup restore get"),
    (errors.ArchiveError, "kbackup backup verify {backup}"),
    (errors.PluginError, "kbackup plugin get"),
    (errors.UnknownLocationError, "kbackup plugin get"),
    (errors.RepositoryNotFoundError, "kbackup repo init"),
    (errors.RepositoryExistsError, "kbackup repo snapshots"),
    (errors.SnapshotNotFoundError, "kbackup repo snapshots"),
    (errors.PathNotFoundError, "kbackup repo ls {snapshot} /"),
    (errors.KeyNotFoundError, "kbackup repo key list"),
    (errors.KeyInUseError, "kbackup repo key list"),
    (errors.WrongPasswordError, "{again}"),
    (errors.IntegrityError, "kbackup repo check"),
    (errors.UnsupportedFormatError, "kbackup version"),
    (errors.RepositoryError, "{again}"),
    (errors.StoreError, "kbackup location validate"),
    (errors.ClusterError, "kbackup doctor"),
    (errors.PlanOutdatedError, "kbackup restore plan --from-backup {backup}"),
    (
        errors.InvalidPlanError,
        "kbackup restore plan --from-backup {backup} --save FILE",
    ),
    (errors.RunCancelledError, "{again}"),
    (errors.SpoolError, "{again}"),
    (errors.ConfigError, "{verb} --help"),
)
# Older click prints the help by itself.
_WITHOUT_VERB: Any = getattr(click.exceptions, "NoArgsIsHelpError", ())
_WRITTEN = frozenset({"created", "updated", "recreated"})
_UNKNOWN = "unknown"
_REPOSITORY = "kbackup repo"
_WAITING = "--retry-lock 5m"
_SECRET = "password-command"  # noqa: S105 - an option; what it takes may hold one
_NOT_FOUND = (errors.BackupNotFoundError, errors.RestoreNotFoundError)


def explain(
    error: errors.KBackupError, arguments: Sequence[str], session: Session
) -> str:
    """Return what to print for *error*, raised by the command of *arguments*."""
    if isinstance(error, errors.InvalidSpecError) and len(error.violations) > 1:
        facts = "".join(f"\n  - {violation}" for violation in error.violations)
        lines = [f"Error: the request breaks these rules:{facts}"]
    else:
        lines = [f"Error: {_fact(error, session)}"]
    if isinstance(error, errors.RunCancelledError):
        lines += _left(error.result)
    if isinstance(error, errors.ClusterError) and session.target:
        lines.append(f"Cluster: {session.target}")
    return "\n".join([*lines, *_ending([error], arguments, session)])


def explain_each(errors_: Sequence[errors.KBackupError], session: Session) -> str:
    """Return what to print for errors of several names of one command."""
    if session.is_for_programs:
        code = max(error.exit_code for error in errors_)
        return exit_error("; ".join(map(str, errors_)), code)
    facts = [f"Error: {_fact(error, session)}" for error in errors_]
    return "\n".join([*facts, *_ending(errors_, (), session)])


def _ending(
    errors_: Sequence[errors.KBackupError], arguments: Sequence[str], session: Session
) -> Iterator[str]:
    """Yield what follows the facts: the place, the advice, the next command."""
    store = session.opened_store
    if store is not None and any(isinstance(error, _NOT_FOUND) for error in errors_):
        yield f"Location: {place_of(store)}"
    for hint in dict.fromkeys(error.hint for error in errors_ if error.hint):
        yield f"Hint: {hint}"
    yield f"Next: {next_command(errors_[-1], arguments, session)}"


def _left(result: Any) -> list[str]:
    """Return how much a cancelled restore has written, which stays."""
    outcomes = getattr(result, "outcomes", ())
    if not outcomes:  # of a backup, or before the first write
        return []
    written = sum(outcome.action in _WRITTEN for outcome in outcomes)
    unknown = sum(outcome.action == _UNKNOWN for outcome in outcomes)
    untold = f"; {unknown} more may have been" if unknown else ""
    progress = result.restore.status.progress
    total = max(progress.total_items if progress else 0, len(outcomes))
    return [
        f"Written: {written} of the plan's {plural(total, 'item')}; they stay{untold}",
        f"To complete it: the same restore again, {result.restore.metadata.name}",
    ]


def _fact(error: errors.KBackupError, session: Session) -> str:
    """Return what happened; of a store first where, and no key that is our own."""
    store = session.opened_store
    if store is None or not isinstance(error, errors.StoreError):
        return str(error)
    return f"{store.url}: {without_own_key(error.without_location)}"


def next_command(
    error: errors.KBackupError, arguments: Sequence[str], session: Session
) -> str:
    """Return the command that continues after *error*, or explains it."""
    parts = {
        "name": getattr(error, "name", ""),
        "backup": session.backup or "NAME",
        "snapshot": session.snapshot or "SNAPSHOT",
        "again": session.again or typed(arguments),
        "verb": session.verb,
    }
    if session.connecting and isinstance(error, errors.ConfigError):
        other = " --context NAME" if session.context else ""
        return f"kbackup doctor --kubeconfig FILE{other}"
    if isinstance(error, NoLocationError):
        command = "kbackup doctor" if session.locations else typed(arguments)
        return f"{command} --location URL"
    if after := _after_repository(error, parts["again"], session):
        return after
    resume = f"kbackup backup resume {parts['name'] or session.backup}"
    if f"`{resume}`" in error.hint:  # whatever failed: nothing of the run is lost
        return session.complete(resume)
    for kind, command in _NEXT:
        if isinstance(error, kind):
            text = command.format(**parts)
            return text if command == "{again}" else session.complete(text)
    return session.complete("kbackup doctor")


def _after_repository(error: errors.KBackupError, again: str, session: Session) -> str:
    """Return what continues where a store or a lock stopped a repository's verb.

    A lock that nobody holds is removed, one that is held is waited for.
    """
    if not session.verb.startswith(_REPOSITORY):
        return ""
    if isinstance(error, errors.StoreError):
        return again
    if isinstance(error, errors.RepositoryNotFoundError):
        return session.again  # empty: a new one may be what is wanted
    if not isinstance(error, errors.RepositoryLockedError):
        return ""
    if error.hint:  # which it has of a stale one only
        return session.complete(f"{_REPOSITORY} unlock")
    return again if session.repository.lock_patience else f"{again} {_WAITING}"


def explain_usage(error: click.ClickException, arguments: Sequence[str]) -> str:
    """Return what to print for a command that cannot be meant."""
    if isinstance(error, _WITHOUT_VERB):
        return str(error.message)  # the help itself, which is no error
    if isinstance(error, NobodyToAskError) and error.first:
        return f"Error: {error.format_message()}\nNext: {error.first}"
    if isinstance(error, NobodyToAskError):
        return explain_words(
            error.format_message(), [*arguments, error.shown_by or error.option]
        )
    if isinstance(error, NoBackupGivenError) and error.hint:
        fact = f"Error: {error.format_message()}\nHint: {error.hint}"
        return f"{fact}\nNext: {error.following}"
    context = getattr(error, "ctx", None)
    verb = context.command_path if context is not None else "kbackup"
    return f"Error: {error.format_message()}\nNext: {verb} --help"


def exit_error(fact: str, code: int) -> str:
    """Return the last message of a repository's verb that failed, for programs.

    Source: restic ``doc/075_scripting.rst``, "Exit errors".
    """
    content = {"message_type": "exit_error", "code": code, "message": fact}
    return json.dumps(content)


def system_fact(error: OSError) -> str:
    """Return what the system said of a file of this machine, the file first."""
    if not error.strerror:
        return str(error)
    names = [os.fsdecode(x) for x in (error.filename, error.filename2) if _is_name(x)]
    return ": ".join([*filter(None, [" -> ".join(names)]), error.strerror])


def _is_name(value: object) -> bool:
    return isinstance(value, str | bytes | os.PathLike)


def explain_words(fact: str, arguments: Sequence[str]) -> str:
    """Return what to print where the same command is what continues."""
    return f"Error: {fact}\nNext: {typed(arguments)}"


def typed(arguments: Sequence[str]) -> str:
    """Return the command as it was typed, without what may hold a password."""
    words = ["kbackup"]
    for word in arguments:
        name, sign, _ = word.partition("=")
        if words[-1].endswith(_SECRET):  # also that of another repository
            words.append("COMMAND")
        elif sign and name.endswith(_SECRET):
            words.append(f"{name}=COMMAND")
        else:
            words.append(word)
    return shlex.join(words)
