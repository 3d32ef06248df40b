"""What snapshots in EBS promise beyond the Protocol, and the requests they are made by."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest

from kbackup.errors import (
    SnapshotFailedError,
    SnapshotterAccessError,
    SnapshotterError,
    SnapshotterUnavailableError,
    VolumeNotFoundError,
)
from kbackup.plugins import PluginManager, VolumeDescription
from kbackup.stores import RetryPolicy, Timeouts
from kbackup.testing import persistent_volume
from kbackup_plugins_aws import open_ebs_snapshotter
from kbackup_plugins_aws._ebs import EBSSnapshotter, _merged, _state
from kbackup_plugins_aws._ebs_config import read_ebs_config
from kbackup_plugins_aws._ec2 import EC2

GP3 = VolumeDescription(volume_type="gp3", iops=4000, throughput=250)
ZONE = "us-east-1a"
TAGS = {"velero.io/backup": "shop-1", "velero.io/pv": "pvc-1"}


@pytest.fixture
def snapshotter(ec2_server):
    """A snapshotter of its own for each test."""
    snapshotter = open_ebs_snapshotter(ec2_server.config())
    yield snapshotter
    snapshotter.close()


@pytest.fixture
def volume(ec2_client):
    """A volume with tags of somebody's."""
    tags = [
        {"Key": "velero.io/backup", "Value": "an-older-one"},
        {"Key": "kubernetes.io/cluster/prod", "Value": "owned"},
    ]
    made = ec2_client.create_volume(
        AvailabilityZone=ZONE,
        Size=8,
        VolumeType="gp3",
        TagSpecifications=[{"ResourceType": "volume", "Tags": tags}],
    )
    return made["VolumeId"]


def _tags(described):
    return {tag["Key"]: tag["Value"] for tag in described["Tags"]}


def test_it_is_offered():
    """The provider opens it under Velero's names, with the extra that it needs."""
    factory = PluginManager().volume_snapshotter("velero.io/aws")

    assert factory.open is open_ebs_snapshotter
    assert (factory.requires, factory.extra) == (("botocore",), "aws")


def test_tags_go_from_volume_to_snapshot_to_volume(snapshotter, volume, ec2_client):
    """As with Velero: tags of the volume come along, those of the backup win."""
    snapshot = snapshotter.create_snapshot(volume, ZONE, TAGS)
    made = snapshotter.create_volume(snapshot, GP3, ZONE)

    found = ec2_client.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]
    assert _tags(found) == {**TAGS, "kubernetes.io/cluster/prod": "owned"}
    restored = ec2_client.describe_volumes(VolumeIds=[made])["Volumes"][0]
    assert _tags(restored) == _tags(found)


def test_another_cluster_owns_what_it_restores(
    ec2_server, ec2_client, volume, monkeypatch
):
    """As with Velero: ``AWS_CLUSTER_NAME`` replaces the ownership of the snapshot's."""
    monkeypatch.setenv("AWS_CLUSTER_NAME", "staging")
    with closing(open_ebs_snapshotter(ec2_server.config())) as snapshotter:
        snapshot = snapshotter.create_snapshot(volume, ZONE, TAGS)
        made = snapshotter.create_volume(snapshot, GP3, ZONE)

    restored = ec2_client.describe_volumes(VolumeIds=[made])["Volumes"][0]
    assert _tags(restored) == {
        **TAGS,
        "kubernetes.io/cluster/staging": "owned",
        "KubernetesCluster": "staging",
    }
    found = ec2_client.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0]
    assert _tags(found) == {**TAGS, "kubernetes.io/cluster/prod": "owned"}


def test_tags_that_ec2_takes():
    """Amazon's own tags are left out, and what is more than EC2 keeps; ours never."""
    inherited = [{"Key": "aws:cloudformation:stack", "Value": "x"}]
    inherited += [{"Key": f"k{number}", "Value": "x"} for number in range(60)]

    merged = _merged(TAGS, inherited)

    assert len(merged) == 50
    assert merged.items() >= TAGS.items()
    assert "aws:cloudformation:stack" not in merged


