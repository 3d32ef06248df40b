"""Which disk is behind a PersistentVolume."""

import pytest

from kbackup.restore._plan.disks import (
    DiskUsers,
    LiveDisks,
    another_disk,
    are_one,
    disk_of,
    local_nodes,
)


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
    assert are_one(disk_of({"spec": one}), disk_of({"spec": two})) is same


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
        ({"local": {"path": "/srv/x"}}, {"hostPath": {"path": "/srv/x"}}, True),
        ({"local": {"path": "/srv/x"}}, {"nfs": {"path": "/srv/x"}}, False),
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
    assert bool(LiveDisks({"pv-2": second}).in_use(first, "pv-1")) is same
    assert bool(another_disk("pv-1", first, second)) is not same


GCE = "pd.csi.storage.gke.io"
NEW_ZONE = "topology.kubernetes.io/zone"
OLD_ZONE = "failure-domain.beta.kubernetes.io/zone"


def in_tree(label="", zone=""):
    """A volume over GCE disk ``d``, with a label that says its zone."""
    labels = {label: zone} if label else {}
    spec = {"gcePersistentDisk": {"pdName": "d"}}
    return {"metadata": {"labels": labels}, "spec": spec}


def by_driver(project, place):
    """The same by its CSI driver."""
    return {"spec": csi(GCE, f"projects/{project}/{place}/disks/d")}


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        (by_driver("UNSPECIFIED", "zones/a"), by_driver("p", "zones/a"), True),
        (by_driver("UNSPECIFIED", "zones/a"), by_driver("p", "zones/b"), False),
        (by_driver("p", "zones/UNSPECIFIED"), by_driver("p", "zones/a"), True),
        (by_driver("p", "zones/a"), by_driver("q", "zones/a"), False),
        (by_driver("p", "zones/a"), by_driver("p", "regions/a"), False),
        (in_tree(NEW_ZONE, "a"), by_driver("p", "zones/a"), True),
        (in_tree(NEW_ZONE, "a"), by_driver("UNSPECIFIED", "zones/a"), True),
        (in_tree(NEW_ZONE, "a"), by_driver("p", "zones/b"), False),
        (in_tree(OLD_ZONE, "a"), by_driver("p", "zones/b"), False),
        (in_tree(OLD_ZONE, "a"), in_tree(NEW_ZONE, "a"), True),
        (in_tree(NEW_ZONE, "a"), in_tree(NEW_ZONE, "b"), False),
        (in_tree(NEW_ZONE, "eu-1-a__eu-1-b"), by_driver("p", "regions/eu-1"), True),
        (in_tree(NEW_ZONE, "eu-1-a__eu-1-b"), by_driver("p", "zones/eu-1-a"), False),
        (in_tree(), by_driver("p", "zones/b"), True),
    ],
)
def test_a_gce_disk_is_that_of_its_zone(one, two, same):
    """What a volume does not say, the project above all, tells no two disks apart."""
    assert are_one(disk_of(one), disk_of(two)) is same
    assert are_one(disk_of(two), disk_of(one)) is same


def test_a_disk_of_no_known_kind_is_nobodys():
    """Of a source that is not known nobody can say that it is the same disk."""
    odd = {"spec": {"someday": {"id": "x"}}}

    assert disk_of(odd) is None
    assert LiveDisks({"pv-2": odd}).in_use(odd, "pv-1") == ""


HOST, ZONE_OF, NAME = (
    "kubernetes.io/hostname",
    "topology.kubernetes.io/zone",
    "metadata.name",
)


def asks(key, *values, operator="In"):
    """Return a term that asks a node for one of some values."""
    selector = "matchFields" if key == NAME else "matchExpressions"
    expression = {"key": key, "operator": operator, "values": list(values)}
    return {selector: [expression]}


def on(*terms, source="local"):
    """Return a volume of one path that is bound to nodes by alternative terms."""
    affinity = {"required": {"nodeSelectorTerms": list(terms)}}
    return {"spec": {source: {"path": "/x"}, "nodeAffinity": affinity}}


A, B = asks(HOST, "a"), asks(HOST, "b")


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        (on(A), on(A), True),
        (on(A), on(B), False),
        (on(A), on(asks(HOST, "a", "b")), True),
        (on(A), on(A, B), True),
        (on(A), on(B, asks(HOST, "c")), False),
        (on(A), on(B, asks(ZONE_OF, "z")), True),
        (on(asks(NAME, "a")), on(asks(NAME, "b")), False),
        (on(asks(NAME, "a")), on(asks(NAME, "a")), True),
        (on(A), on(asks(NAME, "b")), True),  # the label need not be the name
        (on(A | asks(NAME, "x")), on(asks(NAME, "y")), False),
        (on(asks(ZONE_OF, "z")), on(asks(ZONE_OF, "y")), False),
        (on(A), on(asks(HOST, "a", operator="NotIn")), True),
        (on(A), on(), True),
        (on(A), {"spec": {"hostPath": {"path": "/x"}}}, True),
        (on(A), on(A, source="hostPath"), True),
        (on(A), on(B, source="hostPath"), False),
    ],
)
def test_a_path_is_that_of_its_node(one, two, same):
    """One path is two disks only where no node can be meant by both volumes."""
    assert are_one(disk_of(one), disk_of(two)) is same
    assert are_one(disk_of(two), disk_of(one)) is same


