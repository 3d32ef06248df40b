"""`SimulatedCluster`: a small Kubernetes API server on loopback.

For the demo, for tests of those who use kbackup, and for kbackup's own. How it answers
is in the room's ``_simulator`` package; what starts and stops it is here.
"""

from __future__ import annotations

import asyncio
import copy
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from aiohttp import web

from kbackup.testing._simulator.execution import ExecHandler
from kbackup.testing._simulator.faults import Faults
from kbackup.testing._simulator.reactions import Reactions
from kbackup.testing._simulator.requests import WriteOptions
from kbackup.testing._simulator.server import Server
from kbackup.testing._simulator.state import State
from kbackup.testing._simulator.status import ApiError
from kbackup.testing._simulator.storage import decode
from kbackup.testing._simulator.writing import create

if TYPE_CHECKING:
    from kbackup.cluster import Cluster

_SECONDS_TO_STOP = 30
_OBJECTS_AT_ONCE = 200  # loaded before requests get their turn
_SYSTEM_NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
_KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters:
- name: simulated
  cluster: {{server: "{url}"}}
users:
- name: simulated
  user: {user}
contexts:
- name: simulated
  context: {{cluster: simulated, user: simulated}}
current-context: simulated
"""
_T = TypeVar("_T")


class SimulatedCluster:
    """A Kubernetes API without a cluster, on a loopback port, in a daemon thread.

    kubectl, the Python clients and kbackup speak to it as to a real one. It keeps
    objects, serves them, and knows no scheduler and no kubelet: what a controller would
    do does not happen, except that definitions are served, namespaces end, and what a
    deleted object alone owned is deleted too.

    A context manager; every method may be called from any thread.

    Args:
        port: The port to listen on; 0 lets the system choose.
        git_version: What it says its version is.
        history: How many changes are remembered, for lists at an exact resourceVersion,
            continue tokens and watches.
        aggregated_discovery: Whether discovery comes in one document for who asks so.
        token: A bearer token that every request must carry; empty lets everyone in.

    Attributes:
        faults: What goes wrong, on demand.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        git_version: str = "v1.32.0",
        history: int = 20_000,
        aggregated_discovery: bool = True,
        token: str = "",
    ) -> None:
        self.faults = Faults()
        self._port = port
        self._token = token
        self._aggregated_discovery = aggregated_discovery
        self._state = State(
            faults=self.faults, history=history, git_version=git_version
        )
        self._server: Server | None = None
        self._runner: web.ServerRunner | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._files: tempfile.TemporaryDirectory[str] | None = None

    @property
    def url(self) -> str:
        """Where it answers: ``http://127.0.0.1:<port>``."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def calls(self) -> Counter[str]:
        """How often each verb was asked for each resource: ``"list secrets"``."""
        return Counter(self._running().calls)

    def start(self) -> Self:
        """Begin to answer; return itself.

        Raises:
            OSError: The port is taken.
        """
        started: list[BaseException | None] = []
        ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._run,
            args=(self._loop, started, ready),
            name="kbackup-simulated-cluster",
            daemon=True,
        )
        self._thread.start()
        ready.wait()  # set however the start ends; a busy machine takes its time
        if started and started[0] is not None:
            self._thread.join()
            raise started[0]
        return self

    def close(self) -> None:
        """Stop answering; what was stored is gone. Closing twice does nothing."""
        alive = self._thread is not None and self._thread.is_alive()
        if self._thread is not None and self._loop is not None and alive:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_SECONDS_TO_STOP)
        if self._files is not None:
            self._files.cleanup()
            self._files = None

    def kubeconfig(self, path: str | Path) -> Path:
        """Write a kubeconfig for it to *path*; return *path*."""
        path = Path(path)
        user = f'{{token: "{self._token}"}}' if self._token else "{}"
        path.write_text(_KUBECONFIG.format(url=self.url, user=user))
        path.chmod(0o600)
        return path

    def connect(self) -> Cluster:
        """Return a connection to it; the caller closes it."""
        from kbackup.cluster import Cluster  # noqa: PLC0415 - loads kubernetes

        if self._files is None:
            self._files = tempfile.TemporaryDirectory(prefix="kbackup-simulated-")
        return Cluster.connect(
            kubeconfig=self.kubeconfig(Path(self._files.name) / "kubeconfig")
        )

    def load(self, objects: Iterable[Mapping[str, Any]]) -> int:
        """Create objects without HTTP, in their order; return how many.

        Custom resources can follow their definition.

        Raises:
            ValueError: The API would refuse an object; the ones before it are there.
        """
        count = 0
        remaining = iter(objects)
        while some := list(islice(remaining, _OBJECTS_AT_ONCE)):
            count += len(some)
            while some:
                some = self._call(self._create_some, some)
        return count

    def objects(self, resource: str, namespace: str = "") -> list[dict[str, Any]]:
        """Return what is stored of a type such as ``pods`` or ``deployments.apps``."""

        def read() -> list[dict[str, Any]]:
            name, _, group = resource.partition(".")
            prefix = f"{namespace}/" if namespace else ""
            found = self._state.storage.scan((group, name), prefix=prefix)
            return [decode(data) for _, data in found]

        return self._call(read)

    def on_exec(self, run: ExecHandler) -> None:
        """Let *run* answer commands in containers; it is called in a thread.

        It gets an `ExecCall`, reads and writes its streams, and returns the exit code.
        """
        self._running().run_command = run

    def forget_history(self) -> None:
        """Let every continue token and every earlier resourceVersion expire: 410."""
        self._call(self._state.storage.compact)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _create_some(self, objects: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Create objects; return those that wait for a definition before them."""
        for number, obj in enumerate(objects, 1):
            try:
                self._create(obj)
            except ApiError as exc:
                raise ValueError(exc.message) from exc
            if obj["kind"] == "CustomResourceDefinition":
                return objects[number:]
        return []

    def _create(self, obj: Mapping[str, Any]) -> None:
        registry = self._state.registry
        served = registry.by_kind(obj["apiVersion"], obj["kind"])
        if served is None:
            raise ValueError(f"{obj['kind']} of {obj['apiVersion']} is not served")
        namespace = obj["metadata"].get("namespace", "") if served.namespaced else ""
        options = WriteOptions(manager="kbackup-testing")
        create(self._state, served, namespace, copy.deepcopy(dict(obj)), options)

    def _running(self) -> Server:
        if self._server is None:
            raise RuntimeError("the simulated cluster has not been started")
        return self._server

    def _call(self, function: Callable[..., _T], *args: Any) -> _T:
        """Call *function* on the event loop, where everything is single-threaded."""
        self._running()
        if self._loop is None or self._loop.is_closed():
            raise RuntimeError("the simulated cluster has been closed")

        async def call() -> _T:
            result = function(*args)
            await asyncio.sleep(0)  # let what reacts to a write react
            return result

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result()

    def _run(
        self,
        loop: asyncio.AbstractEventLoop,
        started: list[BaseException | None],
        ready: threading.Event,
    ) -> None:
        asyncio.set_event_loop(loop)
        try:
            try:
                loop.run_until_complete(self._listen(loop))
                started.append(None)
            except BaseException as exc:  # noqa: BLE001 - raised again by start()
                started.append(exc)
                return
            finally:
                ready.set()
            loop.run_forever()
            loop.run_until_complete(self._stop(loop))
        finally:
            loop.close()

    async def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        self._state.reactions.append(Reactions(self._state, loop))
        server = Server(self._state, url="", token=self._token)
        server.aggregated_discovery = self._aggregated_discovery
        self._runner = web.ServerRunner(
            web.Server(server.handle, access_log=None, keepalive_timeout=3600),
            shutdown_timeout=0.1,
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, backlog=512)
        try:
            await site.start()
        except BaseException:
            await self._runner.cleanup()
            raise
        self._port = self._runner.addresses[0][1]
        server.url = self.url
        self._server = server
        for name in _SYSTEM_NAMESPACES:
            self._create(
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            )

    async def _stop(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._runner is not None:
            self._drop_connections(self._runner)
        tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()
        await loop.shutdown_asyncgens()
        await loop.shutdown_default_executor()

    @staticmethod
    def _drop_connections(runner: web.ServerRunner) -> None:
        """Drop what nobody reads: closed in good order it would outlive the loop."""
        server = runner.server
        for connection in server.connections if server is not None else ():
            if connection.transport is not None:
                connection.transport.abort()