def test_another_region(ec2_server, ec2_client, volume):
    """Volumes are looked for in the region of the location."""
    elsewhere = open_ebs_snapshotter(ec2_server.config(region="eu-west-1"))

    with pytest.raises(VolumeNotFoundError):
        elsewhere.describe(volume, ZONE)
    assert "/eu-west-1/ec2/" in ec2_server.gate.requests[-1]["signed"]
    elsewhere.close()


def test_an_answer_that_is_lost(snapshotter, volume, ec2_server, ec2_client):
    """A snapshot of which no answer came is not made again, and has the tags."""
    tags = {"velero.io/backup": "lost"}
    ec2_server.gate.lost.add("CreateSnapshot")

    with pytest.raises(SnapshotterUnavailableError, match=volume):
        snapshotter.create_snapshot(volume, ZONE, tags)

    found = ec2_client.describe_snapshots(
        Filters=[{"Name": "tag:velero.io/backup", "Values": ["lost"]}]
    )
    assert len(found["Snapshots"]) == 1


def test_a_lost_volume_is_asked_for_again_with_its_token(
    ec2_server, snapshotter, volume
):
    """Each attempt at a volume carries the token by which EC2 makes one of them."""
    snapshot = snapshotter.create_snapshot(volume, ZONE, TAGS)
    ec2_server.gate.requests.clear()
    ec2_server.gate.lost.add("CreateVolume")

    with pytest.raises(SnapshotterUnavailableError):
        snapshotter.create_volume(snapshot, GP3, ZONE)

    sent = ec2_server.gate.named("CreateVolume")
    assert len(sent) > 1
    assert len({each["ClientToken"] for each in sent}) == 1


@pytest.mark.parametrize(
    ("description", "sent"),
    [
        (GP3, {"VolumeType": "gp3", "Iops": "4000", "Throughput": "250"}),
        (VolumeDescription(volume_type="io2", iops=300), {"Iops": "300"}),
        (VolumeDescription(volume_type="gp2", iops=100), {"VolumeType": "gp2"}),
        (VolumeDescription(volume_type="gp3", iops=0), {"VolumeType": "gp3"}),
        (VolumeDescription(), {}),
    ],
)
def test_what_is_provisioned(snapshotter, volume, ec2_server, description, sent):
    """IOPS and throughput go along for the types that take them, and no others do."""
    snapshot = snapshotter.create_snapshot(volume, ZONE, TAGS)

    snapshotter.create_volume(snapshot, description, ZONE)

    asked = ec2_server.gate.named("CreateVolume")[-1]
    names = {"Iops", "Throughput"} | sent.keys()
    assert {name: asked[name] for name in names if name in asked} == sent
    assert "Encrypted" not in asked


def test_the_key_of_the_location(ec2_server, volume):
    """With ebsKmsKeyId a volume is encrypted by that key; it is shown nowhere."""
    snapshotter = open_ebs_snapshotter(ec2_server.config(ebsKmsKeyId="alias/my-key"))
    snapshot = snapshotter.create_snapshot(volume, ZONE, TAGS)

    snapshotter.create_volume(snapshot, GP3, ZONE)

    asked = ec2_server.gate.named("CreateVolume")[-1]
    assert (asked["Encrypted"], asked["KmsKeyId"]) == ("true", "alias/my-key")
    snapshotter.close()


def test_an_encrypted_snapshot(ec2_server, ec2_client, snapshotter):
    """What was encrypted is encrypted when it comes back."""
    made = ec2_client.create_volume(AvailabilityZone=ZONE, Size=8, Encrypted=True)
    snapshot = snapshotter.create_snapshot(made["VolumeId"], ZONE, TAGS)

    snapshotter.create_volume(snapshot, GP3, ZONE)

    assert ec2_server.gate.named("CreateVolume")[-1]["Encrypted"] == "true"


def test_without_a_zone(snapshotter, volume):
    """EC2 makes no volume outside of a zone: told with the snapshot."""
    snapshot = snapshotter.create_snapshot(volume, ZONE, TAGS)

    with pytest.raises(SnapshotterError, match=f"{snapshot}.*zone"):
        snapshotter.create_volume(snapshot, GP3, "")