def share(secret, **more):
    """Return a volume that is a share of Azure's, found by a Secret."""
    return {"spec": {"azureFile": {"shareName": "s", "secretName": secret, **more}}}


KEY = "azure-storage-account-{}-secret"


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        (share(KEY.format("one")), share(KEY.format("two")), False),
        (share(KEY.format("one")), share(KEY.format("one")), True),
        (
            share(KEY.format("one"), secretNamespace="a"),
            share(KEY.format("one"), secretNamespace="b"),
            True,
        ),
        (share(KEY.format("one")), share(KEY.format("one"), shareName="t"), False),
        # Whose account a Secret of another name is for, only its values tell.
        (share(KEY.format("one")), share("key"), True),
        (share("key"), share("other"), True),
    ],
)
def test_a_share_is_that_of_its_account(one, two, same):
    """Shares of one name are two only where the Secrets say two accounts."""
    assert are_one(disk_of(one), disk_of(two)) is same


@pytest.mark.parametrize(
    ("volume", "text"),
    [
        (on(asks(HOST, "b", "a")), "path /x of a, b"),
        ({"spec": {"hostPath": {"path": "/x"}}}, "path /x"),
        (share(KEY.format("one")), "azureFile s of one"),
        (
            {"spec": csi("pd.csi.storage.gke.io", ZONE.format("a"))},
            "csi pd.csi.storage.gke.io d of projects/p, zones/a",
        ),
    ],
)
def test_how_a_disk_is_told(volume, text):
    """A disk is named with what tells it from others of its name."""
    assert str(disk_of(volume)) == text


@pytest.mark.parametrize(
    ("volume", "nodes"),
    [
        (on(asks(HOST, "b"), A), {"a", "b"}),
        (on(asks(NAME, "a")), {"a"}),
        (on(A, asks(ZONE_OF, "z")), set()),
    ],
)
def test_the_nodes_of_a_volume(volume, nodes):
    """What every alternative asks for is known; else it may be any node."""
    assert local_nodes(volume) == nodes


def test_a_disk_that_another_volume_has():
    """It is a conflict that names that one; the volume itself is none."""
    assert LiveDisks({"pv-2": on(B)}).in_use(on(A), "pv-1") == ""
    assert LiveDisks({"pv-1": on(A)}).in_use(on(A), "pv-1") == ""
    assert LiveDisks({"pv-2": on(A)}).in_use(on(A), "pv-1") == (
        "conflict: that disk belongs to PV pv-2, bound to no claim"
    )


FEW_LOOKS = 2  # at its source and, for some kinds, at its nodes


class Watched(dict):
    """A volume that counts how often its source is looked at."""

    looks = 0

    def get(self, key, default=None):
        """Count the looks into the specification."""
        self.looks += key == "spec"
        return super().get(key, default)


def test_live_volumes_are_looked_at_once():
    """However many volumes ask for their disk, the target's are not gone through again."""
    live = {
        f"live-{i}": Watched({"spec": {"hostPath": {"path": f"/{i}"}}}) for i in "ab"
    }
    disks = LiveDisks(live)
    for i in range(20):
        disks.in_use({"spec": {"hostPath": {"path": f"/new/{i}"}}}, f"pv-{i}")

    looks = [volume.looks for volume in live.values()]
    assert max(looks) <= FEW_LOOKS
    assert disks.in_use({"spec": {"hostPath": {"path": "/a"}}}, "pv-a") == (
        "conflict: that disk belongs to PV live-a, bound to no claim"
    )


def test_a_volume_that_is_moved_to_another_disk_leaves_its_first_one():
    """A transform may point a volume elsewhere: the disk it had then is anybody's."""
    users = DiskUsers()
    users.add("pv-1", on(A))
    users.add("pv-1", on(B))

    assert users.other("pv-2", on(A)) == ""
    assert users.other("pv-2", on(B)) == "pv-1"


@pytest.mark.parametrize(
    "affinity",
    [
        [],
        {"required": {"nodeSelectorTerms": [1]}},
        {"required": {"nodeSelectorTerms": [{"matchExpressions": [1]}]}},
        {"required": {"nodeSelectorTerms": [{"matchExpressions": 1}]}},
    ],
    ids=range(4),
)
def test_an_affinity_that_is_none(affinity):
    """It names no node: an odd volume is no error of the whole plan."""
    odd = {"spec": {"hostPath": {"path": "/data"}, "nodeAffinity": affinity}}

    assert are_one(disk_of(odd), disk_of({"spec": {"hostPath": {"path": "/data"}}}))
