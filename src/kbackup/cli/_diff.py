"""``kbackup backup diff``: what happened to the objects of a backup since."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from kbackup.cli._options import Command, global_options, list_option, pairs_option
from kbackup.cli._output import echo, print_document, say_next
from kbackup.cli._place import meant_backup
from kbackup.cli._progress import show_progress
from kbackup.cli._session import Session
from kbackup.cli._signals import cancel_on_signal
from kbackup.cli._typed import typed_value
from kbackup.cli._types import Selector

if TYPE_CHECKING:
    from kbackup.models import Difference

_INCOMPLETE = 3
_AT_RESTORE = {
    "namespaces": "--include-namespaces",
    "resources": "--include-resources",
    "selector": "--selector",
    "namespace_mappings": "--namespace-mappings",
    "redact": "--redact",
    "damaged": "--damaged",
}
_POLICIES = {  # by whether an object is in a namespace
    True: "--existing-resource-policy",
    False: "--existing-cluster-resource-policy",
}


@click.command(cls=Command)
@click.argument("name", metavar="A")
@click.argument("other", metavar="[B]", required=False)
@click.option("--live", is_flag=True, help="Against the cluster, instead of B.")
@list_option("--namespaces", text="Only in these namespaces of A; default all.")
@list_option("--resources", text="Only these types: kinds, short or full names.")
@click.option("-l", "--selector", type=Selector(), help="Only with these labels.")
@pairs_option(
    "--namespace-mappings",
    separator=":",
    text="What namespace a of A is called on the other side: a:b.",
)
@list_option("--redact", text="Types whose values are not shown, as Secrets'.")
@click.option(
    "--damaged", is_flag=True, help="Read what is readable of damaged backups."
)
@click.option(
    "--detailed-exitcode", is_flag=True, help="0 nothing differs, 4 something does."
)
@global_options
@click.pass_obj
def diff(
    session: Session,
    /,
    name: str,
    other: str | None,
    *,
    live: bool,
    detailed_exitcode: bool,
    **flags: Any,
) -> int:
    """Show what was removed, added and changed from backup A to backup B.

    With --live from backup A to the cluster as it is. What servers and controllers write
    by themselves is no difference, and of a Secret only the keys that differ are shown.
    Exit code 3 if something could not be compared. What a damaged backup lacks may have
    been lost: with --damaged it does not count as removed or added.
    """
    if live == (other is not None):
        raise click.UsageError("give either a second backup or --live")
    wanted = {
        "namespaces": flags["namespaces"],
        "resources": flags["resources"],
        "selector": flags["selector"],
        "namespace_mapping": flags["namespace_mappings"],
        "redact": flags["redact"],
        "salvage": flags["damaged"],
    }
    store = session.store()
    name = meant_backup(store, name)
    session.backup = name
    if other is None:
        found = _held_against_cluster(session, name, wanted)
    else:
        other = meant_backup(store, other)
        with cancel_on_signal() as token:
            found = store.diff(name, other, **wanted, cancel=token)
    print_document(session, found.to_json(), lambda: echo(str(found)))
    if live and (found.removed or found.changed):
        say_next(session, _way_back(name, found, flags))
    code = found.exit_code
    return code if detailed_exitcode or code == _INCOMPLETE else 0


def _way_back(name: str, found: Difference, flags: Mapping[str, Any]) -> str:
    """Return the command that plans to undo what was found, in the same place."""
    words = ["kbackup", "restore", "plan", "--from-backup", name]
    for flag, option in _AT_RESTORE.items():
        if flags[flag]:
            words += [option, *typed_value(flags[flag], ":")]
    scopes = {bool(item.identifier.namespace) for item in found.changed}
    for is_namespaced, option in _POLICIES.items():
        if is_namespaced in scopes:  # by default what exists is left as it is
            words += [option, "update"]
    return shlex.join(words)


def _held_against_cluster(
    session: Session, name: str, wanted: dict[str, Any]
) -> Difference:
    from kbackup.restore import RestoreEngine  # noqa: PLC0415 - on demand

    with show_progress() as observer, cancel_on_signal() as token:
        engine = RestoreEngine(
            session.cluster(),
            session.store(),
            plugins=session.plugins,
            observer=observer,
        )
        return engine.compare(name, **wanted, cancel=token)
