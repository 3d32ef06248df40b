"""A snapshotter is checked on a copy of a volume; snapshots go again, volumes are told."""

import threading

import pytest

from kbackup.errors import (
    NativeSnapshotNotFoundError,
    PluginError,
    SnapshotterError,
    SnapshotterUnavailableError,
    VolumeNotFoundError,
)
from kbackup.models import (
    ObjectMeta,
    VolumeSnapshotLocation,
    VolumeSnapshotLocationSpec,
)
from kbackup.plugins import (
    PluginManager,
    SnapshotState,
    VolumeDescription,
    VolumeSnapshotterFactory,
    hookimpl,
)
from kbackup.testing import (
    check_volume_snapshotter,
    persistent_volume,
    plan_snapshotter_check,
)
from kbackup.testing._conformance_volumes import (
    MOST_SNAPSHOTS,
    MOST_VOLUMES,
    SnapshotterTrial,
    unlike,
)

PROVIDER = "example.com/disks"
DRIVER = "disks.example.com"
FAST = VolumeDescription(volume_type="fast", iops=300)
UNTRIED = {"test_snapshots_keep_tags", "test_throttled", "test_throttled_for_good"}


class Cloud:
    """A provider: its volumes and its snapshots, with their tags."""

    def __init__(self):
        self.volumes = {"vol-0001": FAST}
        self.snapshots = {}
        self.snapshotted = []  # the volume of each snapshot there ever was
        self.asked = []  # what was asked about a volume, and which
        self.lock = threading.Lock()

    def new_id(self, prefix):
        """Return an id that nothing had."""
        return f"{prefix}-{len(self.volumes) + len(self.snapshotted):04x}"


class Snapshotter:
    """It keeps every promise."""

    api_version = 1

    def __init__(self, cloud):
        self.cloud = cloud
        self.closed = False

    def volume_id(self, volume):
        """Return the handle."""
        csi = (volume.get("spec") or {}).get("csi") or {}
        return self.known(csi["volumeHandle"]) if csi.get("driver") == DRIVER else ""

    def with_volume_id(self, volume, volume_id):
        """Point it elsewhere."""
        if not self.volume_id(volume):
            raise SnapshotterError(volume_id, "not ours")
        csi = {**volume["spec"]["csi"], "volumeHandle": self.known(volume_id)}
        return {**volume, "spec": {**volume["spec"], "csi": csi}}

    def describe(self, volume_id, zone):
        """Tell its type."""
        return self.volume(volume_id)

    def create_snapshot(self, volume_id, zone, tags):
        """Note it."""
        self.volume(volume_id)
        with self.cloud.lock:
            made = self.cloud.new_id("snap")
            self.cloud.snapshots[made] = dict(tags)
            self.cloud.snapshotted.append(volume_id)
        return made

    def snapshot_state(self, snapshot_id):
        """Say that it is complete."""
        self.snapshot(snapshot_id)
        return SnapshotState(complete=True)

    def create_volume(self, snapshot_id, description, zone):
        """Note it."""
        self.snapshot(snapshot_id)
        with self.cloud.lock:
            made = self.cloud.new_id("vol")
            self.cloud.volumes[made] = description
        return made

    def delete_snapshot(self, snapshot_id):
        """Forget it."""
        self.usable(snapshot_id)
        self.cloud.snapshots.pop(snapshot_id, None)

    def close(self):
        """Refuse what comes."""
        self.closed = True

    def known(self, name):
        """Refuse what is no id."""
        prefix, _, number = name.partition("-")
        if prefix not in {"vol", "snap"} or not number.isalnum():
            raise SnapshotterError(repr(name), "no id")
        return name

    def usable(self, name):
        """Refuse what is no id, and everything once it is closed."""
        if self.closed:
            raise SnapshotterError(name, "closed")
        return self.known(name)

    def volume(self, volume_id):
        """Find a volume."""
        self.cloud.asked.append(volume_id)
        if self.usable(volume_id) not in self.cloud.volumes:
            raise VolumeNotFoundError(volume_id)
        return self.cloud.volumes[volume_id]

    def snapshot(self, snapshot_id):
        """Find a snapshot."""
        if self.usable(snapshot_id) not in self.cloud.snapshots:
            raise NativeSnapshotNotFoundError(snapshot_id)


class Greedy(Snapshotter):
    """It deletes whatever it is told to."""

    def delete_snapshot(self, snapshot_id):
        """Delete a volume as well."""
        super().delete_snapshot(snapshot_id)
        self.cloud.volumes.pop(snapshot_id, None)


class Sticky(Snapshotter):
    """It deletes nothing, and says that it did."""

    def delete_snapshot(self, snapshot_id):
        """Do nothing."""
        self.usable(snapshot_id)


