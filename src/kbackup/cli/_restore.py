"""``kbackup restore``: plan restores, and carry them out."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import click

from kbackup._kits.times import format_time
from kbackup.cli._asking import agreed, require_somebody_to_ask
from kbackup.cli._describe import describe_restore
from kbackup.cli._options import (
    Group,
    filter_options,
    global_options,
    list_option,
    operations_option,
    pairs_option,
    settings_option,
    status_options,
    switch_option,
)
from kbackup.cli._output import (
    ago,
    document,
    echo,
    print_document,
    print_lines,
    print_results,
    print_table,
    results_json,
    say,
    say_next,
)
from kbackup.cli._place import say_none
from kbackup.cli._plan_file import (
    load_plan,
    refuse_beside_plan,
    refuse_unwritable,
    save_plan,
)
from kbackup.cli._progress import show_progress
from kbackup.cli._restore_request import modifiers_of, modifiers_typed, restore_request
from kbackup.cli._session import NoBackupGivenError, Session
from kbackup.cli._several import Named, each_named, picked, print_each
from kbackup.cli._signals import cancel_on_signal
from kbackup.cli._transforms import transform_options
from kbackup.cli._typed import as_typed
from kbackup.cli._types import Duration, Ordered
from kbackup.errors import KBackupError
from kbackup.models import (
    to_json,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kbackup.catalog import BackupStore, ClaimRecord
    from kbackup.models import Restore, RestoreResult
    from kbackup.plugins import Observer
    from kbackup.restore import RestoreEngine, RestorePlan

F = TypeVar("F", bound=Callable[..., Any])
_POLICIES = click.Choice(["none", "update"])
_FILE = click.Path(path_type=Path, dir_okay=False)
_FOUND_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)

_RESTORE_OPTIONS = (
    click.argument("name", required=False),
    click.option("--from-backup", metavar="NAME|latest", help="What to restore."),
    click.option(
        "--from-schedule",
        metavar="NAME",
        help="Restore the newest Completed backup of a schedule.",
    ),
    click.option(
        "--allow-partially-failed",
        is_flag=True,
        help="With --from-schedule: also one that lacks something.",
    ),
    filter_options,
    pairs_option(
        "--namespace-mappings", separator=":", text="Restore namespace a as b: a:b."
    ),
    click.option(
        "--existing-resource-policy",
        type=click.Choice(["none", "update", "apply"]),
        help="What to do with namespaced objects that exist; default none.",
    ),
    click.option(
        "--existing-cluster-resource-policy",
        type=_POLICIES,
        help="What to do with cluster-scoped objects that exist; default none.",
    ),
    pairs_option(
        "--existing-policies",
        text="By type or TYPE/NAMESPACE/NAME: none, update, apply or recreate.",
    ),
    click.option(
        "--force-conflicts",
        is_flag=True,
        help="With policy apply, take fields from their managers.",
    ),
    click.option(
        "--controlled",
        type=click.Choice(["recreate", "adopt"]),
        default="recreate",
        help="Leave Pods to their controllers, or let these adopt them.",
    ),
    click.option(
        "--resource-modifier-configmap",
        metavar="NAME",
        help="Change items by the rules of a ConfigMap of the target's Velero.",
    ),
    click.option(
        "--resource-modifiers-file",
        type=_FOUND_FILE,
        help="Change items by the same rules, from a file.",
    ),
    settings_option(
        "--action-setting",
        text="For an item action, such as velero.io/change-storage-class:old=new.",
    ),
    click.option(
        "--enable-api-group-versions",
        is_flag=True,
        help="Of several versions in the backup take the one that suits the target.",
    ),
    click.option(
        "--restore-resources-version-priority",
        type=Ordered("VERSION"),
        metavar="TYPE=VERSION,...[;...]",
        help="Of these types the first version that both have, such as "
        "'cronjobs.batch=v1,v1beta1'.",
    ),
    switch_option("--restore-volumes", text="Velero's restorePVs."),
    switch_option("--preserve-nodeports", text="Keep the node ports of Services."),
    status_options,
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
    transform_options,
    click.option(
        "--include-system", is_flag=True, help="Also what belongs to the cluster."
    ),
    click.option(
        "--no-convert",
        is_flag=True,
        help="Convert nothing to an API version that the target serves.",
    ),
    click.option(
        "--validate", is_flag=True, help="Ask the server about each write (dry run)."
    ),
    click.option(
        "--damaged", is_flag=True, help="Read what is readable of a damaged backup."
    ),
    list_option("--redact", text="Types whose values are not shown, as Secrets'."),
    click.option("--deadline", type=Duration(), help="For what may pass; default 10m."),
    operations_option,
)


def restore_options(command: F) -> F:
    """Add the options that say what to restore and how."""
    for option in reversed(_RESTORE_OPTIONS):
        command = option(command)
    return command


@click.group(cls=Group)
@global_options
def restore() -> None:
    """Plan restores, and carry them out."""


@restore.command()
@restore_options
@click.option(
    "--detailed-exitcode", is_flag=True, help="0 nothing to do, 4 changes, 5 conflicts."
)
@click.option("--save", type=_FILE, help="Save the plan for `restore create --plan`.")
@click.option("--force", is_flag=True, help="Overwrite the file of --save.")
@global_options
@click.pass_obj
def plan(
    session: Session,
    /,
    *,
    detailed_exitcode: bool,
    save: Path | None,
    force: bool,
    **flags: Any,
) -> int:
    """Show what a restore would do; nothing is written to cluster or store."""
    _require_backup(session, flags)
    if save is not None:
        refuse_unwritable(save)
        if save.exists() and not force:
            saved = f"--save {shlex.quote(str(save))} --force"
            saved += " --detailed-exitcode" if detailed_exitcode else ""
            say(f"Error: {save} exists already")
            say_next(
                session, f"kbackup restore plan {as_typed(session, flags)} {saved}"
            )
            return 1
    planned = _plan(session, flags, session.store())
    content = planned.to_json()
    again = as_typed(session, flags)
    if save is not None:
        save_plan(save, content)
        again = f"--plan {shlex.quote(str(save))}{modifiers_typed(flags)}"
    print_document(session, content, lambda: echo(str(planned)))
    if planned.selects_nothing:
        say_next(session, f"kbackup backup ls {session.backup}")
    else:
        say_next(session, f"kbackup restore create {again}")
    return planned.exit_code if detailed_exitcode or planned.selects_nothing else 0


@restore.command()
@restore_options
@click.option(
    "--plan", type=_FOUND_FILE, help="Carry out what `restore plan --save` has saved."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@global_options
@click.pass_obj
def create(session: Session, /, *, plan: Path | None, yes: bool, **flags: Any) -> int:
    """Plan a restore, show what it changes, ask, and carry exactly that plan out."""
    if plan is None:
        _require_backup(session, flags)
        shown = f"kbackup restore plan {as_typed(session, flags)}"
        require_somebody_to_ask(yes=yes, first=session.complete(shown))
    else:
        refuse_beside_plan(click.get_current_context())
        require_somebody_to_ask(yes=yes)
    store = session.store()
    if plan is None:
        planned = _plan(session, flags, store)
        again = f"plan {as_typed(session, flags)}"
        named = as_typed(session, {**flags, "name": planned.head.restore_name})
        session.again = session.complete(f"kbackup restore create {named} --yes")
    else:
        planned = load_plan(plan, modifiers_of(flags))
        session.backup = planned.head.backup_name
        _engine(session, store).check(planned)  # before anybody is shown it
        again = f"create --plan {shlex.quote(str(plan))}{modifiers_typed(flags)}"
    say(_aimed(session, planned).summary())
    if not agreed("Carry this plan out?", yes=yes or planned.is_empty):
        say("Nothing was written.")
        say_next(session, f"kbackup restore {again}")
        return 1
    with show_progress() as observer, cancel_on_signal() as token:
        engine = _engine(session, store, observer)
        result = engine.apply(planned, cancel=token)
    content = document(
        "RestoreResult",
        restore=to_json(result.restore),
        results=results_json(result.results),
        report=result.report.to_json(),
        outcomes=[
            {"item": str(o.identifier), "action": o.action, "reason": o.reason}
            for o in result.outcomes
        ],
        exitCode=result.exit_code,
    )
    print_document(session, content, lambda: _print_restored(result))
    _say_what_is_on_record(session, store, result)
    return result.exit_code


def _say_what_is_on_record(
    session: Session, store: BackupStore, result: RestoreResult
) -> None:
    """Lead to the record, and say so where it is that of an earlier run.

    There is none where nothing could be written.
    """
    done = result.restore
    try:
        kept = store.get_restore(done.name)
    except KBackupError:
        say_next(session, f"kbackup backup describe {done.spec.backup_name}")
        return
    if to_json(kept.status) != to_json(done.status):
        start = kept.status.start_timestamp
        say(
            f"On record stays the first run of {done.name}, not this one: "
            f"{kept.status.phase}, started {format_time(start) if start else 'n/a'}"
        )
    say_next(session, f"kbackup restore describe {done.name}")


def _require_backup(session: Session, flags: Mapping[str, Any]) -> None:
    """Refuse a restore of nothing; a plan in a file names its backup itself."""
    session.backup = flags["from_backup"] or ""
    if flags["from_backup"] and flags["from_schedule"]:
        raise click.UsageError("give either --from-backup or --from-schedule")
    if flags["allow_partially_failed"] and not flags["from_schedule"]:
        raise click.UsageError("--allow-partially-failed goes with --from-schedule")
    if not flags["from_backup"] and not flags["from_schedule"]:
        raise NoBackupGivenError(flags["name"] or "", session.verb)


def _aimed(session: Session, planned: RestorePlan) -> RestorePlan:
    """Return the plan as it is shown: it is written where this call connects to."""
    target = session.cluster()
    head = attrs.evolve(
        planned.head,
        server=target.server,
        context=target.context,
        cluster_version=target.version().git_version,
    )
    return attrs.evolve(planned, head=head)


def _plan(session: Session, flags: dict[str, Any], store: BackupStore) -> RestorePlan:
    """Plan what the flags ask for."""
    name, spec, options = restore_request(session, flags, store)
    with show_progress() as observer, cancel_on_signal() as token:
        engine = _engine(session, store, observer)
        return engine.plan(name, spec, options, cancel=token)


def _engine(
    session: Session, store: BackupStore, observer: Observer | None = None
) -> RestoreEngine:
    """Make the engine; the cluster is connected once."""
    from kbackup.restore import RestoreEngine  # noqa: PLC0415 - on demand

    return RestoreEngine(
        session.cluster(), store, plugins=session.plugins, observer=observer
    )


def _print_restored(result: RestoreResult) -> None:
    """Tell how the restore ended, by what was done to how many."""
    counts = Counter(outcome.action for outcome in result.outcomes)
    done = ", ".join(f"{n} {action}" for action, n in sorted(counts.items()))
    print_results(result.results)
    name, phase = result.restore.metadata.name, result.restore.status.phase
    echo(f"Restore {name}: {phase}, {done or 'nothing selected'}")


@restore.command()
@click.argument("names", nargs=-1)
@global_options
@click.pass_obj
def get(session: Session, names: tuple[str, ...]) -> int:
    """List the restores in the location, newest first, Velero's too."""
    store = session.store()
    named = Named(store.list_restores())
    if names:
        listed = {each.metadata.name: each for each in named.found}
        named = picked(listed, names, store.get_restore)
    begun = [] if names else store.unended_restores()
    content = document(
        "RestoreList",
        items=[to_json(each) for each in named.found],
        unended=[_unended_json(each) for each in begun],
    )
    headers = ("NAME", "BACKUP", "STATUS", "ERRORS", "WARNINGS", "STARTED")
    rows = [*map(_unended_row, begun), *map(_row, named.found)]
    print_document(session, content, lambda: print_table(headers, rows))
    for each in begun:
        say(f"{each.name} has not ended: begun {each}")
    if begun:
        say("One that was killed is completed by the same restore under the same name.")
    elif not named.found and not names:
        say_none(session, store, "restores")
        say_next(session, "kbackup restore plan --from-backup latest")
    return named.told(session)


