"""Who calls: owns the authorization header and decides when it is made anew.

The client would start an exec plugin for every request once its token is within five
minutes of its end, never read a token file again, and never try again after a 401.
Here one thread at a time refreshes, at most every ten seconds while the old
credentials work, and once after the server refused them. Used by `_transport`, `_exec`.
"""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime
from typing import Any

import attrs

from kbackup.cluster._configuration import Credentials, Source
from kbackup.errors import InvalidConfigError

_log = logging.getLogger("kbackup.cluster")

_SECONDS_BETWEEN_REFRESHES = 10.0
_EARLY_SECONDS = 60.0  # before the end; never more than a tenth of what is left
_EARLY_PART = 0.1


@attrs.frozen(kw_only=True)
class Login:
    """Credentials in use.

    Attributes:
        generation: Counts refreshes; errors of an older generation are out of date.
        configuration: The client's, for pools and streams.
        credentials: What the source gave.
        due: On the monotonic clock: when to read again; None: never.
        ends: On the monotonic clock: when they stop to work, if known.
    """

    generation: int
    configuration: Any = attrs.field(repr=False)
    credentials: Credentials
    due: float | None
    ends: float | None


class Authorization:
    """The one owner of credentials; shared freely between threads."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._refreshing = threading.Lock()
        self._tried_at = time.monotonic()
        self._forced_at: float | None = None
        self._accepted = -1  # the newest generation that the server took
        self._login = self._load(0)

    def current(self) -> Login:
        """Return credentials to use now, made anew when they are due.

        Raises:
            InvalidConfigError: They have ended and cannot be made anew.
        """
        login = self._login
        if login.due is None or time.monotonic() < login.due:
            return login
        ended = login.ends is not None and time.monotonic() >= login.ends
        # While the old ones work nobody waits for the thread that refreshes.
        if not self._refreshing.acquire(blocking=ended):
            return login
        try:
            if self._login is login and self._may_try():
                self._refresh(login, keep_old=not ended)
            return self._login
        finally:
            self._refreshing.release()

    def accepted(self, login: Login) -> None:
        """Note that the server knew the caller."""
        self._accepted = max(self._accepted, login.generation)

    def refused(self, login: Login) -> bool:
        """After a 401 with *login*: tell whether there are others to try with.

        Raises:
            InvalidConfigError: They could not be made anew.
        """
        with self._refreshing:
            if self._login.generation != login.generation:
                return True  # another thread was faster
            now = time.monotonic()
            recent = (
                self._forced_at is not None
                and now - self._forced_at < _SECONDS_BETWEEN_REFRESHES
            )
            if recent and self._accepted < login.generation:
                return False  # made anew a moment ago, and refused from the start
            self._forced_at = now
            self._refresh(login, keep_old=False)
            return self._login.credentials != login.credentials

    def _may_try(self) -> bool:
        return time.monotonic() - self._tried_at >= _SECONDS_BETWEEN_REFRESHES or (
            self._login.ends is not None
            and self._accepted >= self._login.generation
            and time.monotonic() >= self._login.ends
        )

    def _refresh(self, login: Login, *, keep_old: bool) -> None:
        self._tried_at = time.monotonic()
        try:
            self._login = self._load(login.generation + 1)
        except InvalidConfigError as exc:
            if not keep_old:
                raise
            _log.warning("the login could not be renewed: %s", exc)

    def _load(self, generation: int) -> Login:
        configuration, credentials = self._source.load()
        now = time.monotonic()
        ends = due = None
        if credentials.expires_at is not None:
            left = (credentials.expires_at - datetime.now(UTC)).total_seconds()
            ends = now + left
            due = ends - min(_EARLY_SECONDS, max(0.0, left) * _EARLY_PART)
        if self._source.max_age is not None:
            age = now + self._source.max_age
            due = age if due is None else min(due, age)
        return Login(
            generation=generation,
            configuration=configuration,
            credentials=credentials,
            due=due,
            ends=ends,
        )
