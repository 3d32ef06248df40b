"""Requests about the parts of large objects, by botocore's own client.

s3fs sends everything from the thread of its event loop, whose checksums and signatures
stop at what one core does. This client is shared by as many threads as there are parts.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from kbackup.errors import StoreError
from kbackup.stores import bounded, translate_store_errors

_OF_BYTES = frozenset({"create_multipart_upload", "upload_part", "get_object"})


class PartClient:
    """A client that is made by its first request.

    Args:
        make: Returns the client; credentials may be asked for.
        of_bytes: Parameters of all requests about an object's bytes (SSE-C).
    """

    def __init__(self, make: Callable[[], Any], of_bytes: Mapping[str, str]) -> None:
        self._make = make
        self._of_bytes = of_bytes
        self._lock = threading.Lock()
        self._client: Any = None
        self._closed = False

    def send(self, key: str, seconds: float, method: str, **parameters: Any) -> Any:
        """Send a request and return the answer, within *seconds*; errors are ours."""
        with translate_store_errors(key):
            return bounded(key, seconds, self._call, key, method, parameters)

    def read(self, key: str, seconds: float, **parameters: Any) -> bytes:
        """Return the bytes of an object or of a part of it."""

        def read() -> bytes:
            with self._call(key, "get_object", parameters)["Body"] as body:
                data: bytes = body.read()
                return data

        with translate_store_errors(key):
            return bounded(key, seconds, read)

    def close(self) -> None:
        """Close the connections; closing twice is fine."""
        with self._lock:
            self._closed = True
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _call(self, key: str, method: str, parameters: Mapping[str, Any]) -> Any:
        known = self._of_bytes if method in _OF_BYTES else {}
        return getattr(self._connected(key), method)(**known, **parameters)

    def _connected(self, key: str) -> Any:
        with self._lock:  # a session makes one client at a time
            if self._closed:
                raise StoreError(key, "the store was closed")
            if self._client is None:
                self._client = self._make()
            return self._client