class Mute(Snapshotter):
    """Its provider never answers about a snapshot of a copy."""

    def create_snapshot(self, volume_id, zone, tags):
        """Make it, and lose the answer."""
        made = super().create_snapshot(volume_id, zone, tags)
        if volume_id != "vol-0001":
            raise SnapshotterUnavailableError(volume_id, "cut")
        return made


class Odd(Snapshotter):
    """It leaks what its SDK raises."""

    def describe(self, volume_id, zone):
        """Fail as an SDK does."""
        raise KeyError("token=hunter2")


class Stopped(Snapshotter):
    """Somebody presses Ctrl-C while a volume is made of a copy."""

    def create_volume(self, snapshot_id, description, zone):
        """Be interrupted, the second time."""
        if len(self.cloud.volumes) > 1:
            raise KeyboardInterrupt
        return super().create_volume(snapshot_id, description, zone)


LOCATION = VolumeSnapshotLocation(
    metadata=ObjectMeta(name="check"),
    spec=VolumeSnapshotLocationSpec(provider=PROVIDER),
)
VOLUME = persistent_volume("csi", driver=DRIVER, volumeHandle="vol-0001")


def host(cloud, snapshotter=Snapshotter):
    """Return a host with one provider."""

    class Plugin:
        """Offers it."""

        @hookimpl
        def kbackup_register_volume_snapshotters(self):
            """Offer it."""
            factory = VolumeSnapshotterFactory(open=lambda _config: snapshotter(cloud))
            return {PROVIDER: factory}

    return PluginManager([Plugin()], strict=True)


def check(cloud, snapshotter=Snapshotter, **how):
    """Check a snapshotter; return the report and its broken promises by name."""
    plugins = host(cloud, snapshotter)
    plan = plan_snapshotter_check(LOCATION, plugins, [VOLUME])
    report = check_volume_snapshotter(plan, plugins, **how)
    return report, {each.name: each for each in report.promises if each.faults}


def test_a_conforming_snapshotter():
    """Every promise that can be tried is kept; no snapshot stays, every volume is told."""
    cloud, made, heard = Cloud(), [], []

    report, broken = check(cloud, made=made.append, heard=heard.append)

    assert broken == {}
    assert report.conforming
    assert report.suite == "VolumeSnapshotterContract"
    assert {each.name for each in report.promises if each.untried} == UNTRIED
    assert all(each.kept for each in report.promises if not each.untried)
    assert len(heard) == len(report.promises)
    assert cloud.snapshots == {}
    assert report.volumes_made == tuple(made)
    assert {"vol-0001", *made} == set(cloud.volumes)


def test_the_volume_itself_is_left_alone():
    """One snapshot is made of it; all else, also what could delete it, is of the copy."""
    cloud = Cloud()

    report, _ = check(cloud)

    assert cloud.snapshotted[0] == "vol-0001"
    assert "vol-0001" not in cloud.snapshotted[1:]
    assert cloud.asked.count("vol-0001") == 2  # described, and snapshotted
    assert report.volumes_made[0] in cloud.snapshotted


def test_what_is_made_is_no_more_than_was_said():
    """People are told how much a check makes at most, and not much too much."""
    cloud = Cloud()

    report, _ = check(cloud)

    snapshots = len(cloud.snapshotted) - 1
    assert snapshots <= MOST_SNAPSHOTS < 2 * snapshots
    volumes = len(report.volumes_made) - 1
    assert volumes <= MOST_VOLUMES < 2 * volumes


def test_a_snapshotter_that_deletes_volumes():
    """The promise is broken, and the volume that was named is still there."""
    cloud = Cloud()

    report, broken = check(cloud, Greedy)

    assert "test_bad_ids_of_snapshots" in broken
    assert not report.conforming
    assert "vol-0001" in cloud.volumes


def test_snapshots_that_stay():
    """What could not be deleted is named: it costs money."""
    cloud = Cloud()

    report, _ = check(cloud, Sticky)

    assert not report.conforming
    assert set(report.left_behind) == set(cloud.snapshots)
    assert report.to_json()["leftBehind"] == list(report.left_behind)


def test_snapshots_that_nobody_knows():
    """Where the answer was lost the report says by which tag the snapshot is found."""
    cloud = Cloud()

    report, broken = check(cloud, Mute)

    assert broken
    told = report.left_behind[0]
    copy = report.volumes_made[0]
    assert told.startswith(f"perhaps a snapshot of {copy}, tagged kbackup.io/check=")
    run = told.rpartition("=")[2]
    assert all(tags["kbackup.io/check"] == run for tags in cloud.snapshots.values())


def test_what_an_sdk_raises():
    """A snapshotter that fails at once is told by the type of what it raised."""
    with pytest.raises(PluginError, match=f"{PROVIDER} failed .*: KeyError$") as caught:
        check(Cloud(), Odd)

    assert "hunter2" not in str(caught.value)