def _unended_row(begun: ClaimRecord) -> tuple[str, ...]:
    """Return the line of a restore that runs, or was killed before it had a record."""
    started = ago(begun.started, datetime.now(UTC))
    return (begun.name, begun.from_backup or "unknown", _state(begun), "", "", started)


def _unended_json(begun: ClaimRecord) -> dict[str, Any]:
    """Return what is known of such a restore."""
    return {
        "name": begun.name,
        "backup": begun.from_backup,
        "state": _state(begun),
        "run": begun.run,
        "host": begun.host,
        "process": begun.pid,
        "started": format_time(begun.started),
        "heartbeat": format_time(begun.heartbeat),
    }


def _state(begun: ClaimRecord) -> str:
    return "incomplete" if begun.is_stale(datetime.now(UTC)) else "in_progress"


def _row(restore_: Restore) -> tuple[str, ...]:
    """Return one line of ``restore get``."""
    status = restore_.status
    return (
        restore_.metadata.name,
        restore_.spec.backup_name or "unknown",
        str(status.phase or "unknown"),
        str(status.errors),
        str(status.warnings),
        ago(status.start_timestamp, datetime.now(UTC)),
    )


@restore.command()
@click.argument("names", nargs=-1, required=True)
@click.option(
    "--details", is_flag=True, help="Also each object, every warning and error."
)
@global_options
@click.pass_obj
def describe(session: Session, names: tuple[str, ...], *, details: bool) -> int:
    """Tell what a restore did and what went wrong."""
    store = session.store()
    look = partial(describe_restore, store, details=details)
    named = each_named(names, look)
    contents = [content for content, _ in named.found]
    print_each(
        session,
        document("RestoreDescriptionList", items=contents),
        lambda: echo("\n\n".join(text for _, text in named.found)),
        several=len(names) > 1,
    )
    if named.errors:
        return named.told(session)
    say_next(session, f"kbackup restore logs {names[-1]}")
    return 0


@restore.command()
@click.argument("name")
@global_options
@click.pass_obj
def logs(session: Session, name: str) -> None:
    """Print the log of restore NAME."""
    store = session.store()
    store.get_restore(name)  # a name that is not there is an error, not an empty log
    lines = store.restore_logs(name)
    print_lines(session, lines, kind="RestoreLog", name=name)
