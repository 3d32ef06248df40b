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
from kbackup.cli._session import Session
from kbackup.errors import PluginLoadError, PluginNotFoundError
from kbackup.plugins import PluginInfo, PluginKind

if TYPE_CHECKING:
    from kbackup.models import BackupStorageLocation
    from kbackup.testing import ConformanceReport

_KINDS = {
    "object-store": PluginKind.OBJECT_STORE,
    "backup-item-action": PluginKind.BACKUP_ITEM_ACTION,
    "restore-item-action": PluginKind.RESTORE_ITEM_ACTION,
    "delete-item-action": PluginKind.DELETE_ITEM_ACTION,
    "item-block-action": PluginKind.ITEM_BLOCK_ACTION,
}
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
    help="A setting of the store, as in a BackupStorageLocation; bucket and prefix, too.",
)
@click.option(
    "--kind",
    "word",
    type=click.Choice(list(_KINDS)),
    help="Of several things of that name.",
)
@click.option(
    "--items",
    "file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Objects to try an action on, in YAML or JSON; default the sample shop's.",
)
@global_options
@click.pass_obj
def check(
    session: Session,
    name: str | None,
    *,
    config: Mapping[str, str],
    word: str | None,
    file: Path | None,
) -> int:
    """Try every promise that a plugin's family makes; exit code 1 if one is broken.

    NAME is a provider, or an item action, as `kbackup plugin get` lists it. A provider is
    tried on the live location that `--config` or `--location` means, below
    plugins/kbackup.io/check-<uid>/, which is removed again. An action is tried on
    objects; nothing is sent anywhere.
    """
    _require_pytest()
    if name is None:
        if not session.locations:
            raise click.UsageError("Missing argument 'NAME', or option '--location'.")
        name, word = session.location().spec.provider, "object-store"
    found = _found(session, name, _KINDS[word] if word else None)
    if found.kind is PluginKind.OBJECT_STORE:
        report = _check_store(session, found, config)
    else:
        report = _check_action(session, found, file)
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
    if len(kinds) > 1:
        raise click.UsageError(
            f"{name} is the name of several things: choose by --kind "
            f"{' or '.join(kinds)}"
        )
    if not fit and kind in (PluginKind.OBJECT_STORE, None) and not infos:
        factory = plugins.object_store_factory(name)  # by an alias, or it says why not
        known = plugins.object_store_factories
        own = next((key for key, value in known.items() if value is factory), name)
        return _found(session, own, PluginKind.OBJECT_STORE)
    if not fit:
        what = " and ".join(sorted(info.kind for info in infos)) or "nothing"
        raise PluginNotFoundError(
            f"{name} is {what} here, of which no suite can be run from here",
            plugin=name,
        )
    if not fit[0].available:
        raise PluginLoadError(f"{fit[0].name}: {fit[0].cause}", plugin=name)
    return fit[0]


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


def _check_action(
    session: Session, found: PluginInfo, file: Path | None
) -> ConformanceReport:
    from kbackup.models import load_all_yaml  # noqa: PLC0415 - costs 20 ms
    from kbackup.testing import check_item_action, sample_shop  # noqa: PLC0415 - on demand

    if file is None:
        items: Sequence[Mapping[str, Any]] = sample_shop()
    else:
        items = [item for item in load_all_yaml(file.read_text()) if item]
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


def _print(session: Session, found: PluginInfo, report: ConformanceReport) -> None:
    content = document(
        "ConformanceReport",
        name=found.name,
        pluginKind=found.kind,
        distribution=found.distribution,
        version=found.version,
        **report.to_json(),
    )
    broken = [each for each in report.promises if not each.kept]

    def table() -> None:
        echo(f"{found.name} of {found.release}, by {report.suite}")
        for each in report.promises:
            echo(f"{'kept  ' if each.kept else 'BROKEN'}  {each.text}")
            for case, fault in each.faults.items():
                echo(f"        {f'{case}: ' if case else ''}{fault}")
        for key in report.left_behind:
            echo(f"LEFT    {key}")
        for key in report.locked:
            echo(f"locked  {key}")
        kept = len(report.promises) - len(broken)
        echo(f"{kept} of {len(report.promises)} promises are kept")

    print_document(session, content, table)
    if report.left_behind:
        say("What is left behind may be deleted: nothing of kbackup's needs it.")
    if report.locked:
        say("What the suite locked can be deleted when its lock ends, in 5 minutes.")
    if report.conforming:
        say_next(session, "kbackup plugin get")
