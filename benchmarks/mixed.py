"""Back up, plan and restore a mixed cluster on a real API server, against its floors.

    python benchmarks/mixed.py [--items 50000] [--crds 30] [--rounds 2]

20 kinds of Kubernetes and custom resources of 30 CRDs, in five namespaces. Starts etcd and
kube-apiserver on loopback (see tests/integration/real_apiserver), makes the objects, and
takes turns: the bare LISTs of all types, a backup of the whole cluster; then the bare POSTs
of the same objects into fresh namespaces, a restore into others; the bare LISTs of the
target with reading the archive once, a plan over what is all there; reading the archive
alone, a plan into namespaces that are not there. Each in a process of its own. Prints the
medians, their ratios, CPU time for each object and the most memory, with the budgets of
docs/benchmarks.md. Exit code 1 where a budget is missed.
"""

import argparse
import json
import sys
import tempfile

import restoring
from backup_secrets import CPU_MICROSECONDS, WALL_EXTRA, WALL_RATIO
from control_plane import list_bare, make_namespace, make_pool, started_cluster
from measuring import compare, measure, median, timed
from mixed_objects import JOB, NAMESPACES, located, paths, populate
from restoring import BACKUP, MEMORY_MEBIBYTES, WRITERS, read_archive

FEW = 10_000  # objects below which CPU time is that of starting


def main():
    """Measure in turns and print."""
    options = parse_arguments()
    if options.measure:
        what, *rest = options.measure
        print(json.dumps(MEASURES[what](*rest)))
        return 0
    found, crds = {}, str(options.crds)
    with started_cluster() as (url, kubeconfig), tempfile.TemporaryDirectory() as store:
        print(f"making {options.items} objects, {options.crds} CRDs", flush=True)
        populate(url, options.items, options.crds)
        for number in range(options.rounds):
            name = f"b-{number}" if number else BACKUP
            calls = [("list", url, crds), ("backup", kubeconfig, store, name)]
            measure(__file__, calls, found)
        for number in range(options.rounds):
            calls = restoring.calls_of(number, url, kubeconfig, store, crds)
            measure(__file__, calls, found)
    return report(found)


def parse_arguments():
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--crds", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--measure", nargs="+", help=argparse.SUPPRESS)
    return parser.parse_args()


# --- what is measured -----------------------------------------------------------------


def list_all(url, crds):
    """The bare LISTs of every type."""
    pool = make_pool()

    def work():
        for path in paths(int(crds)).values():
            list_bare(pool, f"{url}/{path}")

    return timed(work)


def back_up(kubeconfig, directory, name):
    """Back up the whole cluster."""
    from kbackup import BackupEngine, BackupSpec, BackupStore, Cluster  # noqa: PLC0415

    with Cluster.connect(kubeconfig) as cluster, BackupStore.open(directory) as store:
        engine = BackupEngine(cluster, store)
        results = []
        found = timed(lambda: results.append(engine.run(name, BackupSpec())))
    result = results[0]
    assert not result.results.errors, result.results.errors[:3]
    return found | {"items": result.backup.status.progress.items_backed_up}


def wanted(content):
    """Whether an object of the archive is one of ours, and not a twin of an old group."""
    ours = content["metadata"].get("namespace") in NAMESPACES
    return ours and not content["apiVersion"].startswith("extensions/")


def post(url, directory, prefix):
    """Post what a restore creates, from as many threads."""
    pool = make_pool(WRITERS)
    requests = list(requests_of(url, directory, prefix))
    for name in NAMESPACES:
        make_namespace(pool, url, f"{prefix}-{name}")
    return restoring.post_all(pool, requests)


def requests_of(url, directory, prefix):
    """Yield the address and the body of each of our objects as a restore creates it."""
    places = paths(10_000)
    for content in filter(wanted, read_archive(directory)):
        namespace = f"{prefix}-{content['metadata']['namespace']}"
        body = json.dumps(as_new(content, namespace, prefix)).encode()
        yield located(url, places[content["kind"]], namespace), body


def as_new(content, namespace, name):
    """An object of the archive as a restore creates it."""
    body = restoring.as_new(content, namespace, name)
    body.pop("status", None)
    if content["kind"] == "Service":
        kept = {"clusterIP", "clusterIPs"}
        body["spec"] = {k: v for k, v in body["spec"].items() if k not in kept}
    if content["kind"] == "Job":
        body["spec"] = {"template": {**JOB["template"]}}
    return body


def restore(kubeconfig, directory, prefix):
    """Restore into namespaces that are not there yet."""
    return restoring.restore(kubeconfig, directory, prefix, mapped(prefix))


def plan(kubeconfig, directory, prefix):
    """Plan a restore into namespaces that begin with *prefix*."""
    return restoring.plan(kubeconfig, directory, prefix, mapped(prefix))


def mapped(prefix):
    """A restore of our namespaces into others."""
    from kbackup import RestoreSpec  # noqa: PLC0415 - measured

    return RestoreSpec(
        backup_name=BACKUP,
        included_namespaces=NAMESPACES,
        namespace_mapping={name: f"{prefix}-{name}" for name in NAMESPACES},
    )


def read(url, directory, prefix, crds):
    """The bare LISTs of the target, and reading and parsing the archive once."""
    addresses = [
        located(url, path, f"{prefix}-{name}")
        for path in paths(int(crds)).values()
        for name in NAMESPACES
    ]
    return restoring.read_all(directory, addresses)


MEASURES = {
    "list": list_all,
    "backup": back_up,
    "post": post,
    "restore": restore,
    "read": read,
    "plan": plan,
    "read empty": read,
    "plan empty": plan,
}


# --- the report -----------------------------------------------------------------------


def report(found):
    """Print the figures beside their budgets; return the exit code."""
    print()
    items = found["backup"][0]["items"]
    floor, wall = median(found["list"], "seconds"), median(found["backup"], "seconds")
    # The half second is a share of the floor here, as the budget of a line is a ratio.
    ratio = WALL_RATIO + WALL_EXTRA / floor
    most = MEMORY_MEBIBYTES
    missed = compare("backup", found["backup"], found["list"], round(ratio, 2), most)
    cpu = median(found["backup"], "cpu") / items * 1e6
    print(
        f"  {items} items, {wall / items * 1e6:.0f} us each, CPU {cpu:.1f} us;"
        f" budget {CPU_MICROSECONDS} us"
    )
    missed |= items >= FEW and cpu > CPU_MICROSECONDS
    missed |= restoring.report_restores(found, most=most, few=FEW)
    print("budget missed" if missed else "within budget")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
