"""``kbackup backup``: make, list, describe and delete backups.

What looks into one backup is in `_contents`.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kbackup._kits.words import plural
from kbackup.cli import _contents
from kbackup.cli._asking import require_somebody_to_ask
from kbackup.cli._deleting import Deleting
from kbackup.cli._describe import Description, describe_entry, entry_row
from kbackup.cli._diff import diff
from kbackup.cli._options import (
    Group,
    filter_options,
    global_options,
    list_option,
    operations_option,
    pairs_option,
    switch_option,
)
from kbackup.cli._output import (
    document,
    echo,
    print_document,
    print_results,
    print_table,
    results_json,
    say,
    say_next,
)
from kbackup.cli._place import (
    LATEST,
    meant_backup,
    refuse_memory,
    say_none,
    telling_if_made,
)
from kbackup.cli._progress import show_progress
from kbackup.cli._session import Session
from kbackup.cli._several import Named, each_named, picked, print_each
from kbackup.cli._signals import cancel_on_signal
from kbackup.cli._types import Duration, Ordered
from kbackup.errors import CodecError
from kbackup.models import (
    BackupOptions,
    BackupSpec,
    TypedLocalObjectReference,
    to_json,
)

if TYPE_CHECKING:
    from kbackup.catalog import BackupEntry, BackupStore
    from kbackup.models import BackupResult, ResourcePolicies

_ITEMS_FAILED = 3  # as the backup itself would end


@click.group(cls=Group)
@global_options
def backup() -> None:
    """Make, look into, verify and delete backups."""


_contents.add_commands(backup)
backup.add_command(diff)


@backup.command()
@click.argument("name")
@filter_options
@list_option("--include-cluster-scoped-resources", text="Cluster-scoped types.")
@list_option("--exclude-cluster-scoped-resources", text="Cluster-scoped types not.")
@list_option("--include-namespace-scoped-resources", text="Namespaced types.")
@list_option("--exclude-namespace-scoped-resources", text="Namespaced types not.")
@click.option("--ttl", type=Duration(), help="Expire after this; default never.")
@operations_option
@pairs_option("--labels", text="Labels of the backup.")
@pairs_option("--annotations", text="Annotations of the backup.")
@switch_option("--snapshot-volumes", text="Recorded; no volume data is taken yet.")
@click.option(
    "--ordered-resources",
    type=Ordered(),
    metavar="TYPE=NAME,...[;...]",
    help="Store these first, such as 'pods=shop/a,shop/b;persistentvolumes=pv-1'.",
)
@click.option(
    "--resource-policies-configmap",
    metavar="NAME",
    help="Resource policies, in this ConfigMap of the namespace velero.",
)
@click.option(
    "--resource-policies-file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="Resource policies, in this YAML file.",
)
@click.option(
    "--skip-forbidden", is_flag=True, help="Types you may not read: one warning."
)
@click.option(
    "--enable-api-group-versions",
    is_flag=True,
    help="Store every served version of each type, not only the preferred one.",
)
@list_option("--enable-actions", text="Item actions that run only when asked for.")
@click.option("--dry-run", is_flag=True, help="Only show what would be stored.")
@global_options
@click.pass_obj
def create(session: Session, /, name: str, **flags: Any) -> int:
    """Make backup NAME and wait for it; exit code 3 if some items failed."""
    from kbackup.backup import BackupEngine  # noqa: PLC0415 - on demand

    if name == LATEST:
        raise click.BadParameter(
            "'latest' means the newest backup; choose another name",
            param_hint="NAME",
        )
    session.backup = name
    spec, options = _request(flags)
    store = session.store()
    if not flags["dry_run"]:
        refuse_memory(store)
    cluster = session.cluster()
    with (
        telling_if_made(store),
        show_progress() as observer,
        cancel_on_signal() as token,
    ):
        engine = BackupEngine(
            cluster, store, plugins=session.plugins, observer=observer
        )
        if flags["dry_run"]:
            plan = engine.plan(spec, options, cancel=token)
        else:
            result = engine.run(name, spec, options, cancel=token)
    if flags["dry_run"]:
        print_document(session, plan.to_json(), lambda: echo(str(plan)))
        return _ITEMS_FAILED if plan.results.errors or plan.holds_nothing else 0
    return _tell_result(session, result, store)


def _request(flags: dict[str, Any]) -> tuple[BackupSpec, BackupOptions]:
    """Make the specification and the options that the flags mean."""
    ttl: timedelta | None = flags["ttl"]
    policies: str | None = flags["resource_policies_configmap"]
    spec = BackupSpec(
        included_namespaces=flags["include_namespaces"],
        excluded_namespaces=flags["exclude_namespaces"],
        included_resources=flags["include_resources"],
        excluded_resources=flags["exclude_resources"],
        included_cluster_scoped_resources=flags["include_cluster_scoped_resources"],
        excluded_cluster_scoped_resources=flags["exclude_cluster_scoped_resources"],
        included_namespace_scoped_resources=flags["include_namespace_scoped_resources"],
        excluded_namespace_scoped_resources=flags["exclude_namespace_scoped_resources"],
        include_cluster_resources=flags["include_cluster_resources"],
        label_selector=flags["selector"],
        or_label_selectors=flags["or_selector"],
        snapshot_volumes=flags["snapshot_volumes"],
        ordered_resources=flags["ordered_resources"] or {},
        resource_policy=(
            TypedLocalObjectReference(kind="configmap", name=policies)
            if policies
            else None
        ),
        ttl=ttl,
        item_operation_timeout=flags["item_operation_timeout"],
    )
    options = BackupOptions(
        skip_forbidden=flags["skip_forbidden"],
        labels=flags["labels"],
        annotations=flags["annotations"],
        resource_policies=_policies_in(flags["resource_policies_file"]),
        enable_api_group_versions=flags["enable_api_group_versions"],
        enable_actions=flags["enable_actions"],
    )
    return spec, options


def _policies_in(path: Path | None) -> ResourcePolicies | None:
    """Read a file of resource policies."""
    if path is None:
        return None
    from kbackup.models import ResourcePolicies  # noqa: PLC0415 - typed only above

    try:
        return ResourcePolicies.from_yaml(path.read_text(encoding="utf-8"))
    except (CodecError, UnicodeDecodeError) as exc:
        raise click.BadParameter(
            f"{path}: {exc}", param_hint="--resource-policies-file"
        ) from exc


def _tell_result(session: Session, result: BackupResult, store: BackupStore) -> int:
    """Print how a backup ended; return the exit code."""
    content = document(
        "BackupResult",
        backup=to_json(result.backup),
        results=results_json(result.results),
        report=result.report.to_json(),
        manifest=result.manifest_digest,
        exitCode=result.exit_code,
    )
    print_document(session, content, lambda: _print_created(result, store.url))
    say_next(session, f"kbackup backup describe {result.backup.metadata.name}")
    return result.exit_code


@backup.command()
@click.argument("name")
@global_options
@click.pass_obj
def resume(session: Session, name: str) -> int:
    """Go on with backup NAME, whose process died while it waited for operations.

    What plugins began is not begun again: it is waited for, and the backup is stored as
    if nothing had happened. A backup that has ended already is only told of. Exit codes
    are those of create.
    """
    from kbackup.backup import BackupEngine  # noqa: PLC0415 - on demand

    session.backup = name
    store = session.store()
    cluster = session.cluster()
    with show_progress() as observer, cancel_on_signal() as token:
        engine = BackupEngine(
            cluster, store, plugins=session.plugins, observer=observer
        )
        result = engine.resume(name, cancel=token)
    return _tell_result(session, result, store)


def _print_created(result: BackupResult, url: str) -> None:
    """Tell how the backup ended."""
    backup_, status = result.backup, result.backup.status
    items = status.progress.items_backed_up if status.progress else 0
    name = backup_.metadata.name
    print_results(result.results)
    echo(f"Backup {name}: {status.phase}, {plural(items, 'item')}, in {url}")


@backup.command()
@click.argument("names", nargs=-1)
@global_options
@click.pass_obj
def get(session: Session, names: tuple[str, ...]) -> int:
    """List the backups of the location, newest first."""
    store = session.store()
    meant = each_named(names, partial(meant_backup, store))
    named = Named(store.list())
    if names:
        listed = {entry.name: entry for entry in named.found}
        named = picked(listed, meant.found, store.entry)
    entries = named.found
    content = document("BackupList", items=[_entry_json(e) for e in entries])
    headers = ("NAME", "STATUS", "ERRORS", "WARNINGS", "CREATED", "EXPIRES", "COPIES")

    rows = map(entry_row, entries)
    print_document(session, content, lambda: print_table(headers, rows))
    if not entries and not names:
        say_none(session, store, "backups")
        say_next(session, "kbackup backup create NAME")
    return Named(entries, [*meant.errors, *named.errors]).told(session)


def _entry_json(entry: BackupEntry) -> dict[str, Any]:
    """Return one line of the list as JSON."""
    present, expected = entry.copies
    return {
        "name": entry.name,
        "state": str(entry.state),
        "reason": entry.reason,
        "copies": {"present": present, "expected": expected},
        "backup": to_json(entry.backup) if entry.backup is not None else None,
    }


@backup.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--details", is_flag=True, help="Also lists, volumes, references, files.")
@global_options
@click.pass_obj
def describe(session: Session, names: tuple[str, ...], *, details: bool) -> int:
    """Tell what a backup is, what it covers and what it does not.

    Exit code 1 if one of them is damaged, or not there.
    """
    store = session.store()

    def described(name: str) -> Description:
        return describe_entry(store, meant_backup(store, name), details=details)

    named = each_named(names, described)
    contents = [each.content for each in named.found]
    print_each(
        session,
        document("BackupDescriptionList", items=contents),
        lambda: echo("\n\n".join(each.text for each in named.found)),
        several=len(names) > 1,
    )
    if named.errors:
        return named.told(session)
    say_next(session, named.found[-1].next_command)
    return 1 if any(each.state == "damaged" for each in named.found) else 0


@backup.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--confirm", "--yes", "yes", is_flag=True, help="Do not ask.")
@click.option(
    "--files-only",
    is_flag=True,
    help="Leave what it owns outside the store behind; no DeleteItemAction runs.",
)
@click.option(
    "--dry-run", is_flag=True, help="Only show what would go, and which actions run."
)
@global_options
@click.pass_obj
def delete(
    session: Session,
    names: tuple[str, ...],
    *,
    yes: bool,
    files_only: bool,
    dry_run: bool,
) -> int:
    """Delete backups; their records go first, so half-deleted ones are not offered.

    What is on record of their restores goes with them; a restore that has not ended is
    left, and named.

    Before that the DeleteItemActions of plugins clean up, in the cluster, after the
    items that they want. Where one fails nothing of that backup is deleted.

    Nothing is deleted if one of them is not there: what else was typed may not be meant
    either.
    """
    if not dry_run:
        require_somebody_to_ask(yes=yes)
    deleting = Deleting(session, files_only=files_only)
    names = tuple(dict.fromkeys(names))
    missing = deleting.missing(names)
    if missing.errors:
        say("Nothing was deleted.")
        return missing.told(session)
    return deleting.show(names) if dry_run else deleting.delete(names, yes=yes)