def test_states_of_a_snapshot():
    """Pending tells its percentage where EC2 does; what failed is an error."""
    assert not _state("snap-1", {"State": "pending", "Progress": "40%"}).complete
    assert _state("snap-1", {"State": "pending", "Progress": "40%"}).percent == 40
    assert _state("snap-1", {"State": "pending", "Progress": ""}).percent is None
    with pytest.raises(SnapshotFailedError, match=r"snap-1.*the key is disabled"):
        _state("snap-1", {"State": "error", "StateMessage": "the key is disabled"})


class _Scripted:
    """EC2 whose answers to each method are given in turn, the last one again and again."""

    def __init__(self, **answers):
        self._answers = answers
        self.sent = []

    def send(self, thing, method, *, repeatable=True, **parameters):
        self.sent.append(method)
        answers = self._answers[method]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def _scripted(**answers):
    ec2 = _Scripted(**answers)
    waits = []
    return EBSSnapshotter(ec2, timeouts=Timeouts(), sleep=waits.append), ec2, waits


def _one(state):
    return {"Volumes": [{"VolumeType": "gp3", "State": state}]}


COMPLETED = {"Snapshots": [{"State": "completed"}]}


def test_a_volume_is_waited_for():
    """A new volume may not show at once, and is only told when it can be used."""
    gone = VolumeNotFoundError("vol-00000001")
    snapshotter, _, waits = _scripted(
        describe_snapshots=[COMPLETED],
        create_volume=[{"VolumeId": "vol-00000001"}],
        describe_volumes=[gone, _one("creating"), _one("available")],
    )

    assert snapshotter.create_volume("snap-00000001", GP3, ZONE) == "vol-00000001"
    assert len(waits) == 2


def test_a_volume_that_fails():
    """A volume that EC2 gives up, as for want of its key, is told with its id."""
    snapshotter, _, _ = _scripted(
        describe_snapshots=[COMPLETED],
        create_volume=[{"VolumeId": "vol-00000001"}],
        describe_volumes=[_one("error")],
    )

    with pytest.raises(SnapshotterError, match=r"vol-00000001.*error"):
        snapshotter.create_volume("snap-00000001", GP3, ZONE)


def test_a_snapshot_that_is_not_complete():
    """No volume is asked for, and how far the snapshot is stands in the error."""
    snapshotter, ec2, _ = _scripted(
        describe_snapshots=[{"Snapshots": [{"State": "pending", "Progress": "7%"}]}]
    )

    with pytest.raises(SnapshotterError, match=r"snap-00000001.*7 %"):
        snapshotter.create_volume("snap-00000001", GP3, ZONE)
    assert ec2.sent == ["describe_snapshots"]


def test_a_snapshot_that_does_not_show_yet():
    """What this process has just made is not complete; it is not missing."""
    snapshotter, _, _ = _scripted(
        describe_volumes=[_one("in-use")],
        create_snapshot=[{"SnapshotId": "snap-00000001"}],
        describe_snapshots=[{"Snapshots": []}],
    )
    snapshotter.create_snapshot("vol-00000001", ZONE, TAGS)

    assert not snapshotter.snapshot_state("snap-00000001").complete
    with pytest.raises(SnapshotterError, match="no such snapshot"):
        snapshotter.snapshot_state("snap-00000002")


def test_no_permission_for_one_verb(ec2_server, snapshotter, volume):
    """A refusal is told once, with the volume and what Amazon says."""
    ec2_server.gate.code, ec2_server.gate.status = (
        "UnauthorizedOperation",
        "403 Forbidden",
    )
    ec2_server.gate.refusals = 1

    with pytest.raises(SnapshotterAccessError, match=f"{volume}.*not now") as caught:
        snapshotter.describe(volume, ZONE)

    assert not caught.value.retryable
    snapshotter.describe(volume, ZONE)  # one refusal, one request


def test_without_credentials(ec2_server, monkeypatch):
    """Nobody to sign for is an access error of ours."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    snapshotter = open_ebs_snapshotter(ec2_server.config())

    with pytest.raises(SnapshotterAccessError, match="credentials"):
        snapshotter.describe("vol-00000001", ZONE)


def test_nobody_answers():
    """A server that is not there is told as such, and later may be better."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        settings = read_ebs_config({"region": "us-east-1", "ec2Url": url})
        once = EC2(settings, retry=RetryPolicy(attempts=1))
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("AWS_ACCESS_KEY_ID", "x")
            environment.setenv("AWS_SECRET_ACCESS_KEY", "y")
            with pytest.raises(SnapshotterUnavailableError) as caught:
                once.send("vol-1", "describe_volumes")

    assert caught.value.retryable


