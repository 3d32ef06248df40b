"""The one way to call an item action, so that none that hangs, fails or lies does harm.

Whatever an action does wrong is an `ActionError` with its name and the item's, what it
raised as the cause; what it says about a Secret is not repeated. Python cannot stop a
call that hangs: it is left to its daemon thread, and whatever it returns later is thrown
away. Used by both engines, and where a backup is deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, overload

import attrs

from kbackup._kits.words import text_of
from kbackup._kits.workers import (
    Cancelled,
    CancelToken,
    StuckCallError,
    call_watched,
)
from kbackup.errors import ActionError, ActionTimeoutError, KBackupError, PluginError
from kbackup.models import ResourceIdentifier, well_known
from kbackup.plugins._action_outputs import (
    WrongAnswerError,
    checked,
    checked_related,
)
from kbackup.plugins._item_actions import (
    BackupInput,
    BackupItemAction,
    BackupOutput,
    DeleteInput,
    DeleteItemAction,
    ItemBlockAction,
    RestoreInput,
    RestoreItemAction,
    RestoreOutput,
)
from kbackup.plugins._run import Run

T = TypeVar("T")

_BUILT_IN = "kbackup.actions."


def is_built_in(action: object) -> bool:
    """Whether an action is kbackup's own: it comes back, and quotes nothing hidden."""
    return f"{type(action).__module__}.".startswith(_BUILT_IN)


@overload
def execute_action(
    run: Run,
    action: BackupItemAction,
    given: BackupInput,
    *,
    hide: bool = False,
    apart: bool = True,
) -> BackupOutput: ...


@overload
def execute_action(
    run: Run,
    action: RestoreItemAction,
    given: RestoreInput,
    *,
    hide: bool = False,
    apart: bool = True,
) -> RestoreOutput: ...


def execute_action(
    run: Run,
    action: Any,
    given: BackupInput | RestoreInput,
    *,
    hide: bool = False,
    apart: bool = True,
) -> BackupOutput | RestoreOutput:
    """Ask an action about an item, as `call_action` does.

    Returns:
        What it answered; where its words may quote what nobody may see, the reason to
        skip says only who skips.

    Raises:
        ActionError: It failed, or answered something else.
        ActionTimeoutError: It did not come back.
        Cancelled: The run is to stop.
    """
    ref = given.identifier
    hide = hide or well_known.is_secret(ref.group_resource)
    expected = BackupOutput if isinstance(given, BackupInput) else RestoreOutput

    def call() -> BackupOutput | RestoreOutput:
        return checked(action.execute(given), expected, given.item)

    answer = call_action(run, action.name, ref, call, hide=hide, apart=apart)
    if answer.skip and hide and not is_built_in(action):
        return attrs.evolve(answer, skip=f"left out by action {action.name}")
    return answer


def execute_own_action(
    run: Run, action: RestoreItemAction, given: RestoreInput, *, hide: bool = False
) -> RestoreOutput:
    """Ask one of our own actions: what it answers is taken as it is, at a third of the time.

    Raises:
        ActionError: It failed.
    """
    started = run.clock.monotonic()
    try:
        return action.execute(given)
    except Exception as exc:
        hide = hide or well_known.is_secret(given.identifier.group_resource)
        fact = fact_of(exc, hide=hide)
        raise ActionError(action.name, str(given.identifier), fact) from exc
    finally:
        run.spent(action.name, run.clock.monotonic() - started)


def execute_item_block_action(
    run: Run, action: ItemBlockAction, given: BackupInput
) -> tuple[ResourceIdentifier, ...]:
    """Ask an action what is related to an item, as `call_action` does.

    Raises:
        ActionError: It failed, or answered something else.
        ActionTimeoutError: It did not come back.
        Cancelled: The run is to stop.
    """

    def call() -> tuple[ResourceIdentifier, ...]:
        return checked_related(action.related_items(given))

    ref, apart = given.identifier, not is_built_in(action)
    return call_action(run, action.name, ref, call, apart=apart)


