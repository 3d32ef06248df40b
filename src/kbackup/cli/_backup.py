"""``kbackup backup``: make, look into, verify and delete backups."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kbackup.cli._describe import describe_backup, entry_row
from kbackup.cli._options import (
    Duration,
    filter_options,
    global_options,
    list_option,
    pairs_option,
    switch_option,
)
from kbackup.cli._output import (
    document,
    plural,
    print_document,
    print_results,
    print_table,
    say,
)
from kbackup.cli._progress import show_progress
from kbackup.cli._session import Session, cancel_on_signal, confirm
from kbackup.models import BackupOptions, BackupSpec, to_json

if TYPE_CHECKING:
    from kbackup.catalog import BackupEntry
    from kbackup.models import BackupResult, Item


@click.group()
@global_options
def backup() -> None:
    """Make, look into, verify and delete backups."""


@backup.command()
@click.argument("name")
@filter_options
@list_option("--include-cluster-scoped-resources", text="Cluster-scoped types.")
@list_option("--exclude-cluster-scoped-resources", text="Cluster-scoped types not.")
@list_option("--include-namespace-scoped-resources", text="Namespaced types.")
@list_option("--exclude-namespace-scoped-resources", text="Namespaced types not.")
@click.option("--ttl", type=Duration(), help="Expire after this; default never.")
@pairs_option("--labels", text="Labels of the backup.")
@pairs_option("--annotations", text="Annotations of the backup.")
@switch_option("--snapshot-volumes", text="Recorded; no volume data is taken yet.")
@click.option("--skip-forbidden", is_flag=True, help="Types you may not read: warn.")
@click.option("--dry-run", is_flag=True, help="Only show what would be stored.")
@global_options
@click.pass_obj
def create(session: Session, /, name: str, **flags: Any) -> int:
    """Make backup NAME and wait for it; exit code 3 if some items failed."""
    from kbackup.backup import BackupEngine  # noqa: PLC0415 - on demand

    spec, options = _request(flags)
    store, cluster = session.store(), session.cluster()
    with show_progress() as observer, cancel_on_signal() as token:
        engine = BackupEngine(
            cluster, store, plugins=session.plugins, observer=observer
        )
        if flags["dry_run"]:
            plan = engine.plan(spec, options)
        else:
            result = engine.run(name, spec, options, cancel=token)
    if flags["dry_run"]:
        print_document(session, plan.to_json(), lambda: click.echo(str(plan)))
        return 0
    print_document(
        session, to_json(result.backup), lambda: _print_created(result, store.url)
    )
    return result.exit_code


def _request(flags: dict[str, Any]) -> tuple[BackupSpec, BackupOptions]:
    """Make the specification and the options that the flags mean."""
    ttl: timedelta | None = flags["ttl"]
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
        ttl=ttl,
    )
    options = BackupOptions(
        skip_forbidden=flags["skip_forbidden"],
        labels=flags["labels"],
        annotations=flags["annotations"],
    )
    return spec, options


def _print_created(result: BackupResult, url: str) -> None:
    """Tell how the backup ended and what to type next."""
    backup_, status = result.backup, result.backup.status
    items = status.progress.items_backed_up if status.progress else 0
    name = backup_.metadata.name
    say(f"Backup {name}: {status.phase}, {plural(items, 'item')}, in {url}")
    print_results(result.results)
    say(f"Next: kbackup backup describe {name}")


@backup.command()
@click.argument("names", nargs=-1)
@global_options
@click.pass_obj
def get(session: Session, names: tuple[str, ...]) -> int:
    """List the backups of the location, newest first."""
    entries = session.store().list()
    if names:
        entries = [entry for entry in entries if entry.name in names]
    content = document("BackupList", items=[_entry_json(e) for e in entries])
    headers = ("NAME", "STATUS", "ERRORS", "WARNINGS", "CREATED", "EXPIRES", "COPIES")

    def table() -> None:
        print_table(headers, (entry_row(entry) for entry in entries))
        if not entries:
            say("No backups yet. Next: kbackup backup create NAME")

    print_document(session, content, table)
    missing = sorted(set(names) - {entry.name for entry in entries})
    for name in missing:
        say(f"Error: backup {name}: not found")
    return 1 if missing else 0


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
def describe(session: Session, names: tuple[str, ...], *, details: bool) -> None:
    """Tell what a backup is, what it covers and what it does not."""
    store = session.store()
    for name in names:
        content, text = describe_backup(store, name, details=details)
        print_document(session, content, partial(click.echo, text))


@backup.command()
@click.argument("name")
@global_options
@click.pass_obj
def logs(session: Session, name: str) -> None:
    """Print the log of backup NAME."""
    for line in session.store().logs(name):
        click.echo(line.rstrip("\n"))


@backup.command()
@click.argument("name")
@list_option("--resources", text="Only these types, full or plural names.")
@global_options
@click.pass_obj
def ls(session: Session, name: str, resources: tuple[str, ...]) -> None:
    """List every object in backup NAME."""
    rows = []
    with session.store().open_archive(name) as archive:
        for item in archive:
            ref = item.identifier
            wanted = {str(ref.group_resource), ref.group_resource.resource}
            if not resources or wanted.intersection(resources):
                rows.append((ref.namespace, str(ref.group_resource), ref.name))
    rows.sort()
    content = document(
        "BackupContents",
        items=[{"namespace": ns, "resource": gr, "name": n} for ns, gr, n in rows],
    )
    print_document(
        session, content, lambda: print_table(("NAMESPACE", "RESOURCE", "NAME"), rows)
    )


@backup.command()
@click.argument("name")
@click.argument("item", metavar="KIND/[NS/]NAME")
@global_options
@click.pass_obj
def show(session: Session, name: str, item: str) -> None:
    """Print one object of backup NAME as YAML, as it was stored."""
    kind, _, rest = item.partition("/")
    namespace, _, own = rest.rpartition("/")
    if not kind or not own:
        raise click.BadParameter(f"{item!r} is not KIND/[NS/]NAME", param_hint="ITEM")
    with session.store().open_archive(name) as archive:
        content = next(
            (
                found.content
                for found in archive
                if _is_meant(found, kind.lower(), namespace, own)
            ),
            None,
        )
    if content is None:
        raise click.ClickException(
            f"backup {name} has no {item}\nNext: kbackup backup ls {name}"
        )
    print_document(session, content, lambda: click.echo(dump_yaml(content), nl=False))


def _is_meant(item: Item, kind: str, namespace: str, name: str) -> bool:
    """Tell whether *item* is what KIND/[NS/]NAME says."""
    ref = item.identifier
    kinds = {str(ref.group_resource), ref.group_resource.resource, item.kind.lower()}
    return ref.name == name and kind in kinds and namespace in {"", ref.namespace}


@backup.command()
@click.argument("name")
@click.option(
    "-f",
    "--file",
    "target",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to; default NAME-data.tar.gz.",
)
@click.option("--force", is_flag=True, help="Overwrite the file.")
@global_options
@click.pass_obj
def download(session: Session, name: str, target: Path | None, *, force: bool) -> None:
    """Save the archive of backup NAME, checked against its digest."""
    target = target or Path(f"{name}-data.tar.gz")
    if target.exists() and not force:
        raise click.ClickException(f"{target} exists; --force overwrites it")
    session.store().download(name, target)
    say(f"Saved {target}")


@backup.command()
@click.argument("name")
@global_options
@click.pass_obj
def verify(session: Session, name: str) -> int:
    """Read the whole of backup NAME: digests, every item, counts, references."""
    report = session.store().verify(name)
    content = document(
        "VerifyReport",
        name=name,
        objects=report.objects,
        items=report.items,
        problems=list(report.problems),
    )

    def table() -> None:
        seen = f"{plural(report.objects, 'object')}, {plural(report.items, 'item')}"
        verdict = "damaged" if report.problems else "whole"
        click.echo(f"Backup {name} is {verdict}: {seen} read")
        for problem in report.problems:
            click.echo(f"  {problem}")

    print_document(session, content, table)
    return 1 if report.problems else 0


@backup.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--confirm", "--yes", "yes", is_flag=True, help="Do not ask.")
@click.option(
    "--files-only", is_flag=True, help="Leave what it owns outside the store behind."
)
@global_options
@click.pass_obj
def delete(
    session: Session, names: tuple[str, ...], *, yes: bool, files_only: bool
) -> None:
    """Delete backups; its record goes first, so a half-deleted one is not offered."""
    store = session.store()
    what = ", ".join(names)
    confirm(f"Delete {what} from {store.url} for good?", yes=yes, option="--confirm")
    for name in names:
        store.delete(name, files_only=files_only)
        say(f"Deleted {name}")
