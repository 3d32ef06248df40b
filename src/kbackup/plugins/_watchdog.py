"""One call of an item action, so that none that hangs or fails does harm.

Python cannot stop a call that hangs: it is left to its daemon thread, and whatever it
returns later is thrown away. Used by both engines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from kbackup._kits.workers import CancelToken, StuckCallError, call_watched
from kbackup.errors import ActionError, ActionTimeoutError, KBackupError
from kbackup.models import ResourceIdentifier, well_known
from kbackup.plugins._run import Run

T = TypeVar("T")


def call_action(
    run: Run,
    action: str,
    item: ResourceIdentifier,
    function: Callable[[], T],
    *,
    hide: bool = False,
    cancel: CancelToken | None = None,
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

    Raises:
        ActionError: The action raised, or did not come back once and is not called.
        ActionTimeoutError: It did not come back now.
        KBackupError: What the action let pass, as it is.
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
        return call_watched(function, limit, token)
    except StuckCallError as exc:
        run.stuck.add(action)
        raise ActionTimeoutError(action, str(item), limit) from exc
    except KBackupError:
        raise
    except (Exception, SystemExit) as exc:
        fact = fact_of(exc, hide=hide or well_known.is_secret(item.group_resource))
        raise ActionError(action, str(item), fact) from exc
    finally:
        run.spent(action, run.clock.monotonic() - started)


def fact_of(exc: BaseException, *, hide: bool) -> str:
    """What to say of a foreign error; with *hide* not its text: it may quote a value."""
    kind = type(exc).__name__
    return kind if hide or not str(exc) else f"{kind}: {exc}"
