"""A kubelet for tests: Pods get a node and run, and commands in them run here.

The API server sends an exec to ``https://127.0.0.1:<port>/exec/<ns>/<pod>/<container>``
because the Node says that this is its kubelet. The WebSocket comes through as the client
opened it; SPDY, which older clients of kubectl speak, is not understood. A command runs
as a process of this machine, with the directory of its Pod as working directory.
"""

import asyncio
import os
import ssl
import subprocess
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from aiohttp import web

from certificates import self_signed
from kbackup.testing._simulator.execution import serve_exec

MERGE = "application/merge-patch+json"
NODE = "fake-node"
SECONDS_BETWEEN_LOOKS = 0.2
SECONDS_BETWEEN_REPORTS = 5


class FakeKubelet:
    """One node of a cluster, as a context manager.

    Attributes:
        directory: Below it each Pod has a directory, ``<namespace>/<pod>``.
    """

    def __init__(self, api, directory):
        self.directory = Path(directory)
        self._api = api
        self._stopped = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._port = 0
        self._runner = None
        self._threads = []

    def __enter__(self):
        ready = threading.Event()
        self._start(self._serve, ready)
        assert ready.wait(30)
        self._register()
        self._start(self._run_pods)
        return self

    def __exit__(self, *exc):
        self._stopped.set()
        self._loop.call_soon_threadsafe(self._loop.stop)
        for thread in self._threads:
            thread.join(30)
        self._api.request("DELETE", f"/api/v1/nodes/{NODE}")

    def _start(self, function, *args):
        thread = threading.Thread(target=function, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve(self, ready):
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._listen())
        ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._runner.cleanup())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    async def _listen(self):
        self._runner = web.ServerRunner(web.Server(self._exec), shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=_certificate())
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def _exec(self, request):
        parts = request.path.strip("/").split("/")
        if parts[0] != "exec" or len(parts) != 4:
            return web.Response(status=404)
        _, namespace, pod, container = parts
        return await serve_exec(
            request, namespace=namespace, pod=pod, container=container, run=self._run
        )

    def _run(self, call):
        return run_here(call, self.directory / call.namespace / call.pod)

    def _register(self):
        node = {"metadata": {"name": NODE}, "spec": {}}
        self._api.request("POST", "/api/v1/nodes", node)
        status, answer = self._report()
        assert status == 200, answer
        # The node controller taints nodes that say nothing; this one may be late.
        self._api.request(
            "PATCH",
            f"/api/v1/nodes/{NODE}",
            {"spec": {"taints": None}},
            content_type=MERGE,
        )

    def _report(self):
        """Say that the node is well: after 40 s of silence its Pods are not ready."""
        now = _time()
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "Fake",
            "lastHeartbeatTime": now,
            "lastTransitionTime": now,
        }
        status = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._port}},
            "conditions": [ready],
            # Or a current API server translates WebSockets to SPDY on the way here.
            "declaredFeatures": ["ExtendWebSocketsToKubelet"],
        }
        path = f"/api/v1/nodes/{NODE}/status"
        return self._api.request("PATCH", path, {"status": status}, content_type=MERGE)

    def _run_pods(self):
        """Bind Pods to the node, let them run, and let deleted ones go."""
        reported = time.monotonic()
        while not self._stopped.wait(SECONDS_BETWEEN_LOOKS):
            try:
                if time.monotonic() - reported > SECONDS_BETWEEN_REPORTS:
                    self._report()
                    reported = time.monotonic()
                status, listed = self._api.request("GET", "/api/v1/pods")
                if status == 200:
                    for pod in listed["items"]:
                        self._look_after(pod)
            except OSError:
                # The server stops before its kubelet: the tests are over.
                continue

    def _look_after(self, pod):
        metadata, status = pod["metadata"], pod.get("status", {})
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        if metadata.get("deletionTimestamp"):
            options = {
                "gracePeriodSeconds": 0,
                "preconditions": {"uid": metadata["uid"]},
            }
            self._api.request("DELETE", path, options)
        elif not pod["spec"].get("nodeName"):
            if pod["spec"].get("nodeSelector"):  # a node with labels: not this one
                return
            target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
            binding = {"metadata": {"name": metadata["name"]}, "target": target}
            self._api.request("POST", f"{path}/binding", binding)
        elif pod["spec"]["nodeName"] == NODE and status.get("phase") == "Pending":
            self._api.request(
                "PATCH",
                f"{path}/status",
                {"status": _running(pod)},
                content_type=MERGE,
            )


def _running(pod):
    """Return the status of a Pod whose containers all run."""
    now = _time()
    kinds = ("Initialized", "Ready", "ContainersReady", "PodScheduled")
    containers = pod["spec"]["containers"]
    return {
        "phase": "Running",
        "hostIP": "127.0.0.1",
        "podIP": "127.0.0.1",
        "podIPs": [{"ip": "127.0.0.1"}],
        "startTime": now,
        "conditions": [
            {"type": kind, "status": "True", "lastTransitionTime": now}
            for kind in kinds
        ],
        "containerStatuses": [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": "fake",
                "containerID": f"fake://{pod['metadata']['uid']}/{container['name']}",
                "ready": True,
                "started": True,
                "restartCount": 0,
                "state": {"running": {"startedAt": now}},
            }
            for container in containers
        ],
    }


def run_here(call, where):
    """Run a command of a Pod in a directory here; return its exit code."""
    where.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "POD": call.pod, "CONTAINER": call.container}
    try:
        process = subprocess.Popen(
            call.command,
            cwd=where,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except FileNotFoundError:
        call.stderr.write(f"{call.command[0]}: not found\n".encode())
        return 127
    with process:
        pumps = [
            threading.Thread(target=_pump, args=pair, daemon=True)
            for pair in (
                (process.stdout, call.stdout),
                (process.stderr, call.stderr),
            )
        ]
        threading.Thread(
            target=_feed, args=(call.stdin, process.stdin), daemon=True
        ).start()
        for pump in pumps:
            pump.start()
        for pump in pumps:
            pump.join()
        return process.wait()


def _pump(source, target):
    while data := source.read1(65536):
        target.write(data)


def _feed(source, target):
    try:
        while data := source.read1(65536):
            target.write(data)
            target.flush()
        target.close()
    except (OSError, ValueError):
        # The process ended and wants no more.
        return


def _time():
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _certificate():
    """Return a context with a certificate of its own: nobody checks a kubelet's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with TemporaryDirectory() as directory:
        path = Path(directory) / "kubelet.pem"
        self_signed(path, "127.0.0.1")
        context.load_cert_chain(path)
    return context
