"""Back up many Secrets from a real API server, against the bare LISTs of the same ones.

    python benchmarks/backup_secrets.py [--items 33000] [--size 600] [--rounds 3]
    python benchmarks/backup_secrets.py --items 200 --size 770000

Starts etcd and kube-apiserver on loopback (see tests/integration/real_apiserver), makes
the Secrets, and then takes turns: the floor (paged LISTs over raw HTTP, nothing parsed),
the backup (a process of its own, into a directory). Prints the median wall time of both
and their ratio, CPU time for each item, and the most memory that the backup held, with
the budgets of docs/benchmarks.md. Exit code 1 where a budget is missed.
"""

import argparse
import base64
import json
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

from control_plane import list_bare, make_namespace, make_pool, post, started_cluster
from measuring import in_own_process, peak_memory

NAMESPACE = "bench"

WALL_RATIO, WALL_EXTRA = 1.5, 0.5
CPU_MICROSECONDS = 40
MEMORY_MEBIBYTES = 256
MANY, MEMORY_OF_MANY = 100_000, 512


def main():
    """Measure in turns and print."""
    options = parse_arguments()
    if options.backup:
        print(json.dumps(back_up(*options.backup)))
        return 0
    with started_cluster() as (url, kubeconfig), tempfile.TemporaryDirectory() as store:
        pool = make_pool()
        print(f"making {options.items} Secrets of {options.size} bytes", flush=True)
        make_secrets(pool, url, options.items, options.size)
        floors, backups = [], []
        for number in range(options.rounds):
            floors.append(measure_floor(pool, url))
            backups.append(measure_backup(kubeconfig, store, number))
    return report(options.items, floors, backups)


def parse_arguments():
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=33000)
    parser.add_argument("--size", type=int, default=600, help="bytes of data in each")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--backup", nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args()


# --- the cluster ----------------------------------------------------------------------


def make_secrets(pool, url, items, size):
    """Create the namespace and the Secrets, of bytes that do not compress."""
    make_namespace(pool, url, NAMESPACE)

    def make(number):
        value = base64.b64encode(os.urandom(size)).decode()
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": f"secret-{number:06d}", "labels": {"app": "bench"}},
            "data": {"value": value},
        }
        post(pool, f"{url}/api/v1/namespaces/{NAMESPACE}/secrets", secret)

    with ThreadPoolExecutor(16) as workers:
        list(workers.map(make, range(items)))


# --- what is measured -----------------------------------------------------------------


def measure_floor(pool, url):
    """List all Secrets page by page, looking at nothing but the continue token."""
    began, cpu = time.perf_counter(), time.process_time()
    list_bare(pool, f"{url}/api/v1/namespaces/{NAMESPACE}/secrets")
    return {
        "seconds": time.perf_counter() - began,
        "cpu": time.process_time() - cpu,
    }


def measure_backup(kubeconfig, store, number):
    """Back up in a fresh process, whose memory is then its own."""
    return in_own_process(__file__, "--backup", kubeconfig, store, f"b-{number}")


def back_up(kubeconfig, store, name):
    """Run one backup and tell what it took."""
    from kbackup import BackupEngine, BackupSpec, BackupStore, Cluster  # noqa: PLC0415

    with Cluster.connect(kubeconfig) as cluster, BackupStore.open(store) as target:
        engine = BackupEngine(cluster, target)
        began, cpu = time.perf_counter(), time.process_time()
        result = engine.run(name, BackupSpec(included_namespaces=[NAMESPACE]))
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    assert not result.results.errors, result.results.errors
    return {
        "seconds": seconds,
        "cpu": cpu,
        "items": result.backup.status.progress.items_backed_up,
        "mebibytes": peak_memory(),
        "phases": dict(result.report.seconds),
        "bytes": result.report.bytes_written,
    }


def report(items, floors, backups):
    """Print the figures beside their budgets; return the exit code."""
    floor = statistics.median(each["seconds"] for each in floors)
    wall = statistics.median(each["seconds"] for each in backups)
    budget = WALL_RATIO * floor + WALL_EXTRA
    cpu = statistics.median(each["cpu"] for each in backups) / items * 1e6
    floor_cpu = statistics.median(each["cpu"] for each in floors) / items * 1e6
    memory = max(each["mebibytes"] for each in backups)
    assert all(each["items"] >= items for each in backups)
    print(f"floor   {floor:8.2f} s   {floor_cpu:7.1f} us CPU an item")
    print(
        f"backup  {wall:8.2f} s   {wall / floor:.2f} x floor, budget {budget:.2f} s"
        f" (1.5 x + 0.5 s)"
    )
    print(
        f"CPU     {cpu:8.1f} us an item, {cpu - floor_cpu:.1f} us beyond the floor's;"
        f" budget {CPU_MICROSECONDS} us"
    )
    most = MEMORY_OF_MANY if items > MANY else MEMORY_MEBIBYTES
    print(f"memory  {memory:8.0f} MiB at most, budget {most} MiB")
    for phase, seconds in backups[-1]["phases"].items():
        print(f"  {phase:18} {seconds:6.2f} s")
    print(f"  {backups[-1]['bytes'] / 2**20:.1f} MiB written")
    small = items >= 1000  # a fixed cost of milliseconds is no cost of an item
    missed = wall > budget or memory > most
    missed |= small and cpu - floor_cpu > CPU_MICROSECONDS
    print("budget missed" if missed else "within budget")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