def test_no_copy_can_be_made():
    """What keeps the copy from being made is raised as it is; its snapshot goes."""
    cloud = Cloud()

    class Full(Snapshotter):
        """It has no room."""

        def create_volume(self, snapshot_id, description, zone):
            """Refuse."""
            raise SnapshotterError(snapshot_id, "quota exceeded")

    with pytest.raises(SnapshotterError, match="quota exceeded"):
        check(cloud, Full)

    assert cloud.snapshotted == ["vol-0001"]
    assert cloud.snapshots == {}


def test_an_interrupt():
    """After Ctrl-C no snapshot stays, and the volumes made so far were told."""
    cloud, made = Cloud(), []

    with pytest.raises(KeyboardInterrupt):
        check(cloud, Stopped, made=made.append)

    assert cloud.snapshots == {}
    assert {"vol-0001", *made} == set(cloud.volumes)
    assert made


# --- the plan -------------------------------------------------------------------------


def test_a_plan_sends_nothing():
    """Before anybody agreed, volumes are only read as they were given."""
    cloud = Cloud()
    other = persistent_volume("csi", driver=DRIVER, volumeHandle="vol-0002")
    foreign = persistent_volume("nfs", server="nfs.example.com", path="/")

    plan = plan_snapshotter_check(LOCATION, host(cloud), [foreign, VOLUME, other])

    assert cloud.asked == []
    assert cloud.snapshotted == []
    assert plan.volume_id == "vol-0001"
    assert plan.forms == (VOLUME,)
    assert "vol-0001 (PersistentVolume pvc-1)" in plan.lines[0]


def test_nothing_to_work_on():
    """Objects that are no volumes of the provider's are refused with a way on."""
    foreign = persistent_volume("nfs", server="nfs.example.com", path="/")
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}}

    with pytest.raises(PluginError, match="none of the 1 PersistentVolumes") as caught:
        plan_snapshotter_check(LOCATION, host(Cloud()), [pod, foreign])

    assert "kubectl get pv" in caught.value.hint


def _zoned(labels=None, key="", values=()):
    volume = persistent_volume("csi", driver=DRIVER, volumeHandle="vol-0001")
    volume["metadata"]["labels"] = labels
    if key:
        wanted = {"key": key, "operator": "In", "values": list(values)}
        terms = [{"matchExpressions": [wanted]}]
        volume["spec"]["nodeAffinity"] = {"required": {"nodeSelectorTerms": terms}}
    return volume


@pytest.mark.parametrize(
    ("volume", "given", "zone"),
    [
        (_zoned(), "", ""),
        (_zoned({"topology.kubernetes.io/zone": "a"}), "", "a"),
        (_zoned({"failure-domain.beta.kubernetes.io/zone": "b"}), "", "b"),
        (_zoned(None, "topology.ebs.csi.aws.com/zone", ["c"]), "", "c"),
        (_zoned(None, "kubernetes.io/hostname", ["node-1"]), "", ""),
        (_zoned({"topology.kubernetes.io/zone": "a"}), "d", "d"),
    ],
)
def test_the_zone(volume, given, zone):
    """It is what is given, or what labels or node affinity of the volume say."""
    plan = plan_snapshotter_check(LOCATION, host(Cloud()), [volume], zone=given)

    assert plan.zone == zone
    assert (f" in zone {zone}," in plan.lines[0]) == bool(zone)


@pytest.mark.parametrize(
    ("known", "other"),
    [
        ("vol-0123456789abcdef0", "vol-1234567890bcdefa1"),
        ("projects/p/zones/z/disks/pvc-1", "projects/p/zones/z/disks/qwd-2"),
        ("/subscriptions/1/disks/D-9", "/subscriptions/1/disks/E-0"),
        ("/mnt/disks/ffff", "/mnt/disks/aaaa"),
        ("/mnt/disks/a-1", "/mnt/disks/b-2"),
        ("/mnt/disks/", "/mnt/disks/0"),
    ],
)
def test_an_id_that_nothing_has(known, other):
    """It has the form of the one that is known, and is another."""
    assert unlike(known) == other


def test_nothing_is_made_twice_by_removing():
    """What is gone already is not tried again; what stuck is."""
    cloud = Cloud()
    plugins = host(cloud)
    plan = plan_snapshotter_check(LOCATION, plugins, [VOLUME])
    trial = SnapshotterTrial(plan, plugins, None)
    with trial.opened() as snapshotter:
        snapshotter.create_snapshot("vol-0001", "", {})

    assert trial.remove_snapshots() == ()
    assert trial.remove_snapshots() == ()
    assert cloud.snapshots == {}
