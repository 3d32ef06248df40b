"""Watches: what happened since a resourceVersion, and what happens from now on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from kbackup.testing._simulator.registry import ServedType
from kbackup.testing._simulator.selectors import Selects, parse_selectors
from kbackup.testing._simulator.state import State, type_prefix
from kbackup.testing._simulator.status import ApiError, expired
from kbackup.testing._simulator.storage import Change, decode, encode
from kbackup.testing._simulator.tables import to_table

_SECONDS_BETWEEN_BOOKMARKS = 20.0
_LONGEST_WATCH_SECONDS = 1800.0


class Watch:
    """One watch of one type, from when it is made until it is closed."""

    def __init__(
        self,
        state: State,
        served: ServedType,
        namespace: str,
        query: Mapping[str, str],
        *,
        as_table: bool = False,
    ) -> None:
        self._as_table = as_table
        self._state = state
        self._served = served
        self._prefix = f"{namespace}/" if namespace else ""
        self._selects = parse_selectors(served, query)
        self._bookmarks = query.get("allowWatchBookmarks") in {"true", "1"}
        self._timeout = float(query.get("timeoutSeconds") or _LONGEST_WATCH_SECONDS)
        self._since = _revision(query)
        self._queue: asyncio.Queue[Change] = asyncio.Queue()
        self._head = type_prefix(served)
        state.storage.listen(served.storage_key, self._queue.put_nowait)

    def close(self) -> None:
        """Stop listening."""
        key = self._served.storage_key
        self._state.storage.unlisten(key, self._queue.put_nowait)

    async def events(self) -> AsyncIterator[bytes]:
        """Yield watch events, one JSON document a line, until the time is over."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._timeout
        storage = self._state.storage
        if self._since and self._since <= storage.compacted:
            yield self._too_old()
            return
        for line in self._missed():
            yield line
        while (left := end - loop.time()) > 0:
            try:
                change = await asyncio.wait_for(
                    self._queue.get(), min(left, _SECONDS_BETWEEN_BOOKMARKS)
                )
            except TimeoutError:
                if self._bookmarks:
                    yield self._bookmark()
                continue
            if told := self._event(change):
                yield told

    def _missed(self) -> list[bytes]:
        """Return what the watch starts with: the state, or the changes since."""
        storage, key = self._state.storage, self._served.storage_key
        if self._since:
            changes = storage.changes_since(key, self._since)
            return [line for line in map(self._event, changes) if line]
        return [
            self._line("ADDED", data)
            for _, data in storage.scan(key, prefix=self._prefix)
            if self._wanted(data)
        ]

    def _event(self, change: Change) -> bytes | None:
        if not change.path.startswith(self._prefix):
            return None
        was = change.before is not None and self._wanted(change.before)
        now = change.data is not None and self._wanted(change.data)
        if change.data is not None and now:
            return self._line("MODIFIED" if was else "ADDED", change.data)
        if not was:
            return None
        last = change.last if change.last is not None else change.data
        return self._line("DELETED", last or b"{}")

    def _wanted(self, data: bytes) -> bool:
        selects: Selects | None = self._selects
        return selects is None or selects(decode(data))

    def _line(self, kind: str, data: bytes) -> bytes:
        if self._as_table and kind != "BOOKMARK":
            table = to_table(self._served, [decode(data)], {})
            return encode({"type": kind, "object": table}) + b"\n"
        return b'{"type":"%s","object":%s%s}\n' % (
            kind.encode(),
            self._head,
            data[1:],
        )

    def _bookmark(self) -> bytes:
        metadata: dict[str, Any] = {
            "resourceVersion": str(self._state.storage.revision),
            "creationTimestamp": None,
        }
        return self._line("BOOKMARK", encode({"metadata": metadata}))

    def _too_old(self) -> bytes:
        storage = self._state.storage
        error = expired(
            f"too old resource version: {self._since} ({storage.compacted + 1})"
        )
        return encode({"type": "ERROR", "object": error.to_json()}) + b"\n"


def _revision(query: Mapping[str, str]) -> int:
    text = query.get("resourceVersion") or "0"
    if not text.isascii() or not text.isdigit():
        raise ApiError(400, f'resourceVersion: Invalid value: "{text}"')
    return int(text)
