"""Which disk is behind a PersistentVolume."""

import pytest

from kbackup.restore._disks import disk_in_use, disk_of


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
