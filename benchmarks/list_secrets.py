"""List many Secrets from a real API server, against the bare LISTs of the same ones.

    python benchmarks/list_secrets.py [--items 33000] [--size 600] [--rounds 5]

Starts etcd and kube-apiserver on loopback (see tests/integration/real_apiserver), makes
the Secrets, and then takes turns: the floor (paged LISTs over raw HTTP, nothing parsed)
and `Cluster.list`, every item of which is looked at. Prints the median wall and CPU time
of both and the ratio, with its budget. Exit code 1 where the budget is missed.
"""

import argparse
import statistics
import sys
import time

from backup_secrets import NAMESPACE, make_secrets, measure_floor
from control_plane import make_pool, started_cluster

from kbackup.cluster import Cluster

WALL_RATIO = 1.15


def main():
    """Measure in turns and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=33000)
    parser.add_argument("--size", type=int, default=600, help="bytes of data in each")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with started_cluster() as (url, kubeconfig):
        pool = make_pool()
        print(f"making {options.items} Secrets of {options.size} bytes", flush=True)
        make_secrets(pool, url, options.items, options.size)
        floors, lists = [], []
        with Cluster.connect(kubeconfig) as cluster:
            secrets = cluster.discover().resolve("secrets")
            measure_floor(pool, url)  # the server's caches are warm for both
            for _ in range(options.rounds):
                floors.append(measure_floor(pool, url))
                lists.append(measure_list(cluster, secrets, options.items))
    return report(options.items, floors, lists)


def measure_list(cluster, secrets, items):
    """List the Secrets and look at the name of each."""
    began, cpu = time.perf_counter(), time.process_time()
    listing = cluster.list(secrets, namespace=NAMESPACE)
    found = sum(1 for item in listing if item.name)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    assert found == listing.record.listed >= items
    return {"seconds": seconds, "cpu": cpu}


def report(items, floors, lists):
    """Print the figures beside the budget; return the exit code."""
    for name, rounds in (("floor", floors), ("list", lists)):
        wall = statistics.median(each["seconds"] for each in rounds)
        best = min(each["seconds"] for each in rounds)
        cpu = statistics.median(each["cpu"] for each in rounds) / items * 1e6
        print(f"{name:6}{wall:8.2f} s, best {best:.2f} s, {cpu:6.1f} us CPU an item")
    # Neighbours in time: a busy machine slows both.
    pairs = zip(floors, lists, strict=True)
    ratio = statistics.median(b["seconds"] / a["seconds"] for a, b in pairs)
    print(f"ratio {ratio:8.2f}, budget {WALL_RATIO}")
    print("budget missed" if ratio > WALL_RATIO else "within budget")
    return int(ratio > WALL_RATIO)


if __name__ == "__main__":
    sys.exit(main())
