"""The log records of one run as gzip text, one ``key=value`` line each.

Source: velero-style text logs: ``time="..." level=info msg="..."``, then the other
keys in alphabetical order.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from kbackup._kits.streams import gzip_writer
from kbackup._kits.times import format_time

_LEVELS = {"WARNING": "warning", "CRITICAL": "fatal"}
_PLAIN = frozenset(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._/@^+"
)
_ESCAPES = str.maketrans(
    {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
)


class LogCapture(logging.Handler):
    """Write every record handed to it to a gzip file; safe from any thread.

    Args:
        path: The file; created, and readable once `close` was called.
        fields: What every line carries, such as ``{"backup": "velero/shop"}``. A record
            adds its own by ``extra={"fields": {...}}``.
        begun: A log that this one goes on with, as `snapshot` returned it.
    """

    def __init__(
        self, path: Path, fields: Mapping[str, str], *, begun: bytes = b""
    ) -> None:
        super().__init__()
        self._path = path
        self._fields = dict(fields)
        self._file: BinaryIO = path.open("xb")
        self._file.write(begun)
        self._stream = gzip_writer(self._file)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        try:
            line = self._line(record)  # half a surrogate pair is shown, not raised
            self._stream.write(line.encode(errors="backslashreplace"))
        except Exception:  # noqa: BLE001 - logging's own contract for handlers
            self.handleError(record)

    def snapshot(self) -> bytes:
        """Return a whole gzip of all lines so far; those that follow are not in it."""
        with self.lock or _NO_LOCK:
            self._stream.close()  # a gzip file may have any number of members
            self._file.flush()
            self._stream = gzip_writer(self._file)
            return self._path.read_bytes()

    def close(self) -> None:
        """Finish the gzip; records that come later are dropped."""
        with self.lock or _NO_LOCK:
            if not self._file.closed:
                self._stream.close()
                self._file.close()
        super().close()

    def handle(self, record: logging.LogRecord) -> bool:
        """Write a record unless the capture was closed."""
        if self._file.closed:
            return False
        return bool(super().handle(record))

    def _line(self, record: logging.LogRecord) -> str:
        level = _LEVELS.get(record.levelname, record.levelname.lower())
        when = format_time(datetime.fromtimestamp(record.created, UTC))
        fields = self._fields | getattr(record, "fields", {})
        fields["logSource"] = f"{record.module}.py:{record.lineno}"
        if record.exc_info and record.exc_info[1] is not None:
            fields.setdefault("error", str(record.exc_info[1]))
        pairs = [("time", when), ("level", level), ("msg", record.getMessage())]
        pairs += sorted((key, str(value)) for key, value in fields.items())
        return " ".join(f"{key}={_quoted(key, value)}" for key, value in pairs) + "\n"


def _quoted(key: str, value: str) -> str:
    """Quote *value* where a reader could not tell its end; msg and time always."""
    if value and key not in {"msg", "time"} and _PLAIN.issuperset(value):
        return value
    return f'"{value.translate(_ESCAPES)}"'


class _NoLock:
    """Stands in where logging was set up without threads."""

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, *_: object) -> None:
        """Do nothing."""


_NO_LOCK = _NoLock()
