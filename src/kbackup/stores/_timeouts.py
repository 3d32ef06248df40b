"""How long a call to a store may take in all, and when it is tried again.

Times come from the location's configuration. Called by the stores of this room and of
the provider packages.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import ParamSpec, TypeVar

import attrs

from kbackup._kits.durations import DurationError, parse_duration
from kbackup._kits.workers import call_with_timeout
from kbackup.errors import InvalidConfigError, KBackupError, StoreUnavailableError

P = ParamSpec("P")
T = TypeVar("T")

_SLOWEST = 1 << 20  # bytes a second below which a transfer counts as hanging


@attrs.frozen(kw_only=True)
class Timeouts:
    """Total times of one call, retries included.

    Attributes:
        request: For a stat, one page of a list, a delete.
        transfer: For a put or a get, to which a second per MiB is added.
    """

    request: timedelta = timedelta(seconds=30)
    transfer: timedelta = timedelta(minutes=10)

    @classmethod
    def from_config(cls, config: Mapping[str, str]) -> Timeouts:
        """Read ``requestTimeout`` and ``transferTimeout``, written ``30s``, ``10m``.

        Raises:
            InvalidConfigError: One is no duration, or not above zero.
        """
        default = cls()
        return cls(
            request=read_duration(config, "requestTimeout", default.request),
            transfer=read_duration(config, "transferTimeout", default.transfer),
        )

    def for_transfer(self, size: int) -> float:
        """Return the seconds that moving *size* bytes may take."""
        return self.transfer.total_seconds() + size / _SLOWEST

    def for_request(self) -> float:
        """Return the seconds that anything else may take."""
        return self.request.total_seconds()


def read_duration(config: Mapping[str, str], key: str, default: timedelta) -> timedelta:
    """Return the time that *key* of a location's configuration says, such as ``2m``.

    Raises:
        InvalidConfigError: It is no duration, or not above zero.
    """
    text = config.get(key, "")
    if not text:
        return default
    try:
        value = parse_duration(text)
    except DurationError as exc:
        raise InvalidConfigError(f"{key} of the location: {exc}") from exc
    if value <= timedelta(0):
        raise InvalidConfigError(f"{key} of the location is {text}: not above zero")
    return value


def bounded(
    key: str,
    seconds: float,
    function: Callable[P, T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Call *function*, which may hang in the operating system, for *seconds* at most.

    Raises:
        StoreUnavailableError: It did not come back; its thread is left behind.
    """
    try:
        return call_with_timeout(function, seconds, *args, **kwargs)
    except TimeoutError as exc:
        raise StoreUnavailableError(key, f"no answer within {seconds:g} s") from exc


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """Tries again what may pass, with pauses of random length that grow.

    Random, so that many workers that failed together do not come back together. An
    error's ``retry_after`` is waited for in any case.

    Attributes:
        attempts: How often in all.
        base: Upper bound of the first pause, in seconds; it doubles each time.
        cap: Upper bound of every pause, in seconds.
        sleep: Waits.
        uniform: Draws a pause between two bounds.
    """

    attempts: int = 5
    base: float = 0.2
    cap: float = 10.0
    sleep: Callable[[float], None] = time.sleep
    uniform: Callable[[float, float], float] = random.uniform

    def run(self, seconds: float, attempt: Callable[[float], T]) -> T:
        """Call *attempt* with the seconds left until it succeeds or may not go on.

        Raises:
            KBackupError: The last one; one that is not retryable at once.
        """
        deadline = time.monotonic() + seconds
        for failed in range(1, self.attempts):
            try:
                return attempt(max(deadline - time.monotonic(), 0.001))
            except KBackupError as exc:
                pause = self.uniform(0, min(self.cap, self.base * 2 ** (failed - 1)))
                # Added, so that those who were told the same time do not come together.
                pause += getattr(exc, "retry_after", None) or 0
                if not exc.retryable or time.monotonic() + pause >= deadline:
                    raise
                self.sleep(pause)
        return attempt(max(deadline - time.monotonic(), 0.001))
