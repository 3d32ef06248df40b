"""A program whose runs die at their n-th write, as by kill -9.

    python killed_run.py KUBECONFIG STORE

It reads one run per line, ``backup|restore NAME WHERE N``, does it in a fork of itself
and answers with the exit code: 9 when the run died, 0 when it got through. WHERE is
``store`` (each call that changes a directory), ``cluster`` (each request that is not a
GET) or ``never``. The process ends at once, without any clean-up, just before write
number N: which is also just after write N - 1.
"""

import importlib
import os
import sys

from urllib3.connectionpool import HTTPConnectionPool

STORE_CALLS = ("link", "mkdir", "replace", "rename", "unlink", "fsync")
ROOMS = ("backup", "restore", "catalog", "cluster", "stores", "archive", "actions")
DIED = 9


class Countdown:
    """Counts writes and ends the process before the chosen one."""

    def __init__(self, last: int) -> None:
        self.left = last

    def before(self, function):
        """Return *function*, counted."""

        def counted(*args, **kwargs):
            self.left -= 1
            if self.left == 0:
                os._exit(DIED)
            return function(*args, **kwargs)

        return counted


def count_store_writes(countdown: Countdown) -> None:
    """Count every call that changes a directory."""
    for name in STORE_CALLS:
        setattr(os, name, countdown.before(getattr(os, name)))


def count_cluster_writes(countdown: Countdown) -> None:
    """Count every request that is not a GET."""
    plain = HTTPConnectionPool.urlopen
    writing = countdown.before(plain)

    def urlopen(self, method, *args, **kwargs):
        function = plain if method == "GET" else writing
        return function(self, method, *args, **kwargs)

    HTTPConnectionPool.urlopen = urlopen


WATCHES = {
    "store": count_store_writes,
    "cluster": count_cluster_writes,
    "never": lambda countdown: None,
}


def do(kubeconfig, directory, *run):
    """Do one run."""
    from kbackup import (  # noqa: PLC0415 - loaded by `main` before the first fork
        BackupEngine,
        BackupSpec,
        BackupStore,
        Cluster,
        RestoreEngine,
        RestoreSpec,
    )

    verb, name, where, number = run
    with Cluster.connect(kubeconfig) as cluster, BackupStore.open(directory) as store:
        WATCHES[where](Countdown(int(number)))
        if verb == "backup":
            spec = BackupSpec(included_namespaces=["shop"])
            BackupEngine(cluster, store).run(name, spec)
        else:
            RestoreEngine(cluster, store).run(name, RestoreSpec(backup_name="shop-1"))


def forked(*run):
    """Do one run in a fork; return its exit code."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        do(*run)
        code = 0
    except BaseException:  # noqa: BLE001 - told, and the fork ends here whatever it was
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    """Answer one line after the other; loading everything once is what makes it quick."""
    kubeconfig, directory = sys.argv[1:]
    for room in ROOMS:
        door = importlib.import_module(f"kbackup.{room}")
        for name in door.__all__:
            getattr(door, name)
    for line in sys.stdin:
        code = forked(kubeconfig, directory, *line.split())
        print(code, flush=True)  # noqa: T201 - this is its answer


if __name__ == "__main__":
    main()
