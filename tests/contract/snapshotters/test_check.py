"""``kbackup plugin check`` of volume snapshotters, on real directories and on EC2."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from kbackup.cli._app import run
from kbackup.testing import persistent_volume

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((ROOT / "docs/formats/schemas/output.json").read_text())
ZONE = "us-east-1a"


@pytest.fixture
def kbackup(capsys):
    """The command line; the answer is exit code, output, and what was said."""

    def call(*arguments):
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def items(tmp_path):
    """A function that writes objects to a file, as kubectl prints several."""

    def write(*objects):
        path = tmp_path / "volumes.json"
        several = {"apiVersion": "v1", "kind": "List", "items": objects}
        path.write_text(json.dumps(several))
        return path

    return write


@pytest.fixture
def directory(tmp_path):
    """A volume that is a directory, with something in it."""
    path = tmp_path / "volumes" / "data"
    path.mkdir(parents=True)
    (path / "file").write_text("data")
    return path


def test_local(kbackup, items, directory, tmp_path):
    """Directories are checked with a report for people; what stays is a copy each."""
    volume = persistent_volume("hostPath", path=str(directory))

    code, out, err = kbackup(
        *("plugin", "check", "kbackup.io/local", "--kind", "volume-snapshotter"),
        *("--config", f"snapshots={tmp_path / 'snapshots'}", "--yes"),
        *("--items", items(volume)),
    )

    assert code == 0, out + err
    first, *lines, last = out.splitlines()
    assert first.startswith("kbackup.io/local of kbackup ")
    assert first.endswith(", by VolumeSnapshotterContract")
    assert last == "17 of 20 promises are kept, 3 could not be tried from here"
    made = {line.removeprefix("MADE    ") for line in lines if line.startswith("MADE")}
    there = {str(path) for path in directory.parent.iterdir()}
    assert there == {str(directory), *made}
    assert list((tmp_path / "snapshots").iterdir()) == []
    assert f"makes a snapshot of the volume {directory} (PersistentVolume pvc-1)" in err
    assert "The volumes that were made stay" in err


def test_ebs(kbackup, items, ec2_server, ec2_client):
    """EBS is checked with a report as JSON; no snapshot stays, each volume is told."""
    made = ec2_client.create_volume(
        AvailabilityZone=ZONE, Size=8, VolumeType="gp3", Iops=4000, Throughput=250
    )
    volume_id = made["VolumeId"]
    csi = persistent_volume("csi", driver="ebs.csi.aws.com", volumeHandle=volume_id)
    csi["metadata"]["labels"]["topology.kubernetes.io/zone"] = ZONE
    old = persistent_volume("awsElasticBlockStore", volumeID=volume_id)
    before = _snapshots(ec2_client)

    code, out, err = kbackup(
        *("plugin", "check", "aws", "--kind", "volume-snapshotter", "--yes"),
        *(f"--config={key}={value}" for key, value in ec2_server.config().items()),
        *("--items", items(csi, old), "-o", "json"),
    )

    assert code == 0, out + err
    report = json.loads(out)
    jsonschema.validate(report, SCHEMA)
    assert (report["name"], report["pluginKind"]) == (
        "velero.io/aws",
        "VolumeSnapshotter",
    )
    assert report["conforming"] is True
    assert report["leftBehind"] == []
    assert [each["name"] for each in report["promises"] if each["untried"]] == [
        *("test_snapshots_keep_tags", "test_throttled", "test_throttled_for_good")
    ]
    assert _snapshots(ec2_client) == before
    described = ec2_client.describe_volumes(VolumeIds=report["volumesMade"])["Volumes"]
    assert {each["AvailabilityZone"] for each in described} == {ZONE}
    touched = {each["VolumeId"] for each in ec2_server.gate.named("CreateSnapshot")}
    assert touched == {volume_id, report["volumesMade"][0]}


def _snapshots(ec2_client):
    found = ec2_client.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    return {each["SnapshotId"] for each in found}


@pytest.mark.parametrize("answer", ["--output=table", "--output=json"])
def test_nobody_to_ask(kbackup, items, directory, tmp_path, answer):
    """Without a terminal and --yes it says what it would do, and does nothing."""
    volume = persistent_volume("hostPath", path=str(directory))

    code, out, err = kbackup(
        *("plugin", "check", "kbackup.io/local", "--kind", "volume-snapshotter"),
        *("--config", f"snapshots={tmp_path / 'snapshots'}", answer),
        *("--items", items(volume)),
    )

    assert code == 2
    assert out == ""
    assert "leaves the volumes, and prints their ids" in err
    assert "give --yes" in err
    assert list(directory.parent.iterdir()) == [directory]
    assert not (tmp_path / "snapshots").exists()
