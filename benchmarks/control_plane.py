"""The API server that benchmarks start, and raw HTTP to it: the floors are made of that."""

import json
import os
import re
import socket
import ssl
import subprocess
from contextlib import ExitStack, contextmanager
from pathlib import Path

import urllib3

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "tests" / "integration" / "real_apiserver" / "cluster.sh"
TOKEN = "admintoken"  # noqa: S105 - of the server that is started here
PAGE = 500  # as client-go's own paging
CONTINUE = re.compile(rb'"continue":"([^"]*)"')


@contextmanager
def started_cluster():
    """Run a control plane without controllers; give its address and kubeconfig."""
    name = f"bench-{os.getpid()}"
    environment = {
        **os.environ,
        "WITH_CONTROLLERS": "0",
        "OWNER_PID": str(os.getpid()),
    }
    ports = [str(port) for port in free_ports(3)]
    started = subprocess.run(
        [SCRIPT, "start", name, *ports],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    try:
        yield f"https://127.0.0.1:{ports[0]}", started.stdout.strip()
    finally:
        subprocess.run([SCRIPT, "stop", name], env=environment, check=True)


def free_ports(count):
    """Return ports on loopback that were free a moment ago."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def make_pool(connections=16):
    """Return connections to the server; it is our own, so its name is not checked."""
    urllib3.disable_warnings()
    # One for all: left to itself each connection reads the system's authorities anew.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return urllib3.PoolManager(
        ssl_context=context,
        maxsize=connections,
        headers={
            "Authorization": f"Bearer {TOKEN}",
            "Accept": "application/json",
            "Content-Type": "application/json",
        },
    )


def post(pool, url, body):
    """Create one object."""
    answer = pool.request("POST", url, body=json.dumps(body))
    assert answer.status == 201, answer.data


def make_namespace(pool, url, name):
    """Create a namespace."""
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    post(pool, f"{url}/api/v1/namespaces", body)


def list_bare(pool, address):
    """List one type page by page, looking at nothing but the continue token."""
    token = b""
    while True:
        query = f"limit={PAGE}" + (f"&continue={token.decode()}" if token else "")
        answer = pool.request("GET", f"{address}?{query}")
        assert answer.status == 200, answer.data[:200]
        found = CONTINUE.search(answer.data[:4096])
        if found is None or not found[1]:
            return
        token = found[1]
