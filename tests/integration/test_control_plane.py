"""The control planes of these tests begin also where others take ports meanwhile."""

import socket
from contextlib import ExitStack

import pytest


@pytest.mark.parametrize("taken", [0, 1, 2], ids=["api server", "etcd", "peers"])
def test_a_port_that_somebody_else_took(run_cluster, taken):
    """Who loses a port to another gets other ones, and is not taken for the other."""
    chosen = []
    with ExitStack() as others:

        def choose(count):
            with ExitStack() as held:
                free = [held.enter_context(socket.socket()) for _ in range(count)]
                for each in free:
                    each.bind(("127.0.0.1", 0))
                ports = [each.getsockname()[1] for each in free]
            if not chosen:
                other = others.enter_context(socket.socket())
                other.bind(("127.0.0.1", ports[taken]))
                other.listen()
            chosen.append(ports)
            return ports

        with run_cluster("ports", controllers=False, choose=choose) as cluster:
            status, version = cluster.request("GET", "/version")

    assert (status, len(chosen)) == (200, 2)
    assert version["major"] == "1"
    assert cluster.url.endswith(f":{chosen[1][0]}")
