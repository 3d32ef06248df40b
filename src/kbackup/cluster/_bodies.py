"""The bodies of answers, read to their end: what never ends is given up, not kept.

Nothing that a server of Kubernetes sends comes near the limits: etcd takes objects of a
few MiB, a page of a list is asked for by its size, discovery and OpenAPI of a server with
thousands of types are some 20 MiB. They keep a broken or hostile server, or a proxy
before it, from filling the memory. Used by `_transport` and `_watch`.
"""

from __future__ import annotations

from urllib3 import BaseHTTPResponse

from kbackup.cluster._errors import Subject
from kbackup.errors import ServerFaultError

_MEBIBYTE = 1 << 20
MOST_OF_ANSWER = 256 * _MEBIBYTE
MOST_OF_REFUSAL = 16 * _MEBIBYTE  # it may quote what was sent, and no more
MOST_OF_EVENT = 16 * _MEBIBYTE  # of a watch: one object
_PIECE = 128 * 1024  # at most
_HINT = "a server of Kubernetes sends no such answer: see what else answers there"


class TooLongAnswerError(ServerFaultError):
    """An answer has more bytes than any server of Kubernetes would send."""


def too_long(subject: Subject, most: int) -> TooLongAnswerError:
    """Return the error for an answer that goes on after *most* bytes."""
    reason = f"the answer has more than {most // _MEBIBYTE} MiB, and was not read on"
    return TooLongAnswerError(
        subject.verb, subject.resource, subject.item, reason, hint=_HINT
    )


def read_answer(response: BaseHTTPResponse, subject: Subject) -> bytes:
    """Return the whole body.

    Raises:
        TooLongAnswerError: It does not end.
    """
    data = _read(response, MOST_OF_ANSWER)
    if data is None:
        raise too_long(subject, MOST_OF_ANSWER)
    return data


def read_refusal(response: BaseHTTPResponse) -> bytes:
    """Return the body of an answer whose status tells enough; nothing of an endless one."""
    return _read(response, MOST_OF_REFUSAL) or b""


def _says_its_end(response: BaseHTTPResponse, most: int) -> bool:
    """Whether no more than *most* bytes can come, as those of most answers of a write."""
    length = response.length_remaining
    is_plain = "Content-Encoding" not in response.headers
    return is_plain and length is not None and length <= most


def _read(response: BaseHTTPResponse, most: int) -> bytes | None:
    """Read the body as it comes; None: it has more than *most* bytes.

    A connection that broke, or of which more would come, is not used again.
    """
    pieces, size = [], 0
    try:
        if _says_its_end(response, most):
            data = response.read()
            response.release_conn()
            return data
        while piece := response.read1(_PIECE):
            pieces.append(piece)
            size += len(piece)
            if size > most:
                response.close()
                return None
    except BaseException:
        response.close()
        raise
    response.release_conn()
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
