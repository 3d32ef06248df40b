"""The root command, and how a failure becomes a message and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version as installed_version
from typing import Any

import click

from kbackup.cli._failures import (
    exit_error,
    explain,
    explain_usage,
    explain_words,
    system_fact,
    typed,
)
from kbackup.cli._options import Group, global_options
from kbackup.cli._output import echo
from kbackup.cli._session import Session
from kbackup.cli._warnings import telling_unverified_once
from kbackup.errors import KBackupError

_GROUPS = {
    "backup": ("_backup", "Make, look into, verify and delete backups."),
    "demo": ("_demo", "Back up and restore a sample shop on a simulated cluster."),
    "doctor": ("_doctor", "Check the way to the cluster and what is missing there."),
    "location": ("_location", "Validate, prepare and repair places for backups."),
    "plugin": ("_plugin", "List, check and begin plugins."),
    "repo": ("_repo", "Keep files in an encrypted repository of restic's format."),
    "restore": ("_restore", "Plan restores, and carry them out."),
    "version": ("_version", "Print the version."),
}
_CANCELLED = 130


class _LazyGroup(Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        return sorted(_GROUPS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        if cmd_name not in _GROUPS:
            return None
        module = import_module(f"kbackup.cli.{_GROUPS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's
        formatter: click.HelpFormatter,
    ) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _GROUPS.items()])


def _print_version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's
    """Print the version alone, and end."""
    if value and not ctx.resilient_parsing:
        echo(f"kbackup {installed_version('kbackup')}")
        ctx.exit()


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@global_options
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version of kbackup.",
)
@click.pass_context
def app(ctx: click.Context) -> None:
    """Back up, restore and migrate what runs in Kubernetes.

    Global options may stand before or after the verb.
    """
    ctx.call_on_close(ctx.ensure_object(Session).close)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; `explain` decides what a failure says.

    A program that reads what a repository's verb prints is told in JSON.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    session = Session()
    try:
        with telling_unverified_once():
            return _judged(_run(words, session), words, session)
    except click.ClickException as exc:
        fact, text, code = (
            exc.format_message(),
            explain_usage(exc, words),
            exc.exit_code,
        )
    except (KeyboardInterrupt, click.Abort):
        fact, code = "cancelled", _CANCELLED
        text = explain_words(fact, words)
    except KBackupError as exc:
        fact, text, code = str(exc), explain(exc, words, session), exc.exit_code
    except OSError as exc:  # a file of this machine: a full disk, no rights
        fact, code = system_fact(exc), 1
        text = explain_words(fact, words)
    echo(exit_error(fact, code) if session.is_for_programs else text, err=True)
    return code


def _run(words: list[str], session: Session) -> int:
    try:
        outcome: Any = app.main(
            words, prog_name="kbackup", standalone_mode=False, obj=session
        )
    except click.exceptions.Exit as exc:
        return exc.exit_code
    return outcome if isinstance(outcome, int) else 0


def _judged(code: int, words: list[str], session: Session) -> int:
    """Return *code*; a command whose output is lost is not done, whatever it did."""
    if not session.unwritten:
        return code
    if not session.told_next and not session.is_for_programs:
        echo(f"Next: {typed(words)}", err=True)
    return code or 1
