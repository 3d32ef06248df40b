"""A program whose runs die at their n-th write or phase, as by kill -9.

    python killed_run.py KUBECONFIG STORE

It reads one run per line, ``backup|restore NAME WHERE N SPEC``, does it in a fork of
itself and answers with the exit code and the number of writes: 9 when the run died, 0
when it got through. WHERE is ``store`` (each call that changes a directory), ``cluster``
(each request that is not a GET) or ``phase`` (each phase that begins, counted instead of
writes), SPEC the arguments of the specification as JSON, with those of a restore's
options as ``options``. The process ends at once, without any clean-up, just before write
number N, which is also just after write N - 1; with N = 0 it does not die.

What a run imported that got through is imported here as well, for the runs after it:
that takes longer than a run.
"""

import importlib
import json
import os
import sys
from contextlib import suppress

from urllib3.connectionpool import HTTPConnectionPool

STORE_CALLS = ("link", "mkdir", "replace", "rename", "unlink", "fsync")
DIED = 9


class Counter:
    """Counts writes and ends the process before the chosen one."""

    def __init__(self, fatal: int) -> None:
        self.fatal = fatal
        self.seen = 0

    def before(self, function):
        """Return *function*, counted."""

        def counted(*args, **kwargs):
            self.seen += 1
            if self.seen == self.fatal:
                os._exit(DIED)
            return function(*args, **kwargs)

        return counted


def count_store_writes(counter: Counter) -> None:
    """Count every call that changes a directory."""
    for name in STORE_CALLS:
        setattr(os, name, counter.before(getattr(os, name)))


def count_cluster_writes(counter: Counter) -> None:
    """Count every request that is not a GET."""
    plain = HTTPConnectionPool.urlopen
    writing = counter.before(plain)

    def urlopen(self, method, *args, **kwargs):
        function = plain if method == "GET" else writing
        return function(self, method, *args, **kwargs)

    HTTPConnectionPool.urlopen = urlopen


def no_writes(counter: Counter) -> None:
    """Count none: an observer counts phases."""


WATCHES = {
    "store": count_store_writes,
    "cluster": count_cluster_writes,
    "phase": no_writes,
}


def observer_of(where, counter):
    """Return an observer that counts the phases that begin; None: they do not count."""
    from kbackup.plugins import PhaseChanged  # noqa: PLC0415 - a fork's work

    count = counter.before(lambda: None)

    def observe(event):
        if isinstance(event, PhaseChanged):
            count()

    return observe if where == "phase" else None


def do(kubeconfig, directory, run):
    """Do one run; return how many writes it took."""
    from kbackup import (  # noqa: PLC0415 - a fork's work, as all that it imports
        BackupEngine,
        BackupSpec,
        BackupStore,
        Cluster,
        RestoreEngine,
        RestoreOptions,
        RestoreSpec,
    )

    verb, name, where, number, text = run.split(maxsplit=4)
    spec = json.loads(text)
    options = RestoreOptions(**spec.pop("options", {}))
    counter = Counter(int(number))
    with Cluster.connect(kubeconfig) as cluster, BackupStore.open(directory) as store:
        WATCHES[where](counter)
        observer = observer_of(where, counter)
        if verb == "backup":
            engine = BackupEngine(cluster, store, observer=observer)
            engine.run(name, BackupSpec(**spec))
        else:
            engine = RestoreEngine(cluster, store, observer=observer)
            engine.run(name, RestoreSpec(**spec), options)
        return counter.seen


def forked(*run):
    """Do one run in a fork; return its exit code and its number of writes."""
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        with os.fdopen(reader) as pipe:
            writes, *modules = pipe.read().split() or ["0"]
        load(modules)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), writes
    code = 1
    try:
        writes = do(*run)
        with os.fdopen(writer, "w") as pipe:
            print(writes, *sys.modules, file=pipe)
        code = 0
    except BaseException:  # noqa: BLE001 - told, and the fork ends here whatever it was
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(code)


def load(modules):
    """Import modules that are not imported yet."""
    for name in modules:
        if name not in sys.modules:
            with suppress(ImportError):  # some are made up by others
                importlib.import_module(name)


def main() -> None:
    """Answer one line after the other."""
    kubeconfig, directory = sys.argv[1:]
    for line in sys.stdin:
        answer = forked(kubeconfig, directory, line)
        print(*answer, flush=True)  # noqa: T201 - this is its answer


if __name__ == "__main__":
    main()
