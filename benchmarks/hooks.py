"""Back up many Pods with hooks, against the bare round trips of the same commands.

    python benchmarks/hooks.py [--pods 2000] [--milliseconds 20] [--workers 32] [--rounds 3]

Starts a simulated cluster in a process of its own, whose commands take so many
milliseconds, and then takes turns: the floor (the same commands through `Cluster.exec`,
as many at a time as there are workers, and nothing else), and the backup of the same
Pods, each with a pre and a post hook. Prints the median wall time of both and their
ratio, with the budget of docs/benchmarks.md. Exit code 1 where it is missed.
"""

import argparse
import asyncio
import multiprocessing
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kbackup import BackupEngine, BackupSpec, BackupStore, Cluster, EngineSettings
from kbackup.testing import SimulatedCluster

NAMESPACE = "bench"
WALL_RATIO, WALL_EXTRA = 1.3, 0.5
PHASES = ("pre", "post")


def main():
    """Measure in turns and print."""
    options = parse_arguments()
    with tempfile.TemporaryDirectory() as directory:
        kubeconfig = Path(directory) / "kubeconfig"
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        arguments = (theirs, str(kubeconfig), options.pods, options.milliseconds)
        server = context.Process(target=serve, args=arguments)
        server.start()
        try:
            ours.recv()
            floors, backups = [], []
            for number in range(options.rounds):
                floors.append(measure_floor(kubeconfig, options))
                backups.append(measure_backup(kubeconfig, options, number))
        finally:
            ours.send("enough")
            server.join()
    return report(options, floors, backups)


def parse_arguments():
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pods", type=int, default=2000)
    parser.add_argument("--milliseconds", type=float, default=20, help="of a command")
    parser.add_argument("--workers", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def serve(pipe, kubeconfig, pods, milliseconds):
    """Be the cluster, until something comes through the pipe."""
    run_on_many_threads()
    with SimulatedCluster() as cluster:
        cluster.load([namespace(), *(pod(number) for number in range(pods))])
        cluster.on_exec(lambda _: time.sleep(milliseconds / 1000))
        cluster.kubeconfig(kubeconfig)
        pipe.send("ready")
        pipe.recv()


def run_on_many_threads():
    """Let commands wait side by side: by default there are few threads for them."""
    known = asyncio.new_event_loop

    def new_event_loop():
        loop = known()
        loop.set_default_executor(ThreadPoolExecutor(128))
        return loop

    asyncio.new_event_loop = new_event_loop


def namespace():
    """Return the namespace of the Pods."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}


def pod(number):
    """Return a Pod with two hooks."""
    annotations = {f"{each}.hook.backup.velero.io/command": each for each in PHASES}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name_of(number),
            "namespace": NAMESPACE,
            "annotations": annotations,
        },
        "spec": {"containers": [{"name": "main", "image": "example.com/any:1"}]},
    }


def name_of(number):
    """Return a Pod's name."""
    return f"pod-{number:06d}"


def measure_floor(kubeconfig, options):
    """Return how long the commands alone take."""
    with Cluster.connect(kubeconfig) as cluster:

        def run_both(number):
            for each in PHASES:
                cluster.exec(NAMESPACE, name_of(number), [each], container="main")

        run_both(0)  # what is loaded with the first command is not measured
        with ThreadPoolExecutor(options.workers) as workers:
            started = time.perf_counter()
            list(workers.map(run_both, range(options.pods)))
            return time.perf_counter() - started


def measure_backup(kubeconfig, options, number):
    """Return how long the backup takes."""
    settings = EngineSettings(workers=options.workers)
    with (
        tempfile.TemporaryDirectory() as directory,
        Cluster.connect(kubeconfig) as cluster,
        BackupStore.open(Path(directory) / "store") as store,
    ):
        engine = BackupEngine(cluster, store, settings=settings)
        spec = BackupSpec(included_namespaces=[NAMESPACE])
        started = time.perf_counter()
        result = engine.run(f"b-{number}", spec)
        seconds = time.perf_counter() - started
    status = result.backup.status
    if status.errors or status.hook_status.hooks_attempted != 2 * options.pods:
        raise SystemExit(f"the backup is not whole: {status}")
    return seconds


def report(options, floors, backups):
    """Print the figures; return the exit code."""
    floor, backup = statistics.median(floors), statistics.median(backups)
    limit = WALL_RATIO * floor + WALL_EXTRA
    told = "  ".join(f"{a:.2f}/{b:.2f}" for a, b in zip(floors, backups, strict=True))
    print(f"{options.pods} Pods, {options.workers} workers; rounds: {told} s")
    print(f"floor   {floor:6.2f} s  the commands alone")
    print(f"backup  {backup:6.2f} s  {backup / floor:.2f} x")
    print(f"budget  {limit:6.2f} s  {WALL_RATIO} x + {WALL_EXTRA} s")
    return 0 if backup <= limit else 1


if __name__ == "__main__":
    sys.exit(main())
