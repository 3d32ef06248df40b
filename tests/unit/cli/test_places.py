"""``kbackup location``, ``plugin``, ``doctor`` and ``demo``."""

import io
import json

import pytest

from kbackup.archive import ArchiveWriter
from kbackup.catalog import BackupStore, Manifest
from kbackup.models import Backup, BackupPhase, BackupStatus, ObjectMeta


def findings(done):
    """The checks of the doctor by name: status and detail."""
    checks = json.loads(done.out)["checks"]
    return {check["check"]: (check["status"], check["detail"]) for check in checks}


def test_validate_tries_the_location_out(offline, directory):
    """A fit location is written, read and deleted from, and left as it was."""
    done = offline("location", "validate")

    assert done.code == 0
    assert "is available: listed, written, read, deleted" in done.out
    assert [path for path in directory.rglob("*") if path.is_file()] == []


def test_validate_names_what_velero_would_refuse(offline, directory):
    """A foreign directory below the prefix is a problem, by name."""
    (directory / "photos").mkdir(parents=True)
    (directory / "photos/a.jpg").touch()

    done = offline("location", "validate")

    assert done.code == 1
    assert "photos" in done.out


def test_mirrored_directories(kbackup, tmp_path):
    """Two directories are prepared, hold two copies, and are repaired after a loss."""
    a, b = tmp_path / "a", tmp_path / "b"
    a.mkdir()
    b.mkdir()
    place = ("--location", a, "--location", b)

    before = kbackup("location", "validate", *place)
    prepared = kbackup("location", "init", *place)
    made = kbackup("backup", "create", "x", "--include-namespaces", "shop", *place)
    both = kbackup("backup", "get", *place)
    (b / "backups/x/velero-backup.json").unlink()
    one = kbackup("backup", "get", *place)
    repaired = kbackup("location", "repair", *place, "--yes")
    again = kbackup("backup", "get", *place)

    assert before.code == 1
    assert "not mounted, or never made" in before.out
    assert before.next == "Next: kbackup location init --help"
    assert prepared.code == 0, prepared.err
    assert made.code == 0, made.err
    assert "2 of 2" in both.out
    assert "1 of 2" in one.out
    assert repaired.code == 0, repaired.err
    assert "2 of 2" in again.out


def test_repair_where_nothing_is_amiss(offline):
    """A location in which nobody died needs no repair, and says so."""
    done = offline("location", "repair", "--yes")

    assert done.code == 0, done.err
    assert "nothing" in done.out


def test_plugins_are_listed(offline):
    """Providers and actions are listed with kind, origin and state."""
    done = offline("plugin", "get")

    lines = [line.split() for line in done.out.splitlines()]
    kinds = {(line[0], line[1]): line[-1] for line in lines}
    assert kinds["kbackup.io/local", "ObjectStore"] == "available"
    assert kinds["kbackup.io/local", "VolumeSnapshotter"] == "available"
    assert kinds["velero.io/pod", "BackupItemAction"] == "available"


def test_switched_off_plugin(offline, monkeypatch):
    """A plugin can be switched off by the environment."""
    monkeypatch.setenv("KBACKUP_DISABLE_PLUGINS", "aws")

    done = offline("plugin", "get")

    line = next((x for x in done.out.splitlines() if "aws" in x), "")
    assert not line.endswith(" available")


def test_doctor_of_a_good_cluster(backed_up):
    """The doctor says where, as whom, which version, and what may be written."""
    done = backed_up("doctor", "-o", "json")

    found = findings(done)
    assert done.code == 0
    assert found["identity"] == ("ok", "simulated-admin")
    assert found["version"][1].startswith("v1.")
    assert found["rights on secrets"] == ("ok", "list, create, patch")
    assert found["storage classes"] == ("ok", "standard")
    assert found["location"][0] == "ok"


def test_doctor_without_anything(offline, monkeypatch):
    """Without cluster and location the doctor says so and ends with 1."""
    monkeypatch.delenv("KBACKUP_LOCATION")

    done = offline("doctor", "-o", "json")

    found = findings(done)
    assert done.code == 1
    assert found["cluster"][0] == "error"
    assert found["location"][0] == "warning"
    assert done.err.endswith("Once that is mended:\nNext: kbackup doctor\n")


def test_doctor_about_a_backup_that_is_not_there(kbackup):
    """What is to be typed again asks about the same backup."""
    done = kbackup("doctor", "--from-backup", "nope")

    assert done.code == 1
    assert "backup nope: not found" in done.out
    assert done.next == "Next: kbackup doctor --from-backup nope"


def test_doctor_without_a_location(kbackup, monkeypatch):
    """A good cluster without a location leads to giving one, not to a failing list."""
    monkeypatch.delenv("KBACKUP_LOCATION")

    done = kbackup("doctor")

    assert done.code == 0
    assert done.next == "Next: kbackup doctor --location URL"


def test_doctor_of_an_empty_location(kbackup):
    """After the first look at an empty location the first backup is to be made."""
    assert kbackup("doctor").next == "Next: kbackup backup create NAME"


