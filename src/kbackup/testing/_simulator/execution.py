"""Commands in containers, over WebSocket, as a kubelet answers them.

Protocols v4 and v5 of ``channel.k8s.io``: the first byte of a message is its channel.
The command is any callable; it runs in a thread and reads and writes streams.
"""

from __future__ import annotations

import asyncio
import io
import queue
from collections.abc import Callable, Mapping
from typing import Any

import attrs
from aiohttp import WSMsgType, web

from kbackup.testing._simulator.status import ApiError
from kbackup.testing._simulator.storage import encode

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_STDIN, _STDOUT, _STDERR, _ERROR = 0, 1, 2, 3
_CLOSE = 255
_LARGEST_MESSAGE = 16 * 1024
_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")


@attrs.frozen(kw_only=True)
class ExecCall:
    """A command that a client wants to run in a container.

    Attributes:
        container: Empty where the client left the choice to the server.
        stdin: What the client sends. It ends when a v5 client closes it, or when the
            connection ends: a v4 client has no other way.
        stdout: Goes to the client as it is written.
        stderr: Likewise.
    """

    namespace: str
    pod: str
    container: str
    command: tuple[str, ...]
    stdin: io.BufferedReader
    stdout: io.RawIOBase
    stderr: io.RawIOBase


# Returns the exit code; None is 0.
ExecHandler = Callable[[ExecCall], int | None]


def refuse_commands(call: ExecCall) -> int:
    """Answer as a container does that has no such program."""
    call.stderr.write(f"{call.command[0]}: not found\n".encode())
    return 127


def container_of(pod: Mapping[str, Any], wanted: str) -> str:
    """Return the container to run in; raises `ApiError` as the API server does."""
    spec, name = pod.get("spec") or {}, pod["metadata"]["name"]
    names = [each["name"] for field in _CONTAINERS for each in spec.get(field) or ()]
    mains = [each["name"] for each in spec.get("containers") or ()]
    if wanted:
        if wanted not in names:
            raise ApiError(400, f"container {wanted} is not valid for pod {name}")
        return wanted
    if len(mains) > 1:
        choice = f"choose one of: [{' '.join(mains)}]"
        raise ApiError(
            400, f"a container name must be specified for pod {name}, {choice}"
        )
    return mains[0] if mains else ""


class _Incoming(io.RawIOBase):
    """What arrives on the channel of stdin."""

    def __init__(self) -> None:
        self._queue: queue.Queue[bytes] = queue.Queue()
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Add what arrived; nothing is the end."""
        self._queue.put(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = self._queue.get()
            if not self._rest:
                self._queue.put(b"")
                return 0
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


class _Outgoing(io.RawIOBase):
    """Writes to one channel, from the command's thread."""

    def __init__(self, socket: web.WebSocketResponse, channel: int, loop: Any) -> None:
        self._socket = socket
        self._channel = bytes([channel])
        self._loop = loop

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        view = bytes(data)
        for start in range(0, len(view), _LARGEST_MESSAGE):
            message = self._channel + view[start : start + _LARGEST_MESSAGE]
            sent = asyncio.run_coroutine_threadsafe(
                self._socket.send_bytes(message), self._loop
            )
            sent.result()
        return len(view)


async def serve_exec(
    request: web.BaseRequest,
    *,
    namespace: str,
    pod: str,
    container: str,
    run: ExecHandler,
) -> web.StreamResponse:
    """Answer an exec request by *run* in a thread."""
    socket = web.WebSocketResponse(protocols=PROTOCOLS, max_msg_size=0)
    await socket.prepare(request)
    loop = asyncio.get_running_loop()
    incoming = _Incoming()
    query = request.rel_url.query
    if not {query.get("stdin"), query.get("input")} & {"true", "1"}:
        incoming.feed(b"")
    call = ExecCall(
        namespace=namespace,
        pod=pod,
        container=container,
        command=tuple(query.getall("command", [])),
        stdin=io.BufferedReader(incoming),
        stdout=_Outgoing(socket, _STDOUT, loop),
        stderr=_Outgoing(socket, _STDERR, loop),
    )
    receiving = asyncio.create_task(_receive(socket, incoming))
    try:
        status = await asyncio.to_thread(_run, run, call)
        await socket.send_bytes(bytes([_ERROR]) + encode(status))
        await socket.close()
    finally:
        receiving.cancel()
        incoming.feed(b"")
    return socket


async def _receive(socket: web.WebSocketResponse, incoming: _Incoming) -> None:
    async for message in socket:
        data = message.data
        if message.type is WSMsgType.TEXT:
            data = data.encode()
        if not data:
            continue
        if data[0] == _STDIN and len(data) > 1:
            incoming.feed(data[1:])
        elif data[0] == _CLOSE and data[1:2] == bytes([_STDIN]):
            incoming.feed(b"")
    incoming.feed(b"")


def _run(run: ExecHandler, call: ExecCall) -> dict[str, Any]:
    """Run the command; return the Status of its end."""
    try:
        code = run(call) or 0
    except Exception as exc:  # noqa: BLE001 - a command may fail in any way
        message = f"command could not be run: {type(exc).__name__}: {exc}"
        return {
            "metadata": {},
            "status": "Failure",
            "reason": "InternalError",
            "message": message,
            "code": 500,
        }
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }
