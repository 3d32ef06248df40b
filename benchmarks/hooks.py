"""Back up and restore many Pods with hooks, against the bare round trips of the same.

    python benchmarks/hooks.py [--pods 2000] [--milliseconds 20] [--workers 32] [--rounds 3]

Starts a simulated cluster in a process of its own, whose commands take so many
milliseconds, and beside it what a kubelet would do: each Pod that is created comes to run.
Then takes turns: the floor of a backup (its commands through `Cluster.exec`, as many at a
time as there are workers, and nothing else), the backup of the Pods, each with a pre and a
post hook; the floor of a restore (the same Pods created, watched, the command of each run
as soon as its container is, and nothing else), the restore of that backup into another namespace, with a hook in each Pod.
Prints the median wall times and their ratios, with the budget of docs/benchmarks.md. Exit
code 1 where it is missed.
"""

import argparse
import asyncio
import multiprocessing
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from kbackup import (
    BackupEngine,
    BackupSpec,
    BackupStore,
    Cluster,
    EngineSettings,
    RestoreEngine,
    RestoreSpec,
)
from kbackup.errors import ClusterError
from kbackup.testing import SimulatedCluster

NAMESPACE = "bench"
CONTAINER = "main"
WALL_RATIO, WALL_EXTRA = 1.3, 0.5
PHASES = ("pre", "post")  # of a backup's hooks; a command is named after its own
WARM = "warm"  # the command in a restored Pod
KUBELET_WORKERS = 8
RUNNING = {
    "phase": "Running",
    "containerStatuses": [
        {"name": CONTAINER, "ready": True, "state": {"running": {}}, "restartCount": 0}
    ],
}


def main():
    """Measure in turns and print."""
    options = parse_arguments()
    taken = {name: [] for name in MEASURES}
    with tempfile.TemporaryDirectory() as directory:
        kubeconfig, root = Path(directory) / "kubeconfig", Path(directory) / "store"
        with started_cluster(kubeconfig, options):
            for number in range(options.rounds):
                for name, measure in MEASURES.items():
                    with (
                        Cluster.connect(kubeconfig) as cluster,
                        BackupStore.open(root) as store,
                    ):
                        seconds = measure(cluster, store, options, number)
                    taken[name].append(seconds)
                    print(f"  {name:14} {seconds:6.2f} s", flush=True)
    return report(options, taken)


def parse_arguments():
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pods", type=int, default=2000)
    parser.add_argument("--milliseconds", type=float, default=20, help="of a command")
    parser.add_argument("--workers", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


# --- the cluster ----------------------------------------------------------------------


@contextmanager
def started_cluster(kubeconfig, options):
    """Run the cluster and its kubelet, each in a process of its own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    arguments = (theirs, str(kubeconfig), options.pods, options.milliseconds)
    server = context.Process(target=serve, args=arguments)
    kubelet = context.Process(target=run_pods, args=(theirs, str(kubeconfig)))
    server.start()
    try:
        ours.recv()
        kubelet.start()
        ours.recv()
        yield
    finally:
        if kubelet.pid is not None:
            kubelet.kill()
            kubelet.join()
        ours.send("enough")
        server.join()


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


def run_pods(pipe, kubeconfig):
    """Say of each Pod that is created from now on that its container runs."""
    with (
        Cluster.connect(kubeconfig) as cluster,
        ThreadPoolExecutor(KUBELET_WORKERS) as workers,
    ):
        pods = cluster.discover().resolve("pods")
        listing = cluster.list(pods)
        list(listing)
        version = listing.record.resource_version
        pipe.send("ready")
        for event in cluster.watch(pods, resource_version=version):
            if event.type == "ADDED":
                workers.submit(run_pod, cluster, pods, event.item["metadata"])


def run_pod(cluster, pods, metadata):
    """Say of one Pod that its container runs, until the cluster has heard it."""
    while True:
        with suppress(ClusterError):
            cluster.patch(
                pods,
                metadata["name"],
                {"status": RUNNING},
                namespace=metadata["namespace"],
                subresource="status",
            )
            return
        time.sleep(0.1)


def namespace(name=NAMESPACE):
    """Return a namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def pod(number, place=NAMESPACE):
    """Return a Pod with two hooks around its backup, and one after its restore."""
    commands = {f"{each}.hook.backup.velero.io/command": each for each in PHASES}
    commands["post.hook.restore.velero.io/command"] = WARM
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name_of(number),
            "namespace": place,
            "annotations": commands,
        },
        "spec": {"containers": [{"name": CONTAINER, "image": "example.com/any:1"}]},
    }


