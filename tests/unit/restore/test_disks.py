"""Which disk is behind a PersistentVolume."""

import pytest

from kbackup.restore._disks import another_disk, are_one, disk_in_use, disk_of


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        (
            {"nfs": {"server": "a", "path": "/x"}},
            {"nfs": {"server": "a", "path": "/x", "readOnly": True}},
            True,
        ),
        (
            {"nfs": {"server": "a", "path": "/x"}},
            {"nfs": {"server": "b", "path": "/x"}},
            False,
        ),
        ({"hostPath": {"path": "/x"}}, {"hostPath": {"path": "/x"}}, True),
        (
            {"awsElasticBlockStore": {"volumeID": "v"}},
            {"awsElasticBlockStore": {"volumeID": "v", "fsType": "ext4"}},
            True,
        ),
        (
            {"csi": {"driver": "a", "volumeHandle": "v"}},
            {"csi": {"driver": "b", "volumeHandle": "v"}},
            False,
        ),
    ],
)
def test_one_disk_has_one_name(one, two, same):
    """Two volumes over one disk are recognised, whatever else they say."""
    assert (disk_of({"spec": one}) == disk_of({"spec": two})) is same
    assert disk_of({"spec": one})


ZONE = "projects/p/zones/{}/disks/d"
AZURE = "/subscriptions/s/resourceGroups/{}/providers/Microsoft.Compute/disks/d"


def csi(driver, handle):
    """Return a source that a CSI driver provides."""
    return {"csi": {"driver": driver, "volumeHandle": handle}}


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        ({"hostPath": {"path": "/srv/x"}}, {"hostPath": {"path": "/srv/x/"}}, True),
        ({"local": {"path": "/srv/x"}}, {"local": {"path": "//srv/./x"}}, True),
        (
            {"nfs": {"server": "Filer", "path": "/x/"}},
            {"nfs": {"server": "filer", "path": "/x"}},
            True,
        ),
        ({"hostPath": {"path": "/srv/x"}}, {"hostPath": {"path": "/srv/X"}}, False),
        (
            {"awsElasticBlockStore": {"volumeID": "aws://eu-1a/vol-1"}},
            {"awsElasticBlockStore": {"volumeID": "vol-1"}},
            True,
        ),
        (
            {"awsElasticBlockStore": {"volumeID": "aws://eu-1a/vol-1"}},
            csi("ebs.csi.aws.com", "vol-1"),
            True,
        ),
        (
            {"awsElasticBlockStore": {"volumeID": "vol-1"}},
            csi("ebs.csi.aws.com", "vol-2"),
            False,
        ),
        (
            {"gcePersistentDisk": {"pdName": "d"}},
            csi("pd.csi.storage.gke.io", ZONE.format("a")),
            True,
        ),
        (
            csi("pd.csi.storage.gke.io", ZONE.format("b")),
            {"gcePersistentDisk": {"pdName": "d"}},
            True,
        ),
        (
            csi("pd.csi.storage.gke.io", ZONE.format("a")),
            csi("pd.csi.storage.gke.io", ZONE.format("b")),
            False,
        ),
        (
            {"azureDisk": {"diskURI": AZURE.format("RG")}},
            csi("disk.csi.azure.com", AZURE.format("rg")),
            True,
        ),
        (
            {"cinder": {"volumeID": "v"}},
            csi("cinder.csi.openstack.org", "v"),
            True,
        ),
    ],
)
def test_one_disk_in_two_spellings(one, two, same):
    """A path with a slash more, or an in-tree source beside its CSI driver, is one disk."""
    first, second = {"spec": one}, {"spec": two}

    assert are_one(disk_of(first), disk_of(second)) is same
    assert bool(disk_in_use(first, "pv-1", {"pv-2": second})) is same
    assert bool(another_disk("pv-1", first, second)) is not same


def test_a_disk_of_no_known_kind_is_nobodys():
    """Of a source that is not known nobody can say that it is the same disk."""
    odd = {"spec": {"someday": {"id": "x"}}}

    assert disk_of(odd) == ""
    assert disk_in_use(odd, "pv-1", {"pv-2": odd}) == ""


def test_a_local_disk_is_that_of_its_node():
    """One path on two machines is two disks."""

    def volume(node):
        term = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
        terms = [{"matchExpressions": [term]}]
        affinity = {"required": {"nodeSelectorTerms": terms}}
        return {"spec": {"local": {"path": "/x"}, "nodeAffinity": affinity}}

    assert disk_in_use(volume("a"), "pv-1", {"pv-2": volume("b")}) == ""
    assert disk_in_use(volume("a"), "pv-1", {"pv-1": volume("a")}) == ""
    assert disk_in_use(volume("a"), "pv-1", {"pv-2": volume("a")}) == (
        "conflict: that disk belongs to PV pv-2, bound to no claim"
    )
