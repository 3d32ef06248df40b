"""How long kbackup takes to start, against a bare interpreter in the same run.

    python benchmarks/startup.py [RUNS]

Prints, for each way to start, the median and what it costs beyond the interpreter, with
the budget. The ways take turns, so that a machine that slows down slows all of them.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

KBACKUP = str(Path(sys.executable).with_name("kbackup"))
KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: u, user: {token: t}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
"""
CONNECT = (
    "from kbackup import BackupEngine, Cluster, RestoreEngine; Cluster.connect({!r})"
)


def commands(directory):
    """Return what is measured: name to (command, budget in milliseconds)."""
    kubeconfig = directory / "kubeconfig"
    kubeconfig.write_text(KUBECONFIG)
    store = directory / "store"
    store.mkdir()
    python = [sys.executable, "-c"]
    return {
        "bare interpreter": ([*python, "pass"], None),
        "import kbackup": ([*python, "import kbackup"], 150),
        "engines, connect": ([*python, CONNECT.format(str(kubeconfig))], 500),
        "kbackup --help": ([KBACKUP, "--help"], 250),
        "kbackup backup get": (
            [KBACKUP, "backup", "get", "--location", str(store)],
            400,
        ),
    }


def main():
    """Measure and print."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 11
    with tempfile.TemporaryDirectory() as name:
        table = commands(Path(name))
        seconds = {way: [] for way in table}
        for _ in range(runs + 1):  # the first round warms the caches
            for way, (command, _) in table.items():
                started = time.perf_counter()
                subprocess.run(
                    command, check=True, capture_output=True, env=dict(os.environ)
                )
                seconds[way].append(time.perf_counter() - started)
    medians = {w: statistics.median(s[1:]) * 1000 for w, s in seconds.items()}
    floor = medians["bare interpreter"]
    print(f"{'way':22}{'median ms':>10}{'beyond floor':>14}{'budget':>8}")
    for way, (_, budget) in table.items():
        beyond = medians[way] - floor
        print(f"{way:22}{medians[way]:10.0f}{beyond:14.0f}{budget or '':>8}")


if __name__ == "__main__":
    main()
