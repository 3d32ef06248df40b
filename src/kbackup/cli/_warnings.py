"""What libraries warn of by Python's own means, told as the command line tells it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kbackup.cli._output import say

_UNVERIFIED = "InsecureRequestWarning"  # urllib3's, which is not imported for it
_HOST = re.compile(r"host '([^']+)'")


@contextmanager
def telling_unverified_once() -> Iterator[None]:
    """Say once of each server that it is not verified: urllib3 says it at each request.

    It does so by a filter of its own. What a user's filters hide stays hidden, and a
    program that uses the library decides for itself.
    """
    told: set[str] = set()
    usual = warnings.showwarning

    def show(
        message: Warning | str, category: type[Warning], *where: Any, **how: Any
    ) -> None:
        if category.__name__ != _UNVERIFIED:
            usual(message, category, *where, **how)
            return
        host = _HOST.search(str(message))
        server = host[1] if host else "a server"
        if server not in told:
            told.add(server)
            say(
                f"warning: the TLS certificate of {server} is not verified, as its "
                "settings say (insecure-skip-tls-verify)"
            )

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = usual
