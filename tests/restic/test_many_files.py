"""A directory of very many files: saved, found unchanged, restored, in bounded memory.

Each is done by a process of its own, which tells the most memory that it held.
"""

import json
import os
import subprocess
import sys

import pytest

from kbackup.repository import Repository, ScryptParameters

CHEAP = ScryptParameters(n=2, r=1, p=1)
PASSWORD = "geheim"
FILES = 50_000
MOST = {"back up": 360, "unchanged": 440, "restore": 380}  # MiB: twice what they took
DOING = """
import json, resource, sys
from pathlib import Path
from kbackup.repository import DirectorySource, Repository

def most():
    # Not of `resource` where there is another way: on Linux that begins with what the
    # parent held at the fork.
    try:
        status = Path("/proc/self/status").read_text()
    except FileNotFoundError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return int(status.partition("VmHWM:")[2].split()[0]) / 2**10

_, verb, place, source, target = sys.argv
with Repository.open(place, "geheim") as repository:
    if verb == "restore":
        done = repository.restore("latest", target)
        told = {"files": done.files, "problems": len(done.problems)}
    else:
        done = repository.back_up(DirectorySource(source, base=source))
        summary = done.snapshot.summary
        told = {"files": summary.total_files_processed, "new": summary.files_new}
        told |= {"blobs": summary.data_blobs, "trees": summary.tree_blobs}
print(json.dumps(told | {"most": most()}))
"""


@pytest.fixture
def source(tmp_path):
    """So many small files in one directory, each with a content of its own."""
    path = tmp_path / "source"
    path.mkdir()
    for number in range(FILES):
        (path / f"file {number:05}").write_bytes(b"%d" % number * 40)
    return path


def test_many_files_in_one_directory(source, tmp_path):
    """None is lost, nothing is saved twice, and memory does not grow with it for long."""
    place, target = tmp_path / "repository", tmp_path / "target"
    Repository.init(place, PASSWORD, key_parameters=CHEAP).close()

    def do(verb):
        done = subprocess.run(
            [sys.executable, "-c", DOING, verb, place, source, target],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert told.pop("most") < MOST[verb]
        return told

    every = {"files": FILES, "new": FILES, "blobs": FILES, "trees": 1}
    assert do("back up") == every
    assert do("unchanged") == {"files": FILES, "new": 0, "blobs": 0, "trees": 0}
    assert do("restore") == {"files": FILES, "problems": 0}
    for number in range(0, FILES, 997):
        name = f"file {number:05}"
        assert (target / name).read_bytes() == (source / name).read_bytes()
    assert len(list(target.iterdir())) == FILES
