"""``kbackup restore``: plan restores, and carry them out."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import click

from kbackup.cli._describe import describe_restore
from kbackup.cli._options import (
    Duration,
    filter_options,
    global_options,
    pairs_option,
    switch_option,
)
from kbackup.cli._output import (
    age,
    document,
    plural,
    print_document,
    print_results,
    print_table,
    say,
)
from kbackup.cli._progress import show_progress
from kbackup.cli._session import Session, cancel_on_signal, confirm
from kbackup.models import RestoreOptions, RestoreSpec, to_json

if TYPE_CHECKING:
    from kbackup.catalog import BackupStore
    from kbackup.models import RestoreResult

F = TypeVar("F", bound=Callable[..., Any])
_POLICIES = click.Choice(["none", "update"])

_RESTORE_OPTIONS = (
    click.argument("name", required=False),
    click.option(
        "--from-backup", required=True, metavar="NAME|latest", help="What to restore."
    ),
    filter_options,
    pairs_option(
        "--namespace-mappings", separator=":", text="Restore namespace a as b: a:b."
    ),
    click.option(
        "--existing-resource-policy",
        type=_POLICIES,
        help="What to do with namespaced objects that exist; default none.",
    ),
    click.option(
        "--existing-cluster-resource-policy",
        type=_POLICIES,
        help="What to do with cluster-scoped objects that exist; default none.",
    ),
    switch_option("--restore-volumes", text="Velero's restorePVs."),
    switch_option("--preserve-nodeports", text="Keep the node ports of Services."),
    click.option(
        "--released-volumes",
        type=click.Choice(["leave", "reattach"]),
        default="leave",
        help="Bind claims again to Released volumes of the target.",
    ),
    click.option(
        "--retained-volumes",
        type=click.Choice(["skip", "reuse"]),
        default="skip",
        help="Restore Retain volumes that point at the original disk.",
    ),
    click.option(
        "--expect-cluster", metavar="UID|CONTEXT", help="Refuse any other target."
    ),
    click.option(
        "--include-system", is_flag=True, help="Also what belongs to the cluster."
    ),
    click.option(
        "--validate", is_flag=True, help="Ask the server about each write (dry run)."
    ),
    click.option(
        "--damaged", is_flag=True, help="Read what is readable of a damaged backup."
    ),
    click.option("--deadline", type=Duration(), help="For what may pass; default 10m."),
)


def restore_options(command: F) -> F:
    """Add the options that say what to restore and how."""
    for option in reversed(_RESTORE_OPTIONS):
        command = option(command)
    return command


@click.group()
@global_options
def restore() -> None:
    """Plan restores, and carry them out."""


@restore.command()
@restore_options
@click.option(
    "--detailed-exitcode", is_flag=True, help="0 nothing to do, 4 changes, 5 conflicts."
)
@global_options
@click.pass_obj
def plan(session: Session, /, *, detailed_exitcode: bool, **flags: Any) -> int:
    """Show what a restore would do; nothing is written."""
    from kbackup.restore import RestoreEngine  # noqa: PLC0415 - on demand

    store, cluster = session.store(), session.cluster()
    name, spec, options = _request(flags, store)
    with show_progress() as observer:
        engine = RestoreEngine(
            cluster, store, plugins=session.plugins, observer=observer
        )
        planned = engine.plan(name, spec, options)
    print_document(session, planned.to_json(), lambda: click.echo(str(planned)))
    if session.output == "table":
        say(f"Next: kbackup restore create --from-backup {spec.backup_name}")
    return planned.exit_code if detailed_exitcode else 0


@restore.command()
@restore_options
@click.option("--yes", is_flag=True, help="Do not ask.")
@global_options
@click.pass_obj
def create(session: Session, /, *, yes: bool, **flags: Any) -> int:
    """Plan a restore, show its head, ask, and carry exactly that plan out."""
    from kbackup.restore import RestoreEngine  # noqa: PLC0415 - on demand

    store, cluster = session.store(), session.cluster()
    name, spec, options = _request(flags, store)
    with show_progress() as observer, cancel_on_signal():
        engine = RestoreEngine(
            cluster, store, plugins=session.plugins, observer=observer
        )
        planned = engine.plan(name, spec, options)
    say(planned.summary())
    confirm("Carry this plan out?", yes=yes)
    with show_progress() as observer, cancel_on_signal() as token:
        engine = RestoreEngine(
            cluster, store, plugins=session.plugins, observer=observer
        )
        result = engine.apply(planned, cancel=token)
    print_document(session, to_json(result.restore), lambda: _print_restored(result))
    return result.exit_code


def _request(
    flags: dict[str, Any], store: BackupStore
) -> tuple[str, RestoreSpec, RestoreOptions]:
    """Make the name, the specification and the options that the flags mean."""
    backup = flags["from_backup"]
    if backup == "latest":
        backup = store.latest().metadata.name
    spec = RestoreSpec(
        backup_name=backup,
        included_namespaces=flags["include_namespaces"],
        excluded_namespaces=flags["exclude_namespaces"],
        included_resources=flags["include_resources"],
        excluded_resources=flags["exclude_resources"],
        include_cluster_resources=flags["include_cluster_resources"],
        label_selector=flags["selector"],
        or_label_selectors=flags["or_selector"],
        namespace_mapping=flags["namespace_mappings"],
        existing_resource_policy=flags["existing_resource_policy"] or None,
        restore_pvs=flags["restore_volumes"],
        preserve_node_ports=flags["preserve_nodeports"],
    )
    deadline: timedelta | None = flags["deadline"]
    options = RestoreOptions(
        existing_cluster_resource_policy=flags["existing_cluster_resource_policy"],
        released_volumes=flags["released_volumes"],
        retained_volumes=flags["retained_volumes"],
        expect_cluster=flags["expect_cluster"],
        include_system=flags["include_system"],
        validate=flags["validate"],
        salvage=flags["damaged"],
    )
    if deadline is not None:
        options = attrs.evolve(options, deadline=deadline)
    return flags["name"] or _default_name(backup), spec, options


def _default_name(backup: str) -> str:
    """Return a name that no other restore has: UTC seconds and four random digits."""
    return f"{backup}-{datetime.now(UTC):%Y%m%d%H%M%S}-{secrets.token_hex(2)}"


def _print_restored(result: RestoreResult) -> None:
    """Tell how the restore ended and what to type next."""
    status = result.restore.status
    items = status.progress.items_restored if status.progress else 0
    name = result.restore.metadata.name
    say(f"Restore {name}: {status.phase}, {plural(items, 'item')}")
    print_results(result.results)
    say(f"Next: kbackup restore describe {name}")


@restore.command()
@global_options
@click.pass_obj
def get(session: Session) -> None:
    """List the restores recorded in the location, newest first."""
    restores = session.store().list_restores()
    now = datetime.now(UTC)
    content = document("RestoreList", items=[to_json(each) for each in restores])

    def table() -> None:
        print_table(
            ("NAME", "BACKUP", "STATUS", "ERRORS", "WARNINGS", "STARTED"),
            (
                (
                    each.metadata.name,
                    each.spec.backup_name,
                    str(each.status.phase),
                    str(each.status.errors),
                    str(each.status.warnings),
                    f"{age(each.status.start_timestamp, now)} ago",
                )
                for each in restores
            ),
        )
        if not restores:
            say("No restores yet. Next: kbackup restore plan --from-backup latest")

    print_document(session, content, table)


@restore.command()
@click.argument("name")
@click.option("--details", is_flag=True, help="Also every warning and error.")
@global_options
@click.pass_obj
def describe(session: Session, name: str, *, details: bool) -> None:
    """Tell what a restore did and what went wrong."""
    store = session.store()
    content, text = describe_restore(
        store.get_restore(name), store.restore_results(name), details=details
    )
    print_document(session, content, lambda: click.echo(text))


@restore.command()
@click.argument("name")
@global_options
@click.pass_obj
def logs(session: Session, name: str) -> None:
    """Print the log of restore NAME."""
    for line in session.store().restore_logs(name):
        click.echo(line.rstrip("\n"))