def test_a_server_that_hangs(ec2_server):
    """No call takes longer than the location allows."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        snapshotter = open_ebs_snapshotter(
            {"region": "us-east-1", "ec2Url": url, "requestTimeout": "500ms"}
        )
        with pytest.raises(SnapshotterUnavailableError, match=r"vol-00000001.*within"):
            snapshotter.describe("vol-00000001", ZONE)


def test_the_credentials_file_comes_before_the_environment(
    ec2_server, volume, tmp_path
):
    """A location's own credentials are used, by profile, and no secret is shown."""
    file = tmp_path / "credentials"
    file.write_text(
        "[default]\naws_access_key_id = FIRST\naws_secret_access_key = s3cret\n"
        "[other]\naws_access_key_id = SECOND\naws_secret_access_key = s3cret\n"
    )
    for more, key in (({}, "FIRST"), ({"profile": "other"}, "SECOND")):
        config = ec2_server.config(credentialsFile=str(file), **more)
        snapshotter = open_ebs_snapshotter(config)
        snapshotter.describe(volume, ZONE)

        assert f"Credential={key}/" in ec2_server.gate.requests[-1]["signed"]
        snapshotter.close()


def test_a_shared_configuration(ec2_server, volume, tmp_path):
    """With enableSharedConfig the file is one of configuration, too."""
    file = tmp_path / "credentials"
    keys = "aws_access_key_id = SHARED\naws_secret_access_key = s3cret\n"
    file.write_text(f"[profile one]\n{keys}")
    config = ec2_server.config(credentialsFile=str(file), profile="one")

    with pytest.raises(SnapshotterAccessError):
        open_ebs_snapshotter(config).describe(volume, ZONE)
    shared = open_ebs_snapshotter({**config, "enableSharedConfig": "true"})
    shared.describe(volume, ZONE)

    assert "Credential=SHARED/" in ec2_server.gate.requests[-1]["signed"]
    shared.close()


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("vol-0123456789abcdef0", "vol-0123456789abcdef0"),
        ("aws:///vol-01234567", "vol-01234567"),
        ("aws://eu-west-1a/vol-01234567", "vol-01234567"),
    ],
)
def test_ids_of_volumes_in_the_tree(snapshotter, written, expected):
    """Each form in which Kubernetes writes a volume of EBS is read."""
    volume = persistent_volume("awsElasticBlockStore", volumeID=written)

    assert snapshotter.volume_id(volume) == expected


@pytest.mark.parametrize(
    "volume",
    [
        persistent_volume("awsElasticBlockStore", fsType="ext4"),
        persistent_volume("awsElasticBlockStore", volumeID="vol-1;rm"),
        persistent_volume("csi", driver="ebs.csi.aws.com", volumeHandle="x"),
    ],
)
def test_volumes_whose_id_cannot_be_read(snapshotter, volume):
    """A volume in EBS that would be left out for a strange id is an error, not none."""
    with pytest.raises(SnapshotterError, match="pvc-1"):
        snapshotter.volume_id(volume)


@pytest.mark.parametrize(
    "label",
    ["topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"],
)
def test_the_zone_of_a_volume_in_the_tree(snapshotter, label):
    """An in-tree id names the zone of the label, as Velero writes it; else none."""
    volume = persistent_volume("awsElasticBlockStore", volumeID="vol-00000001")
    plain = snapshotter.with_volume_id(volume, "vol-00000002")
    volume["metadata"]["labels"][label] = "eu-west-1b"
    zoned = snapshotter.with_volume_id(volume, "vol-00000002")

    assert plain["spec"]["awsElasticBlockStore"]["volumeID"] == "vol-00000002"
    written = zoned["spec"]["awsElasticBlockStore"]["volumeID"]
    assert written == "aws://eu-west-1b/vol-00000002"