def test_doctor_of_another_context(kbackup):
    """An unknown context is to be mended, and then the doctor is asked again."""
    done = kbackup("doctor", "--context", "none")

    assert done.code == 1
    assert "It has: simulated" in done.out
    assert done.next == "Next: kbackup doctor --context none"


def test_doctor_is_silent_of_providers_that_nobody_chose(kbackup, monkeypatch):
    """That the packages of another provider are not installed is no warning."""
    monkeypatch.setattr("kbackup.plugins._offers.find_spec", lambda _name: None)

    done = kbackup("doctor", "-o", "json")

    assert not [check for check in findings(done) if "velero.io/aws" in check]
    assert "unavailable" in kbackup("plugin", "get").out


def test_doctor_names_missing_rights(kbackup, simulated):
    """What the caller may not create is a warning."""
    simulated.faults.forbid(verb="create", resource="secrets")

    found = findings(kbackup("doctor", "-o", "json"))

    assert found["rights on secrets"] == ("warning", "list, patch")


def test_doctor_names_a_webhook_without_its_service(kbackup, simulated):
    """A webhook whose Service is gone would refuse every write: it is named."""
    simulated.load(
        [
            {
                "apiVersion": "admissionregistration.k8s.io/v1",
                "kind": "ValidatingWebhookConfiguration",
                "metadata": {"name": "guard"},
                "webhooks": [
                    {
                        "name": "guard.example.com",
                        "clientConfig": {
                            "service": {"namespace": "shop", "name": "none"}
                        },
                        "sideEffects": "None",
                        "admissionReviewVersions": ["v1"],
                    }
                ],
            }
        ]
    )

    found = findings(kbackup("doctor", "-o", "json"))

    assert found["webhook"][0] == "warning"
    assert "guard calls Service shop/none" in found["webhook"][1]


def test_doctor_names_what_a_backup_needs(backed_up, tmp_path):
    """A target without the storage class of a claim is told before a restore."""
    from kbackup.testing import SimulatedCluster  # noqa: PLC0415 - a second one

    with SimulatedCluster() as target:
        kubeconfig = target.kubeconfig(tmp_path / "target")
        done = backed_up(
            *("doctor", "--from-backup", "latest", "-o", "json"),
            *("--kubeconfig", kubeconfig),
        )

    found = findings(done)
    assert found["needed storage classes"] == ("warning", "standard")
    assert found["needed types"][0] == "ok"


def test_doctor_names_versions_that_are_not_served(kbackup, directory):
    """A type that the target serves in another version only is told, as the plan does."""
    out = io.BytesIO()
    body = {
        "apiVersion": "batch/v2",
        "kind": "CronJob",
        "metadata": {"name": "nightly", "namespace": "shop"},
    }
    with ArchiveWriter(out, mtime=0) as archive:
        archive.add(
            resource="cronjobs.batch",
            version="v2",
            namespace="shop",
            name="nightly",
            body=json.dumps(body).encode(),
        )
    backup = Backup(
        metadata=ObjectMeta(name="old", uid="1"),
        status=BackupStatus(phase=BackupPhase.COMPLETED),
    )
    manifest = Manifest(items=archive.items, entries=archive.entries)
    with BackupStore.open(directory) as store, store.claim("old", run_uid="1") as claim:
        store.publish(claim, backup, {"old.tar.gz": out.getvalue()}, manifest)

    done = kbackup("doctor", "--from-backup", "old", "-o", "json")
    planned = kbackup("restore", "plan", "--from-backup", "old")

    told = "the target serves batch/v1 of cronjobs.batch, the backup has batch/v2"
    assert findings(done)["needed types"] == ("warning", told)
    assert told in planned.out


def test_demo_tells_the_whole_story(offline, monkeypatch):
    """The demo backs up, loses, plans, restores and compares, and says what is next."""
    monkeypatch.delenv("KBACKUP_LOCATION")

    done = offline("demo")

    assert done.code == 0, done.err
    for text in (
        "Backup shop-1: Completed, 15 items.",
        "made by ReplicaSet/web-6d4b8c9f7",
        "PV pv-orders is Released: --released-volumes reattach takes it",
        "Restore shop-back: Completed",
        "12 objects compared: every one is as it was in the backup.",
        "kbackup backup create first",
    ):
        assert text in done.out
    assert len(done.out.splitlines()) <= 60  # to be read at one go


def test_demo_as_a_document(offline):
    """For programs the demo's end is one document; the story goes to stderr."""
    done = offline("demo", "-o", "json")

    document = json.loads(done.out)
    assert document["kind"] == "DemoReport"
    assert document["exitCode"] == 0
    assert "1. A cluster" in done.err


def test_demo_without_the_simulator(offline, monkeypatch):
    """Where the simulator's package is missing, the demo says what to install."""
    monkeypatch.setitem(__import__("sys").modules, "kbackup.testing", None)

    done = offline("demo")

    assert done.code == 1
    assert "pip install 'kbackup[simulator]'" in done.err


@pytest.mark.parametrize("output", ["table", "json"])
def test_version(offline, output):
    """The version is printed without a location or a cluster."""
    done = offline("version", "-o", output)

    assert done.code == 0
    assert "kbackup" in done.out
