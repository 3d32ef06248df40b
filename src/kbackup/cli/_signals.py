"""How a run is ended from outside: signals become a cancel."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING

from kbackup.cli._output import say

if TYPE_CHECKING:
    from kbackup._kits.workers import CancelToken

_CLOSED = "SIGHUP"  # the terminal has gone; Windows has no such signal
_NAMES = ("SIGINT", "SIGTERM", _CLOSED)


@contextmanager
def cancel_on_signal() -> Iterator[CancelToken]:
    """Turn the first Ctrl-C, SIGTERM or SIGHUP into a cancel.

    A second one aborts, but for SIGHUP: of a closed terminal it may come twice, from
    the shell and from the system.
    """
    from kbackup._kits.workers import CancelToken  # noqa: PLC0415 - on demand

    token = CancelToken()
    if threading.current_thread() is not threading.main_thread():
        yield token  # only the main thread hears of signals
        return

    def handle(number: int, _frame: FrameType | None) -> None:
        name = signal.Signals(number).name
        if token.cancelled and name == _CLOSED:
            return
        if token.cancelled:
            raise KeyboardInterrupt
        token.cancel(f"stopped by {name}")
        with suppress(RuntimeError):  # the signal came in the middle of a message
            say(f"\n{name}: ending cleanly; once more to abort.")

    kept = {each: signal.signal(each, handle) for each in _ending()}
    try:
        yield token
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


@contextmanager
def ending_at_once() -> Iterator[None]:
    """Let a signal end a question that is asked under `cancel_on_signal`.

    Nothing else goes on meanwhile that could end cleanly, and an answer may never come.

    Raises:
        KeyboardInterrupt: A signal came.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = {each: signal.signal(each, signal.default_int_handler) for each in _ending()}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def _ending() -> Iterator[signal.Signals]:
    """Yield the signals that end a run, but for those that it is to outlive.

    Of whom started it some come ignored, and stay so: SIGHUP from nohup, and Ctrl-C,
    which is meant for somebody else, from a shell that runs it in the background.
    """
    for name in _NAMES:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            yield number
