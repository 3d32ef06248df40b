"""Secrets kept out of what the SDKs of providers log.

At DEBUG some of them write down whole requests and answers, keys and tokens among them,
into whatever log the host keeps.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterable

_LOCK = threading.Lock()
_MARK = "***"
# In dicts and headers, in queries, in XML and JSON: a name, a sign, perhaps a quote.
_FORM = r"""((?:%s)['"]?\s*[:=>]\s*(?:b?['"])?)[^\s'"&<>,})]+"""


def redact_logs(loggers: Iterable[str], names: Iterable[str]) -> None:
    """Have these loggers write ``***`` for the values of what is named so.

    For the process, and done once: the loggers get a filter. Their levels and handlers,
    and all other loggers, stay as they are. What is not logged at all costs nothing.

    Args:
        loggers: Those that write; a filter of a parent sees nothing of its children.
        names: Of headers, parameters and fields; case does not count.
    """
    pattern = re.compile(_FORM % "|".join(map(re.escape, names)), re.IGNORECASE)
    with _LOCK:
        for name in loggers:
            logger = logging.getLogger(name)
            if not any(_is_one(each, pattern) for each in logger.filters):
                logger.addFilter(_Redaction(pattern))


class _Redaction(logging.Filter):
    """Rewrites the records that hold a secret, and lets every record pass."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        super().__init__()
        self.pattern = pattern

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            text = record.getMessage()
        except Exception:  # noqa: BLE001 - whoever handles it says that it fits nothing
            return True
        said = self.pattern.sub(rf"\1{_MARK}", text)
        if said != text:
            record.msg, record.args = said, None
        return True


def _is_one(found: object, pattern: re.Pattern[str]) -> bool:
    return isinstance(found, _Redaction) and found.pattern == pattern