def execute_delete_action(
    run: Run, action: DeleteItemAction, given: DeleteInput
) -> None:
    """Let an action clean up after an item, as `call_action` does.

    Raises:
        ActionError: It failed, or answered something: it has nothing to answer.
        ActionTimeoutError: It did not come back.
        Cancelled: The deletion is to stop.
    """

    def call() -> None:
        execute: Callable[[DeleteInput], object] = action.execute
        answer = execute(given)
        if answer is not None:
            raise WrongAnswerError(f"it returned a {type(answer).__name__}, not None")

    call_action(run, action.name, given.identifier, call)


def are_ready(
    run: Run,
    action: RestoreItemAction,
    given: RestoreInput,
    items: Sequence[ResourceIdentifier],
    *,
    hide: bool = False,
) -> bool:
    """Ask an action whether what it asked for can be used, as `call_action` does.

    Raises:
        ActionError: It failed, answered neither yes nor no, or cannot be asked.
        ActionTimeoutError: It did not come back.
        Cancelled: The run is to stop.
    """

    def call() -> bool:
        ask = getattr(action, "are_additional_items_ready", None)
        if ask is None:
            raise WrongAnswerError("it has no method are_additional_items_ready")
        answer = ask(given, tuple(items))
        if not isinstance(answer, bool):
            kind = type(answer).__name__
            raise WrongAnswerError(
                f"are_additional_items_ready returned a {kind}, not a bool"
            )
        return answer

    return call_action(run, action.name, given.identifier, call, hide=hide)


def call_action(
    run: Run,
    action: str,
    item: ResourceIdentifier,
    function: Callable[[], T],
    *,
    hide: bool = False,
    cancel: CancelToken | None = None,
    apart: bool = True,
) -> T:
    """Call a method of an action, for no longer than the run's `action_timeout`.

    Args:
        run: Remembers who did not come back, and what each plugin took.
        action: Its name.
        item: What it is called about.
        function: The call.
        hide: The text of what it raises may quote what nobody may see; that of a Secret
            may in any case.
        cancel: Ends the waiting; None: the run's.
        apart: On a thread of its own, which costs 70 us. Without, the caller watches the
            time, or trusts the action to come back.

    Raises:
        ActionError: The action raised, or did not come back once and is not called.
        ActionTimeoutError: It did not come back now.
        Cancelled: The waiting is over.
    """
    if action in run.stuck:
        text = "not called again: it did not come back once"
        raise ActionError(action, str(item), text)
    token = cancel or run.cancel
    token.check()
    limit = run.settings.action_timeout.total_seconds()
    started = run.clock.monotonic()
    try:
        return call_watched(function, limit, token) if apart else function()
    except StuckCallError as exc:
        run.stuck.add(action)
        raise ActionTimeoutError(action, str(item), limit) from exc
    except (KeyboardInterrupt, Cancelled):
        raise
    except BaseException as exc:  # such as asyncio's CancelledError: foreign code
        fact = fact_of(exc, hide=hide or well_known.is_secret(item.group_resource))
        raise ActionError(action, str(item), fact) from exc
    finally:
        if apart or action not in run.stuck:  # else who gave up on it has counted it
            run.spent(action, run.clock.monotonic() - started)


def plugin_of(exc: BaseException) -> str:
    """Return whose failure an error tells of; empty: no plugin's."""
    return exc.plugin if isinstance(exc, PluginError) else ""


def fact_of(exc: BaseException, *, hide: bool) -> str:
    """What to say of a foreign error; with *hide* not its text: it may quote a value."""
    kind, text = type(exc).__name__, text_of(exc)
    if isinstance(exc, WrongAnswerError):
        return text
    if hide or not text:
        return kind
    return text if isinstance(exc, KBackupError) else f"{kind}: {text}"
