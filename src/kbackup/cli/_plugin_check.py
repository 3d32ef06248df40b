"""``kbackup plugin check``: does what is installed keep the promises of its family?"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kbackup.cli._options import global_options
from kbackup.cli._output import (
    document,
    echo,
    is_terminal,
    print_document,
    say,
    say_next,
)
from kbackup.cli._plugin_check_volumes import SnapshotterChoice, check_snapshotter
from kbackup.cli._session import Session
from kbackup.errors import CodecError, PluginLoadError, PluginNotFoundError
from kbackup.plugins import PluginInfo, PluginKind, PluginManager
from kbackup.plugins.engine import is_object

if TYPE_CHECKING:
    from kbackup.models import BackupStorageLocation
    from kbackup.testing import ConformanceReport, Promise

_KINDS = {
    "object-store": PluginKind.OBJECT_STORE,
    "volume-snapshotter": PluginKind.VOLUME_SNAPSHOTTER,
    "backup-item-action": PluginKind.BACKUP_ITEM_ACTION,
    "restore-item-action": PluginKind.RESTORE_ITEM_ACTION,
    "delete-item-action": PluginKind.DELETE_ITEM_ACTION,
    "item-block-action": PluginKind.ITEM_BLOCK_ACTION,
}
_OF_PROVIDERS = (PluginKind.OBJECT_STORE, PluginKind.VOLUME_SNAPSHOTTER)
_WORDS = {kind: word for word, kind in _KINDS.items()}


def _as_config(
    ctx: click.Context, param: click.Parameter, value: tuple[str, ...]
) -> dict[str, str]:
    """Put the settings together; a value may hold anything, also a comma."""
    config: dict[str, str] = {}
    for text in value:
        key, sign, setting = text.partition("=")
        if not sign or not key:
            raise click.BadParameter("it is written KEY=VALUE", ctx, param)
        if config.setdefault(key, setting) != setting:
            raise click.BadParameter(f"{key} is given twice", ctx, param)
    return config


@click.command()
@click.argument("name", required=False)
@click.option(
    "--config",
    multiple=True,
    metavar="KEY=VALUE",
    callback=_as_config,
    help="A setting of the provider, as in its location; of a store bucket and prefix, "
    "too.",
)
@click.option(
    "--kind",
    "word",
    type=click.Choice(list(_KINDS)),
    help="Of several things of that name; a provider's store without it.",
)
@click.option(
    "--items",
    "file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Objects to try an action on, in YAML or JSON; default the sample shop's. For "
    "a volume snapshotter the PersistentVolume to make a copy of.",
)
@click.option("--zone", default="", help="Where that volume is, if it does not say it.")
@click.option("--confirm", "--yes", "yes", is_flag=True, help="Do not ask.")
@global_options
@click.pass_obj
def check(
    session: Session,
    name: str | None,
    *,
    config: Mapping[str, str],
    word: str | None,
    file: Path | None,
    zone: str,
    yes: bool,
) -> int:
    """Try every promise that a plugin's family makes; exit code 1 if one is broken.

    NAME is a provider, or an item action, as `kbackup plugin get` lists it. A provider is
    tried on the live location that `--config` or `--location` means, below
    plugins/kbackup.io/check-<uid>/, which is removed again. An action is tried on
    objects; nothing is sent anywhere. A volume snapshotter (`--kind volume-snapshotter`)
    is tried on a copy of a real volume: what is made of it is said first, and asked for;
    snapshots are deleted again, volumes stay.
    """
    _require_pytest()
    if name is None:
        if not session.locations:
            raise click.UsageError("Missing argument 'NAME', or option '--location'.")
        name, word = session.location().spec.provider, "object-store"
    found = _found(session, name, _KINDS[word] if word else None)
    items = None if file is None else _objects(file)
    report: ConformanceReport | None
    if found.kind is PluginKind.OBJECT_STORE:
        report = _check_store(session, found, config)
    elif found.kind is PluginKind.VOLUME_SNAPSHOTTER:
        choice = SnapshotterChoice(
            config=config, volumes=items or (), zone=zone, yes=yes
        )
        report = check_snapshotter(session, found.name, choice, _heard())
    else:
        report = _check_action(session, found, items)
    if report is None:
        return 1
    _print(session, found, report)
    return 0 if report.conforming else 1


def _require_pytest() -> None:
    try:
        import pytest  # noqa: F401, PLC0415 - an extra
    except ModuleNotFoundError as exc:
        raise PluginLoadError(
            f"the contract suites need {exc.name}, which is not installed",
            hint="pip install 'kbackup[testing]'",
        ) from exc


def _found(session: Session, name: str, kind: PluginKind | None) -> PluginInfo:
    """Return the one thing of that name that has a suite and can be used."""
    names = {name, name if "/" in name else f"velero.io/{name}"}
    plugins = session.plugins
    infos = [info for info in plugins.list_plugins() if info.name in names]
    fit = [info for info in infos if kind in (info.kind, None) and info.kind in _WORDS]
    kinds = sorted({_WORDS[info.kind] for info in fit})
    if len(kinds) > 1 and "object-store" in kinds:  # and its provider's snapshotter
        return _found(session, name, PluginKind.OBJECT_STORE)
    if len(kinds) > 1:
        raise click.UsageError(
            f"{name} is the name of several things: choose by --kind "
            f"{' or '.join(kinds)}"
        )
    if not infos and kind in (*_OF_PROVIDERS, None):
        kind = kind or PluginKind.OBJECT_STORE
        return _found(session, _own_name(plugins, name, kind), kind)
    if not infos:
        raise PluginNotFoundError(f"no plugin offers {name!r}", plugin=name)
    if not fit:
        what = " and ".join(sorted(info.kind for info in infos))
        wrong = f"not {kind}" if kind else "of which no suite can be run from here"
        raise PluginNotFoundError(f"{name} is {what} here, {wrong}", plugin=name)
    if not fit[0].available:
        raise PluginLoadError(f"{fit[0].name}: {fit[0].cause}", plugin=name)
    return fit[0]


def _own_name(plugins: PluginManager, alias: str, kind: PluginKind) -> str:
    """Return the name that an alias stands for.

    Raises:
        PluginError: It stands for none that can be used; it says why.
    """
    if kind is PluginKind.OBJECT_STORE:
        store = plugins.object_store_factory(alias)
        stores = plugins.object_store_factories.items()
        return next((name for name, each in stores if each is store), alias)
    snapshotter = plugins.volume_snapshotter(alias)
    snapshotters = plugins.volume_snapshotter_factories.items()
    return next((name for name, each in snapshotters if each is snapshotter), alias)


def _check_store(
    session: Session, found: PluginInfo, config: Mapping[str, str]
) -> ConformanceReport:
    from kbackup.testing import check_object_store  # noqa: PLC0415 - on demand

    location = _location(session, found.name, config)
    return check_object_store(location, session.plugins, heard=_heard())


def _location(
    session: Session, provider: str, config: Mapping[str, str]
) -> BackupStorageLocation:
    """Return the location that the settings mean, or `--location`; never a default."""
    from kbackup.models import (  # noqa: PLC0415 - on demand
        BackupStorageLocation,
        BackupStorageLocationSpec,
        ObjectMeta,
        ObjectStorage,
    )

    if config and session.locations:
        raise click.UsageError("--config and --location both say where: give one.")
    if config:
        rest = dict(config)
        storage = ObjectStorage(
            bucket=rest.pop("bucket", ""), prefix=rest.pop("prefix", "")
        )
        spec = BackupStorageLocationSpec(
            provider=provider, config=rest, object_storage=storage
        )
        return BackupStorageLocation(metadata=ObjectMeta(name="check"), spec=spec)
    if not session.locations:
        raise click.UsageError(
            "The suite writes to a real location: name it by --config or --location."
        )
    location = session.location()
    factory = session.plugins.object_store_factory
    if factory(location.spec.provider) is not factory(provider):
        raise click.UsageError(
            f"The location is one of {location.spec.provider}, not of {provider}."
        )
    return location


def _objects(file: Path) -> list[Mapping[str, Any]]:
    """Read the objects of a file, also those of a list as kubectl prints it."""
    from kbackup.models import load_all_yaml  # noqa: PLC0415 - costs 20 ms

    try:
        documents = load_all_yaml(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, CodecError) as exc:
        raise click.UsageError(f"{file} cannot be read: {exc}") from exc
    objects: list[Any] = []
    for content in documents:
        several = isinstance(content, Mapping) and content.get("kind") == "List"
        objects += content.get("items") or () if several else [content]
    objects = [each for each in objects if each is not None]
    if not all(map(is_object, objects)):
        raise click.UsageError(
            f"Not all that is in {file} are objects of Kubernetes, with apiVersion, kind "
            "and metadata.name."
        )
    return objects


def _check_action(
    session: Session, found: PluginInfo, items: Sequence[Mapping[str, Any]] | None
) -> ConformanceReport:
    from kbackup.testing import check_item_action, sample_shop  # noqa: PLC0415 - on demand

    if items is None:
        items = sample_shop()
    actions: Mapping[PluginKind, Callable[[], Sequence[Any]]] = {
        PluginKind.BACKUP_ITEM_ACTION: session.plugins.backup_item_actions,
        PluginKind.RESTORE_ITEM_ACTION: session.plugins.restore_item_actions,
        PluginKind.DELETE_ITEM_ACTION: session.plugins.delete_item_actions,
        PluginKind.ITEM_BLOCK_ACTION: session.plugins.item_block_actions,
    }
    action = next(each for each in actions[found.kind]() if each.name == found.name)
    return check_item_action(found.kind, action, items, heard=_heard())


def _heard() -> Callable[[str], None] | None:
    """Return what tells a person at a terminal which promise is tried."""
    return say if is_terminal(sys.stderr) else None


def _mark(promise: Promise) -> str:
    if promise.untried:
        return "untried"
    return "kept" if promise.kept else "BROKEN"


def _print(session: Session, found: PluginInfo, report: ConformanceReport) -> None:
    content = document(
        "ConformanceReport",
        name=found.name,
        pluginKind=found.kind,
        distribution=found.distribution,
        version=found.version,
        **report.to_json(),
    )

    def table() -> None:
        echo(f"{found.name} of {found.release}, by {report.suite}")
        for each in report.promises:
            _print_promise(each)
        for mark, names in (
            ("LEFT", report.left_behind),
            ("LOCKED", report.locked),
            ("MADE", report.volumes_made),
        ):
            for name in names:
                echo(f"{mark:8}{name}")
        kept = sum(each.kept for each in report.promises)
        untried = sum(bool(each.untried) for each in report.promises)
        rest = f", {untried} could not be tried from here" if untried else ""
        echo(f"{kept} of {len(report.promises)} promises are kept{rest}")

    print_document(session, content, table)
    if report.left_behind:
        say("What is left behind may be deleted: nothing of kbackup's needs it.")
    if report.volumes_made:
        say("The volumes that were made stay: delete them with the provider's tools.")
    if report.locked:
        say("What the suite locked can be deleted when its lock ends, in 5 minutes.")
    if report.conforming:
        say_next(session, "kbackup plugin get")


def _print_promise(promise: Promise) -> None:
    echo(f"{_mark(promise):8}{promise.text}")
    if promise.untried:
        echo(f"        {promise.untried}")
    for case, fault in promise.faults.items():
        echo(f"        {f'{case}: ' if case else ''}{fault}")
