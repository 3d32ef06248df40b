"""Stock restic and kbackup work in one prefix of one bucket, each through its own S3."""

import json
import os
import subprocess
import uuid

import pytest
from botocore.session import Session

from kbackup.errors import RepositoryLockedError
from kbackup.repository import (
    DirectorySource,
    FileType,
    ObjectStoreBackend,
    Repository,
    RetentionPolicy,
    ScryptParameters,
)
from kbackup.repository._backend import CONFIG
from kbackup_plugins_aws import open_s3_store
from moto_s3 import running_s3
from odd_tree import seen

CHEAP = ScryptParameters(n=2, r=1, p=1)
PASSWORD = "geheim"
PREFIX = "backups/shop"


@pytest.fixture(scope="module")
def server():
    """A server that speaks S3."""
    with running_s3() as server:
        yield server


@pytest.fixture
def bucket(server, monkeypatch):
    """An empty bucket, and credentials that open it."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    client = Session().create_client(
        "s3", endpoint_url=server.url, region_name="us-east-1"
    )
    name = f"bucket-{uuid.uuid4()}"
    client.create_bucket(Bucket=name)
    client.put_object(Bucket=name, Key="backups/other/config", Body=b"another's")
    client.put_object(Bucket=name, Key=f"{PREFIX}-2/data/x", Body=b"another's")
    client.close()
    return name


@pytest.fixture
def backend(server, bucket):
    """The prefix, as kbackup's plugin has it."""
    store = open_s3_store(server.config(bucket))
    with ObjectStoreBackend(store, prefix=PREFIX, location="the bucket") as backend:
        yield backend
    store.close()


@pytest.fixture
def command(need_tool, server, bucket):
    """How stock restic is called for the same prefix."""
    address = f"s3:{server.url}/{bucket}/{PREFIX}"
    return [need_tool("restic"), "--repo", address, "--no-cache"]


@pytest.fixture
def restic(command):
    """Runs it; returns its output."""

    def run(*arguments, expect=(0,), says="", cwd=None):
        done = subprocess.run(
            [*command, *arguments],
            env=os.environ | {"RESTIC_PASSWORD": PASSWORD},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            cwd=cwd,
        )
        assert done.returncode in expect, done.stdout + done.stderr
        assert says in done.stderr
        return done.stdout

    return run


@pytest.fixture
def source(tmp_path):
    """A file of several chunks, and small ones."""
    path = tmp_path / "source"
    (path / "below").mkdir(parents=True)
    (path / "large").write_bytes(os.urandom(8 << 20))
    (path / "empty").touch()
    for number in range(50):
        (path / "below" / f"{number}").write_bytes(os.urandom(10 * number))
    return path


def change(source, number):
    """Make a round's backup differ from the one before."""
    (source / "below/0").write_text(f"round {number}")
    (source / f"new {number}").write_bytes(os.urandom(2000 * number))
    with (source / "large").open("r+b") as file:
        file.seek(number * 500_000)
        file.write(b"changed")


def test_restic_restores_what_kbackup_put_into_a_bucket(
    restic, backend, source, tmp_path
):
    """Every byte is read and checked, and comes back."""
    with Repository.init(backend, PASSWORD, key_parameters=CHEAP) as repository:
        repository.back_up(DirectorySource(source, base=source), tags=("one",))

    assert "no errors were found" in restic("check", "--read-data")
    restic("restore", "latest", "--target", tmp_path / "target")

    assert seen(tmp_path / "target") == seen(source)
    (snapshot,) = json.loads(restic("snapshots", "--json"))
    assert snapshot["tags"] == ["one"]


def test_kbackup_restores_what_restic_put_into_a_bucket(
    restic, backend, source, tmp_path
):
    """It is listed with what was said of it, and comes back."""
    restic("init")
    restic("backup", "--tag", "two", "--host", "elsewhere", ".", cwd=source)

    with Repository.open(backend, PASSWORD) as repository:
        (snapshot,) = repository.list()
        restored = repository.restore("latest", tmp_path / "target")

    assert (snapshot.tags, snapshot.hostname) == (("two",), "elsewhere")
    assert restored.problems == []
    assert seen(tmp_path / "target") == seen(source)


def test_each_goes_on_from_the_other_in_a_bucket(restic, backend, source, tmp_path):
    """Five rounds in turn, then all but two are forgotten, by each of both."""
    expected = {}
    with Repository.init(backend, PASSWORD, key_parameters=CHEAP) as repository:
        for number in range(1, 6):
            change(source, number)
            if number % 2:
                given = DirectorySource(source, base=source)
                snapshot = repository.back_up(given).snapshot
                name, summary = snapshot.id.hex(), snapshot.summary
                unmodified, added = summary.files_unmodified, summary.data_added
            else:
                out = restic("backup", "--json", ".", cwd=source)
                summary = json.loads(out.splitlines()[-1])
                name, added = summary["snapshot_id"], summary["data_added"]
                unmodified = summary["files_unmodified"]
            if number > 1:  # the parent was found: what is not changed was not read
                assert unmodified >= 50
            if number > 2:  # and of what is, each knows its own cuts
                assert added < 8 << 20
            expected[name] = seen(source)
        assert "no errors were found" in restic("check", "--read-data")
        for number, (name, files) in enumerate(expected.items()):
            target = tmp_path / f"target {number}"
            if number % 2:
                assert repository.restore(name, target).problems == []
            else:
                restic("restore", name, "--target", target)
            assert seen(target) == files

        plan = repository.plan_forget(RetentionPolicy(last=3))
        assert len(repository.forget(plan)) == 2
        restic("forget", "--keep-last", "2", "--prune", "--max-unused", "0")
        kept = [snapshot.id.hex() for snapshot in repository.list()]
        assert [name[:8] for name in kept] == [name[:8] for name in expected][-2:]
        target = tmp_path / "after prune"
        assert repository.restore(kept[0], target).problems == []
        assert seen(target) == list(expected.values())[-2]
    assert "no errors were found" in restic("check", "--read-data")


def test_locks_in_a_bucket_are_seen_by_both(command, restic, backend, source):
    """Whoever works alone keeps the other one out."""
    with Repository.init(backend, PASSWORD, key_parameters=CHEAP) as repository:
        with repository._locked(exclusive=True):
            expected = (1, 11)  # 11 from 0.17 on
            restic("backup", ".", cwd=source, expect=expected, says="already locked")
        running = subprocess.Popen(
            [*command, "-q", "backup", "--stdin"],
            env=os.environ | {"RESTIC_PASSWORD": PASSWORD},
            stdin=subprocess.PIPE,
        )
        try:
            while not repository.list_locks():
                assert running.poll() is None
            with pytest.raises(
                RepositoryLockedError, match=f"process {running.pid} of"
            ):
                repository._locked(exclusive=True).__enter__()
        finally:
            running.communicate(b"x", timeout=60)
        assert repository.list_locks() == []


def test_others_in_the_bucket_are_left_alone(restic, backend, server, bucket, source):
    """What lies beside the prefix is not seen and not changed."""
    with Repository.init(backend, PASSWORD, key_parameters=CHEAP) as repository:
        repository.back_up(DirectorySource(source, base=source))
    assert backend.exists(CONFIG)
    assert len(list(backend.list(FileType.PACK))) > 1
    store = open_s3_store(server.config(bucket))
    others = [
        info.key for info in store.list("") if not info.key.startswith(f"{PREFIX}/")
    ]
    store.close()
    assert others == ["backups/other/config", f"{PREFIX}-2/data/x"]
