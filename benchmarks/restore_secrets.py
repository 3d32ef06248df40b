"""Restore many Secrets into a real API server, against the bare POSTs of the same ones.

    python benchmarks/restore_secrets.py [--items 33000] [--size 600] [--rounds 4]
    python benchmarks/restore_secrets.py --items 200 --size 770000

Starts etcd and kube-apiserver on loopback (see tests/integration/real_apiserver), writes
a backup into a directory, and then takes turns: the floor of a restore (the same bodies
posted by as many threads, nothing else), a restore into a fresh namespace, which of the
two comes first changing from round to round, the floor of
a plan (the bare LISTs of the target, and reading and parsing the archive once), a plan
over that namespace, which now has everything, and a plan into a namespace that is not
there. Each in a process of its own. Prints the medians, their ratios, CPU time for each
object and the most memory, with the budgets of docs/benchmarks.md. Exit code 1 where a
budget is missed.
"""

import argparse
import base64
import io
import json
import os
import sys
import tempfile
import uuid

import restoring
from control_plane import make_namespace, make_pool, started_cluster
from measuring import measure
from restoring import BACKUP, MEMORY_MEBIBYTES, WRITERS, as_new, read_archive

SOURCE = "bench"
LARGE = 50_000_000  # bytes in a round that are cleaned up after it
ETCD_TAKES = 2_000_000_000  # bytes; each is written twice in a round, a third longer
MANY, MEMORY_OF_MANY = 100_000, 512
FEW = 1000  # objects below which CPU time is that of starting


def main():
    """Measure in turns and print."""
    options = parse_arguments()
    if options.measure:
        what, *rest = options.measure
        print(json.dumps(MEASURES[what](*rest)))
        return 0
    found = {}
    with started_cluster() as (url, kubeconfig), tempfile.TemporaryDirectory() as store:
        print(
            f"a backup of {options.items} Secrets of {options.size} bytes", flush=True
        )
        make_backup(store, options.items, options.size)
        for number in range(options.rounds):
            calls = restoring.calls_of(number, url, kubeconfig, store)
            measure(__file__, calls, found)
            if options.items * options.size > LARGE:
                drop_namespaces(url, f"floor-{number}", f"target-{number}")
    return report(options.items, found)


def parse_arguments():
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=33000)
    parser.add_argument("--size", type=int, default=600, help="bytes of data in each")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--measure", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if 3 * options.items * options.size * options.rounds > ETCD_TAKES:
        parser.error("etcd takes no more than two gigabytes: fewer rounds")
    return options


# --- the backup -----------------------------------------------------------------------


def make_backup(directory, items, size):
    """Publish a backup of Secrets, of bytes that do not compress."""
    from kbackup.archive import ArchiveWriter  # noqa: PLC0415 - not in the floor
    from kbackup.catalog import BackupStore, Manifest  # noqa: PLC0415 - as above
    from kbackup.models import (  # noqa: PLC0415 - as above
        Backup,
        BackupPhase,
        BackupStatus,
        ObjectMeta,
    )

    out = io.BytesIO()
    with ArchiveWriter(out, mtime=0) as archive:
        for number in range(items):
            secret = make_secret(number, size)
            archive.add(
                resource="secrets",
                version="v1",
                namespace=SOURCE,
                name=secret["metadata"]["name"],
                body=json.dumps(secret, separators=(",", ":")).encode(),
            )
    uid = str(uuid.uuid4())
    backup = Backup(
        metadata=ObjectMeta(name=BACKUP, uid=uid),
        status=BackupStatus(phase=BackupPhase.COMPLETED),
    )
    manifest = Manifest(items=archive.items, entries=archive.entries)
    with (
        BackupStore.open(directory) as store,
        store.claim(BACKUP, run_uid=uid) as claim,
    ):
        files = {f"{BACKUP}.tar.gz": out.getvalue()}
        store.publish(claim, backup, files, manifest)


def make_secret(number, size):
    """A Secret as a cluster stored it."""
    return {
        "kind": "Secret",
        "apiVersion": "v1",
        "metadata": {
            "name": f"secret-{number:06d}",
            "namespace": SOURCE,
            "uid": str(uuid.uuid4()),
            "resourceVersion": str(1000 + number),
            "creationTimestamp": "2024-05-01T02:00:00Z",
            "labels": {"app": "bench"},
            "managedFields": [
                {
                    "manager": "kubectl-create",
                    "operation": "Update",
                    "apiVersion": "v1",
                    "time": "2024-05-01T02:00:00Z",
                    "fieldsType": "FieldsV1",
                    "fieldsV1": {"f:data": {".": {}, "f:value": {}}, "f:type": {}},
                }
            ],
        },
        "data": {"value": base64.b64encode(os.urandom(size)).decode()},
        "type": "Opaque",
    }


# --- what is measured -----------------------------------------------------------------


def post(url, directory, namespace):
    """Post the same bodies from as many threads as a restore has."""
    pool = make_pool(WRITERS)
    address = secrets_of(url, namespace)
    requests = [
        (address, json.dumps(as_new(content, namespace, namespace)).encode())
        for content in read_archive(directory)
    ]
    make_namespace(pool, url, namespace)
    return restoring.post_all(pool, requests)


def restore(kubeconfig, directory, namespace):
    """Restore into a namespace that is not there yet."""
    return restoring.restore(kubeconfig, directory, namespace, mapped(namespace))


def plan(kubeconfig, directory, namespace):
    """Plan a restore into a namespace."""
    return restoring.plan(kubeconfig, directory, namespace, mapped(namespace))


def mapped(namespace):
    """A restore of the backup into another namespace."""
    from kbackup import RestoreSpec  # noqa: PLC0415 - measured

    return RestoreSpec(backup_name=BACKUP, namespace_mapping={SOURCE: namespace})


def read(url, directory, namespace):
    """The bare LISTs of the target, and reading and parsing the archive once."""
    return restoring.read_all(directory, [secrets_of(url, namespace)])


def secrets_of(url, namespace):
    """The address of the Secrets of a namespace."""
    return f"{url}/api/v1/namespaces/{namespace}/secrets"


def drop_namespaces(url, *names):
    """Delete the Secrets of a round: etcd takes two gigabytes, not more."""
    pool = make_pool()
    for name in names:
        answer = pool.request("DELETE", secrets_of(url, name), body=b"{}")
        assert answer.status == 200, answer.data[:200]


MEASURES = {
    "post": post,
    "restore": restore,
    "read": read,
    "plan": plan,
    "read empty": read,
    "plan empty": plan,
}


# --- the report -----------------------------------------------------------------------


def report(items, found):
    """Print the figures beside their budgets; return the exit code."""
    print()
    most = MEMORY_OF_MANY if items > MANY else MEMORY_MEBIBYTES
    missed = restoring.report_restores(found, most=most, few=FEW)
    print("budget missed" if missed else "within budget")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
