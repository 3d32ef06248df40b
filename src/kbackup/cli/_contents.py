"""The verbs of ``kbackup backup`` that look into one backup; no cluster is needed."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from kbackup._kits.words import plural, suggestion
from kbackup.cli._options import Command, global_options, list_option
from kbackup.cli._output import (
    bearing_loss,
    document,
    echo,
    print_document,
    print_lines,
    print_table,
    say,
    say_next,
)
from kbackup.cli._place import meant_backup
from kbackup.cli._session import Session
from kbackup.cli._several import each_named, print_each

if TYPE_CHECKING:
    from kbackup.archive import ArchiveReader, TypeWords

_FAILED, _WITH_FAILURES = 1, 3
_STDOUT = Path("-")
_PIECE = 1 << 20
_damaged = click.option(
    "--damaged", is_flag=True, help="Read what is readable of a damaged backup."
)


def add_commands(group: click.Group) -> None:
    """Add the verbs to *group*."""
    for command in (logs, ls, show, download, verify):
        group.add_command(command)


def _meant(session: Session, name: str) -> str:
    """Return which backup the command is about, and remember it."""
    session.backup = meant_backup(session.store(), name)
    return session.backup


@contextmanager
def _opened(session: Session, name: str, *, damaged: bool) -> Iterator[ArchiveReader]:
    """Open the archive of backup *name*."""
    with session.store().open_archive(name, salvage=damaged) as archive:
        yield archive


def _damage(archive: ArchiveReader) -> int:
    """Tell what could not be read; return the exit code."""
    for text in archive.damage:
        say(f"damaged: {text}")
    return _WITH_FAILURES if archive.damage else 0


@click.command(cls=Command)
@click.argument("name")
@global_options
@click.pass_obj
def logs(session: Session, name: str) -> None:
    """Print the log of backup NAME."""
    name = _meant(session, name)
    print_lines(session, session.store().logs(name), kind="BackupLog", name=name)


@click.command(cls=Command)
@click.argument("name")
@list_option("--resources", text="Only these types: kinds, short or full names.")
@_damaged
@global_options
@click.pass_obj
def ls(
    session: Session, name: str, resources: tuple[str, ...], *, damaged: bool
) -> int:
    """List every object in backup NAME.

    Exit code 1 if a type in --resources is none of the backup's.
    """
    from kbackup.archive import TypeWords  # noqa: PLC0415 - on demand

    name = _meant(session, name)
    words, refs = TypeWords(), []
    with _opened(session, name, damaged=damaged) as archive:
        for item in archive:
            words.learn(item)
            refs.append(item.identifier)
    present = {ref.group_resource for ref in refs}
    wanted = {type_ for word in resources for type_ in words.meant_by(word)}
    rows = sorted(
        (ref.namespace, str(ref.group_resource), ref.name)
        for ref in refs
        if not resources or ref.group_resource in wanted
    )
    content = document(
        "BackupContents",
        backup=name,
        items=[{"namespace": ns, "resource": gr, "name": n} for ns, gr, n in rows],
        damage=list(archive.damage),
    )
    headers = ("NAMESPACE", "RESOURCE", "NAME")
    print_document(session, content, lambda: print_table(headers, rows))
    unknown = [word for word in resources if not words.meant_by(word)]
    absent = {w for w in resources if not words.meant_by(w) & present}.difference(
        unknown
    )
    if absent or not (rows or unknown):
        say(f"Nothing of {', '.join(sorted(absent)) or 'any type'} is in it.")
    _say_unknown(name, words, unknown)
    code = _damage(archive)
    return _FAILED if unknown else code


def _say_unknown(backup: str, words: TypeWords, unknown: Sequence[str]) -> None:
    """Name the words that mean no type of a backup, and which may have been meant."""
    for word in unknown:
        say(f"Error: no type {word} in backup {backup}")
    if hint := suggestion("type", map(words.near, unknown)):
        say(f"Hint: {hint}")


@click.command(cls=Command)
@click.argument("name")
@click.argument("item", metavar="KIND/[NS/]NAME")
@_damaged
@global_options
@click.pass_obj
def show(session: Session, name: str, item: str, *, damaged: bool) -> int:
    """Print one object of backup NAME as YAML, as it was stored.

    KIND is a kind, a plural, a short or a full name: deployment, deployments, deploy,
    deployments.apps; of a custom type also what its definition in the backup calls it.
    Of one object that was stored under two groups, such as an Ingress of Kubernetes
    1.20, the newer group's is printed.
    A Secret is printed with its values, because it was asked for by name; no other
    command prints them.
    """
    from kbackup.archive import TypeWords, without_twins  # noqa: PLC0415 - on demand

    kind, _, rest = item.partition("/")
    namespace, _, own = rest.rpartition("/")
    if not kind or not own:
        raise click.BadParameter(f"{item!r} is not KIND/[NS/]NAME", param_hint="ITEM")
    name = _meant(session, name)
    words, named = TypeWords(), []
    with _opened(session, name, damaged=damaged) as archive:
        for each in archive:
            words.learn(each)
            ref = each.identifier
            if ref.name == own and namespace in ("", ref.namespace):
                named.append(each)
    types = words.meant_by(kind)
    found = without_twins([e for e in named if e.identifier.group_resource in types])
    if len(found) != 1:
        if found:
            several = ", ".join(str(each.identifier) for each in found)
            say(f"Error: {item} is more than one object of backup {name}: {several}")
        elif types:
            say(f"Error: backup {name} has no {item}")
        else:  # which is not an object that is not there
            _say_unknown(name, words, [kind])
        say_next(session, f"kbackup backup ls {name}")
        return _FAILED
    content = found[0].content
    print_document(session, content, None)
    return _damage(archive)


@click.command(cls=Command)
@click.argument("name")
@click.option(
    "-f",
    "--file",
    "target",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Where to, - for stdout; default NAME-data.tar.gz.",
)
@click.option("--force", is_flag=True, help="Overwrite the file.")
@global_options
@click.pass_obj
def download(session: Session, name: str, target: Path | None, *, force: bool) -> int:
    """Save the archive of backup NAME, checked against its digest."""
    name = _meant(session, name)
    if target == _STDOUT:
        _print_archive(session, name)
        return 0
    target = target or Path(f"{name}-data.tar.gz")
    if not target.parent.is_dir():
        raise click.BadParameter(
            f"{target.parent} is no directory", param_hint="--file"
        )
    if target.exists() and not force:
        say(f"Error: {target} exists already")
        say_next(session, f"kbackup backup download {name} --file {target} --force")
        return _FAILED
    session.store().download(name, target)
    content = document(
        "Download", backup=name, file=str(target), size=target.stat().st_size
    )
    print_document(session, content, lambda: echo(f"Saved {target}"))
    return 0


def _print_archive(session: Session, name: str) -> None:
    """Write the archive to stdout, once the whole of it has been checked."""
    if sys.stdout is None:
        raise click.BadParameter("stdout is closed", param_hint="--file")
    stdout = sys.stdout.buffer
    if session.output != "table" or stdout.isatty():
        raise click.BadParameter(
            "stdout is for the archive alone, and no terminal", param_hint="--file"
        )
    with TemporaryDirectory() as directory:
        path = Path(directory) / "archive"
        session.store().download(name, path)
        with path.open("rb") as archive:
            for piece in iter(partial(archive.read, _PIECE), b""):
                with bearing_loss(stdout):
                    stdout.write(piece)
    with bearing_loss(stdout):
        stdout.flush()


@click.command(cls=Command)
@click.argument("names", nargs=-1, required=True)
@global_options
@click.pass_obj
def verify(session: Session, names: tuple[str, ...]) -> int:
    """Read the whole of backups: digests, every item, counts, references.

    Exit code 1 if one of them is damaged, or not there.
    """
    store = session.store()
    named = each_named(names, partial(_verified, session))
    listed = document("VerifyReportList", items=named.found)
    print_each(session, listed, lambda: None, several=len(names) > 1)
    if named.errors:
        return named.told(session)
    damaged = [each["backup"] for each in named.found if each["problems"]]
    if damaged and len(store.directories()) > 1:
        say_next(session, "kbackup location repair --dry-run")
    elif damaged:
        say_next(session, f"kbackup backup ls {damaged[0]} --damaged")
    return _FAILED if damaged else 0


def _verified(session: Session, name: str) -> dict[str, Any]:
    """Verify one backup; people are told at once, for the next may take long."""
    name = _meant(session, name)
    report = session.store().verify(name)
    if session.output == "table":
        seen = f"{plural(report.objects, 'object')}, {plural(report.items, 'item')}"
        verdict = "damaged" if report.problems else "whole"
        echo(f"Backup {name} is {verdict}: {seen} read")
        for problem in report.problems:
            echo(f"  {problem}")
        for text in report.away:
            echo(f"  not read: {text}")
    return document(
        "VerifyReport",
        backup=name,
        objects=report.objects,
        items=report.items,
        problems=list(report.problems),
        away=list(report.away),
    )