def name_of(number):
    """Return a Pod's name."""
    return f"pod-{number:06d}"


# --- what is measured -----------------------------------------------------------------


def run_commands(cluster, store, options, number):
    """Return how long the commands of a backup alone take."""
    del store, number

    def run_both(number):
        for each in PHASES:
            cluster.exec(NAMESPACE, name_of(number), [each], container=CONTAINER)

    run_both(0)  # what is loaded with the first command is not measured
    return seconds_of_all(run_both, options)


def back_up(cluster, store, options, number):
    """Return how long the backup takes."""
    settings = EngineSettings(workers=options.workers)
    engine = BackupEngine(cluster, store, settings=settings)
    spec = BackupSpec(included_namespaces=[NAMESPACE])
    started = time.perf_counter()
    result = engine.run(backup_of(number), spec)
    seconds = time.perf_counter() - started
    require_hooks(result, result.backup.status, len(PHASES) * options.pods)
    return seconds


def create_and_run(cluster, store, options, number):
    """Return how long it takes to create the Pods and to run their commands, alone."""
    del store
    place, discovery = f"floor-{number}", cluster.discover()
    pods = discovery.resolve("pods")
    cluster.create(discovery.resolve("namespaces"), namespace(place))
    cluster.exec(NAMESPACE, name_of(0), [WARM], container=CONTAINER)  # as above
    listing = cluster.list(pods, namespace=place)
    list(listing)
    version, seen = listing.record.resource_version, set()
    with (
        ThreadPoolExecutor(options.workers) as makers,
        ThreadPoolExecutor(options.workers) as runners,
    ):
        started = time.perf_counter()
        for each in range(options.pods):
            makers.submit(cluster.create, pods, pod(each, place))
        for event in cluster.watch(pods, namespace=place, resource_version=version):
            name, status = event.item["metadata"]["name"], event.item.get("status")
            if status and status["phase"] == RUNNING["phase"] and name not in seen:
                seen.add(name)
                runners.submit(cluster.exec, place, name, [WARM], container=CONTAINER)
            if len(seen) == options.pods:
                break
    return time.perf_counter() - started


def restore(cluster, store, options, number):
    """Return how long the restore takes."""
    settings = EngineSettings(workers=options.workers)
    engine = RestoreEngine(cluster, store, settings=settings)
    spec = RestoreSpec(
        backup_name=backup_of(number), namespace_mapping={NAMESPACE: f"copy-{number}"}
    )
    started = time.perf_counter()
    result = engine.run(f"restore-{number}", spec)
    seconds = time.perf_counter() - started
    require_hooks(result, result.restore.status, options.pods)
    return seconds


def backup_of(number):
    """Return the name of the backup of a round."""
    return f"b-{number}"


def seconds_of_all(work, options):
    """Return how long *work* takes for all Pods, as many at a time as workers."""
    with ThreadPoolExecutor(options.workers) as workers:
        started = time.perf_counter()
        list(workers.map(work, range(options.pods)))
        return time.perf_counter() - started


def require_hooks(result, status, hooks):
    """End where something went wrong or a command was not run."""
    counted = status.hook_status
    if result.results.errors or (counted and counted.hooks_attempted) != hooks:
        raise SystemExit(f"it is not whole: {status}, {result.results.errors[:3]}")


MEASURES = {
    "commands alone": run_commands,
    "backup": back_up,
    "created and run": create_and_run,
    "restore": restore,
}
FLOORS = {"backup": "commands alone", "restore": "created and run"}


# --- the report -----------------------------------------------------------------------


def report(options, taken):
    """Print the figures; return the exit code."""
    print(f"{options.pods} Pods, {options.workers} workers, {options.rounds} rounds")
    is_missed = False
    for what, floor_name in FLOORS.items():
        wall = statistics.median(taken[what])
        floor = statistics.median(taken[floor_name])
        limit = WALL_RATIO * floor + WALL_EXTRA
        print(
            f"{what:8} {wall:6.2f} s, {floor_name} {floor:6.2f} s: {wall / floor:.2f} x,"
            f" budget {limit:.2f} s ({WALL_RATIO} x + {WALL_EXTRA} s)"
        )
        is_missed |= wall > limit
    print("budget missed" if is_missed else "within budget")
    return int(is_missed)


if __name__ == "__main__":
    sys.exit(main())
