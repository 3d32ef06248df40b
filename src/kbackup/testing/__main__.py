"""``python -m kbackup.testing``: a simulated cluster as a process of its own."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from kbackup.testing._api_server import SimulatedCluster


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal comes; print the URL when it answers."""
    parser = argparse.ArgumentParser(
        prog="python -m kbackup.testing",
        description="Serve a simulated Kubernetes cluster on loopback.",
    )
    parser.add_argument(
        "--port", type=int, default=0, metavar="N", help="default: any free port"
    )
    parser.add_argument(
        "--kubeconfig", type=Path, metavar="FILE", help="write a kubeconfig there"
    )
    options = parser.parse_args(arguments)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with SimulatedCluster(port=options.port) as cluster:
        if options.kubeconfig:
            cluster.kubeconfig(options.kubeconfig)
        sys.stdout.write(f"{cluster.url}\n")
        sys.stdout.flush()
        ended.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
