"""Two backups of one location held against each other."""

import io
import json
from pathlib import Path

import pytest

from kbackup._kits.differences import HIDDEN
from kbackup._kits.workers import CancelToken
from kbackup.archive import ArchiveWriter
from kbackup.catalog import BackupStore, Manifest
from kbackup.catalog.engine import Comparison
from kbackup.errors import (
    BackupDamagedError,
    BackupNotFoundError,
    InvalidSpecError,
    RunCancelledError,
)
from kbackup.models import (
    Backup,
    BackupOptions,
    BackupPhase,
    BackupStatus,
    Item,
    LabelSelector,
    ListRecord,
    ObjectMeta,
)
from kbackup.models import GroupResource as Type
from kbackup.testing import SimulatedCluster
from living_shop import LivingShop

POD = {"containers": [{"name": "web", "image": "example.com/web:1"}]}
LOST = "items of the backup cannot be read"
RBAC = "rbac.authorization.k8s.io/v1"


def made(kind, name, namespace="shop", *, api_version="v1", metadata=None, **parts):
    """An object."""
    head = {"name": name, **(metadata or {})}
    if namespace:
        head["namespace"] = namespace
    return {"apiVersion": api_version, "kind": kind, "metadata": head, **parts}


def owned_by(kind, name, api_version="apps/v1"):
    """The metadata of what a controller made."""
    reference = {"apiVersion": api_version, "kind": kind, "name": name, "uid": "u"}
    return {"ownerReferences": [{**reference, "controller": True}]}


@pytest.fixture
def world(tmp_path):
    """The shop, alive."""
    with (
        SimulatedCluster() as simulated,
        simulated.connect() as cluster,
        BackupStore.open(f"file://{tmp_path}/store") as store,
    ):
        yield LivingShop(simulated, cluster, store)


def put(store, name, *objects, listed=(), lists=None):
    """Publish a backup of objects as they are; *listed*: types read cluster-wide."""
    out = io.BytesIO()
    with ArchiveWriter(out, mtime=0) as archive:
        for resource, item in objects:
            archive.add(
                resource=resource,
                version=item["apiVersion"].rpartition("/")[2],
                namespace=item["metadata"].get("namespace", ""),
                name=item["metadata"]["name"],
                body=json.dumps(item).encode(),
            )
    records = [
        ListRecord(resource=Type.parse(each), version="v1", namespace="")
        for each in listed
    ]
    manifest = Manifest(items=archive.items, entries=archive.entries, lists=records)
    record = Backup(
        metadata=ObjectMeta(name=name, uid=f"uid-{name}"),
        status=BackupStatus(phase=BackupPhase.COMPLETED),
    )
    with store.claim(name, run_uid=f"uid-{name}") as claim:
        store.publish(claim, record, {f"{name}.tar.gz": out.getvalue()}, manifest)


def names(refs):
    """References as text."""
    return [str(ref) for ref in refs]


def paths(found):
    """Of each changed object the fields."""
    return {
        str(item.identifier): [difference.path for difference in item.differences]
        for item in found.changed
    }


# --- the same, removed, added, changed ------------------------------------------------


def test_two_backups_of_a_quiet_namespace(world):
    """Two backups of a namespace in which nothing happened differ in nothing."""
    world.back_up("a")
    world.back_up("b")

    found = world.store.diff("a", "b")

    assert found.is_empty, str(found)
    assert found.exit_code == 0
    assert found.same == len(list(world.store.open_archive("a")))
    assert (found.left, found.right) == ("backup a", "backup b")


def test_what_is_the_same_is_not_parsed(world, monkeypatch):
    """Objects that are the same byte for byte cost no parsing, whatever they are."""
    world.back_up("a", included_namespaces=["shop"], included_resources=["secrets"])
    world.back_up("b", included_namespaces=["shop"], included_resources=["secrets"])
    monkeypatch.setattr(Item, "content", property(lambda _item: pytest.fail("parsed")))

    assert world.store.diff("a", "b").same == 1


def test_known_changes(world):
    """Exactly what was removed, added and changed between two backups is named."""
    world.back_up("a")
    world.delete("v1", "Service", "web")
    world.load(made("ConfigMap", "new", data={}))
    world.patch("ConfigMap", "settings", {"data": {"currency": "CHF"}})
    world.patch("ServiceAccount", "web", {"metadata": {"labels": {"more": "x"}}})
    world.back_up("b")

    found = world.store.diff("a", "b")

    assert names(found.removed) == ["services/shop/web"]
    assert names(found.added) == ["configmaps/shop/new"]
    assert paths(found) == {
        "configmaps/shop/settings": ["data.currency"],
        "serviceaccounts/shop/web": ["metadata.labels"],
    }
    [change] = found.changed[0].differences
    assert (change.left, change.right) == ("EUR", "CHF")
    assert found.unknown == ()
    assert found.exit_code == 4


def test_the_other_way_round(world):
    """From the newer backup to the older one, removed and added change places."""
    world.back_up("a")
    world.delete("v1", "Service", "web")
    world.back_up("b")

    there, back = world.store.diff("a", "b"), world.store.diff("b", "a")

    assert there.removed == back.added != ()
    assert there.added == back.removed == ()


def test_what_servers_write_is_no_difference(world):
    """An object that was deleted and made again as it was is the same object."""
    world.back_up("a")
    settings = world.store.open_archive("a")
    [item] = [x for x in settings if str(x.identifier) == "configmaps/shop/settings"]
    world.delete("v1", "ConfigMap", "settings")
    again = item.content
    again["metadata"] = {"name": "settings", "namespace": "shop"} | {
        key: again["metadata"][key]
        for key in ("labels", "annotations")
        if key in again["metadata"]
    }
    world.load(again)
    world.back_up("b")

    assert world.store.diff("a", "b").is_empty


def test_no_value_of_a_secret(world):
    """Of a Secret the key that differs is told, and no value, in no output."""
    world.back_up("a")
    world.patch("Secret", "payment", {"data": {"api-key": "b3RoZXI="}})
    world.load(made("Secret", "gone", data={"k": "Z29uZQ=="}))
    world.back_up("b")

    found = world.store.diff("a", "b")

    assert paths(found) == {"secrets/shop/payment": ["data.api-key"]}
    assert found.changed[0].differences[0].right == HIDDEN
    shown = f"{found}{found!r}{json.dumps(found.to_json())}{found._repr_html_()}"
    assert "data.api-key" in shown
    for value in ("b3RoZXI=", "bm90LWEtcmVhbC1rZXk=", "Z29uZQ=="):
        assert value not in shown


def test_it_is_told_in_lines_and_rows(world):
    """People read a line for each object and field, programs a document of ours."""
    world.back_up("a")
    world.delete("v1", "Service", "web")
    world.patch("ConfigMap", "settings", {"data": {"currency": "CHF"}})
    world.back_up("b")

    found = world.store.diff("a", "b")

    lines = str(found).splitlines()
    assert lines[:4] == [
        "from backup a to backup b:",
        "- services/shop/web",
        "~ configmaps/shop/settings",
        "    ~ data.currency: 'EUR' -> 'CHF'",
    ]
    assert (
        lines[-1] == f"1 removed, 0 added, 1 changed, 0 unknown, {found.same} the same"
    )
    assert repr(found) == f"Difference({lines[-1]})"
    assert ">services/shop/web<" in found._repr_html_()
    document = found.to_json()
    assert document["kind"] == "Difference"
    assert document["removed"] == ["services/shop/web"]
    [changed] = document["changed"]
    assert changed["differences"] == [
        {"path": "data.currency", "op": "change", "from": "EUR", "to": "CHF"}
    ]


def test_backups_of_velero():
    """Backups that Velero wrote are compared like ours, without any manifest."""
    location = Path(__file__).parents[2] / "formats" / "velero-1.8.1"
    with BackupStore.open(location, read_only=True) as store:
        found = store.diff("till-1", "till-s")

    assert found.is_empty, str(found)
    assert found.same == 9
    assert found.not_covered == 2


# --- what comes and goes by itself ----------------------------------------------------


def test_what_controllers_make_is_left_out(world):
    """Other Pods and ReplicaSets of the same Deployment are nothing removed or added."""
    world.back_up("a")
    world.delete("v1", "Pod", "web-6d4b8c9f7-2fk8x")
    owner = owned_by("ReplicaSet", "web-6d4b8c9f7")
    world.load(made("Pod", "web-6d4b8c9f7-other", metadata=owner, spec=POD))
    world.back_up("b")

    found = world.store.diff("a", "b")

    assert found.is_empty, str(found)
    assert found.left_out == 2


def test_a_pod_of_which_neither_backup_has_the_maker(world):
    """A Pod counts where neither backup has what it was made of."""
    pods = {"included_namespaces": ["shop"], "included_resources": ["pods"]}
    world.back_up("a", **pods)
    world.delete("v1", "Pod", "web-6d4b8c9f7-2fk8x")
    world.back_up("b", **pods)

    found = world.store.diff("a", "b")

    assert names(found.removed) == ["pods/shop/web-6d4b8c9f7-2fk8x"]


def test_what_a_cluster_keeps_for_itself(world):
    """Events and published certificates are passed over, unless they are named."""
    involved = {"involvedObject": {"kind": "Pod", "name": "x"}}
    root = "kube-root-ca.crt"
    world.load(made("Event", "one", **involved), made("ConfigMap", root, data={}))
    world.back_up("a")
    world.delete("v1", "Event", "one")
    world.load(made("Event", "two", **involved))
    world.patch("ConfigMap", root, {"data": {"ca.crt": "x"}})
    world.back_up("b")

    found = world.store.diff("a", "b")
    named = world.store.diff("a", "b", resources=["events"])

    assert found.is_empty, str(found)
    assert found.left_out == 2  # the event of a, and the certificates
    assert names(named.removed) == ["events/shop/one"]
    assert names(named.added) == ["events/shop/two"]


# --- where the other did not look -----------------------------------------------------


def test_what_the_other_backup_did_not_look_for(world):
    """What only one backup was asked for is neither removed nor added, but counted."""
    world.load(made("Namespace", "bank", ""), made("ConfigMap", "vault", "bank"))
    world.back_up("a")
    world.back_up("b", included_namespaces=["shop", "bank"])

    there, back = world.store.diff("a", "b"), world.store.diff("b", "a")

    assert there.is_empty, str(there)
    assert back.is_empty, str(back)
    assert there.not_covered == back.not_covered == 2
    assert "2 where only one of them looked" in str(there)


def test_labels_that_the_other_backup_was_asked_for(world):
    """Of a backup with a selector nothing else is missing."""
    chosen = {"labels": {"app": "x"}}
    world.load(made("ConfigMap", "a", metadata=chosen), made("ConfigMap", "b"))
    world.back_up("a")
    world.delete("v1", "ConfigMap", "a")
    selector = LabelSelector(match_labels={"app": "x"})
    world.back_up("b", included_namespaces=["shop"], label_selector=selector)

    found = world.store.diff("a", "b")

    assert names(found.removed) == ["configmaps/shop/a"]
    assert found.not_covered > 0


def test_a_backup_by_a_function_lacks_nothing(world):
    """What a function would have chosen is not known, so nothing is missing in it."""
    world.back_up("a")
    world.back_up("b", BackupOptions(where=lambda item: item["kind"] == "Secret"))

    found = world.store.diff("a", "b")

    assert found.removed == ()
    assert found.not_covered > 0


def test_the_first_of_its_type(world):
    """An object of a type of which the first backup has none is added."""
    world.back_up("a")
    policy = "networking.k8s.io/v1"
    spec = {"podSelector": {}}
    world.load(made("NetworkPolicy", "deny", api_version=policy, spec=spec))
    world.back_up("b")

    found = world.store.diff("a", "b")

    assert names(found.added) == ["networkpolicies.networking.k8s.io/shop/deny"]


# --- selections -----------------------------------------------------------------------


def _changed_everywhere(world):
    """Two backups with a change of each kind in two namespaces."""
    world.load(
        made("Namespace", "bank", ""),
        made("ConfigMap", "vault", "bank", data={"a": "1"}),
    )
    world.back_up("a", included_namespaces=["*"])
    world.patch("ConfigMap", "vault", {"data": {"a": "2"}}, "bank")
    world.patch("ConfigMap", "settings", {"data": {"currency": "CHF"}})
    world.patch("Namespace", "bank", {"metadata": {"labels": {"team": "b"}}}, "")
    world.patch(
        "PersistentVolume", "pv-orders", {"metadata": {"labels": {"x": "y"}}}, ""
    )
    world.patch("Secret", "payment", {"data": {"more": "b3RoZXI="}})
    world.back_up("b", included_namespaces=["*"])


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (
            {"namespaces": ["bank"]},
            ["configmaps/bank/vault", "namespaces/bank"],
        ),
        (
            {"namespaces": ["sh*"]},
            ["configmaps/shop/settings", "secrets/shop/payment"],
        ),
        (
            {"resources": ["cm", "PersistentVolume"]},
            [
                "configmaps/bank/vault",
                "configmaps/shop/settings",
                "persistentvolumes/pv-orders",
            ],
        ),
        (
            {"resources": ["configmaps"], "namespaces": ["shop"]},
            ["configmaps/shop/settings"],
        ),
        (
            {"selector": LabelSelector(match_labels={"team": "b"})},
            ["namespaces/bank"],
        ),
    ],
    ids=["namespace", "glob", "types", "both", "labels"],
)
def test_selection(world, wanted, expected):
    """Namespaces, types and labels narrow a comparison; labels of either side count."""
    _changed_everywhere(world)

    found = world.store.diff("a", "b", **wanted)

    assert list(paths(found)) == expected
    assert found.unknown == found.removed == found.added == ()


def test_a_selector_counts_only_what_it_selects(world):
    """With labels the number of equal objects is that of those with such labels."""
    world.back_up("a")
    world.back_up("b")

    found = world.store.diff("a", "b", selector=LabelSelector.parse("app=web"))
    labelled = [
        item
        for item in world.store.open_archive("a")
        if (item.content["metadata"].get("labels") or {}).get("app") == "web"
    ]

    assert found.same == len(labelled) > 0


@pytest.mark.parametrize(
    ("wanted", "fact", "hint"),
    [
        ({"resources": ["secretz"]}, "neither side has a type 'secretz'", "secrets"),
        ({"redact": ["secretz"]}, "neither side has a type 'secretz'", "secrets"),
        ({"namespaces": ["shpo"]}, "neither side has one called 'shpo'", "shop"),
        ({"namespace_mapping": {"shpo": "x"}}, "has no namespace 'shpo'", "shop"),
        ({"namespaces": ["a,b"]}, "which no pattern may", ""),
    ],
    ids=["type", "redact", "namespace", "mapping", "pattern"],
)
def test_a_slip_of_the_pen(world, wanted, fact, hint):
    """A name that means nothing is refused: it must not look like no difference."""
    world.back_up("a")

    with pytest.raises(InvalidSpecError, match=fact) as refused:
        world.store.diff("a", "a", **wanted)

    assert hint in (refused.value.hint or "")


@pytest.mark.parametrize("redact", [["cm"], ["*"]], ids=["type", "all"])
def test_types_whose_values_are_not_shown(world, redact):
    """Values of types that the user names are shown no more than those of Secrets."""
    _changed_everywhere(world)

    found = world.store.diff("a", "b", redact=redact)

    shown = {str(item.identifier): f"{item.to_json()}" for item in found.changed}
    settings = shown["configmaps/shop/settings"]
    assert HIDDEN in settings
    assert "EUR" not in settings
    assert (HIDDEN in shown["persistentvolumes/pv-orders"]) == (redact == ["*"])


@pytest.mark.parametrize("kind", ["Secret", "Other"])
def test_what_lies_among_the_secrets(world, kind):
    """What an archive has below secrets shows no value, whatever it calls itself."""
    for name, value in (("a", "b25l"), ("b", "dHdv")):
        put(world.store, name, ("secrets", made(kind, "x", data={"k": value})))

    found = world.store.diff("a", "b")

    assert paths(found) == {"secrets/shop/x": ["data.k"]}
    assert "b25l" not in f"{found.to_json()}"
    assert "dHdv" not in f"{found.to_json()}"


@pytest.mark.parametrize("name", ["namespaces", "resources", "redact"])
def test_a_text_instead_of_names(world, name):
    """A text in the place of a list is refused, and not taken for its letters."""
    with pytest.raises(TypeError, match=name):
        world.store.diff("a", "b", **{name: "shop"})


def test_no_such_backup(world):
    """A backup that is not there is an error that names it."""
    world.back_up("a")

    with pytest.raises(BackupNotFoundError, match="nowhere"):
        world.store.diff("a", "nowhere")


# --- namespaces under other names -----------------------------------------------------


def _binding(namespace, kind="RoleBinding"):
    """A binding for an account of a namespace."""
    account = {"kind": "ServiceAccount", "namespace": namespace, "name": "web"}
    return made(
        kind,
        "view",
        namespace if kind == "RoleBinding" else "",
        api_version=RBAC,
        roleRef={"kind": "ClusterRole", "name": "view"},
        subjects=[account],
    )


def _of_namespace(namespace, **settings):
    """A few objects of a namespace, with their types."""
    claim = {"namespace": namespace, "name": "data"}
    kept = {"capacity": {"storage": "1Gi"}, "claimRef": claim}
    return [
        ("namespaces", made("Namespace", namespace, "")),
        ("configmaps", made("ConfigMap", "settings", namespace, data=settings)),
        ("rolebindings.rbac.authorization.k8s.io", _binding(namespace)),
        ("persistentvolumes", made("PersistentVolume", "pv", "", spec=kept)),
        (
            "clusterrolebindings.rbac.authorization.k8s.io",
            _binding(namespace, "ClusterRoleBinding"),
        ),
    ]


def test_a_renamed_namespace(world):
    """A copy is held against what it was made of, with what points into it."""
    put(world.store, "a", *_of_namespace("shop", mode="x"))
    put(world.store, "b", *_of_namespace("copy", mode="y"))
    mapping = {"shop": "copy"}

    found = world.store.diff("a", "b", namespace_mapping=mapping)

    assert paths(found) == {"configmaps/shop/settings": ["data.mode"]}
    assert str(found.changed[0].target) == "configmaps/copy/settings"
    assert "~ configmaps/shop/settings -> copy/settings" in str(found)
    assert found.to_json()["changed"][0]["target"] == "configmaps/copy/settings"
    assert found.removed == found.added == ()
    assert found.same == 4


def test_what_still_points_to_the_old_name(world):
    """A binding that was not renamed differs, though it is the same byte for byte."""
    binding = "clusterrolebindings.rbac.authorization.k8s.io"
    grant = (binding, _binding("shop", "ClusterRoleBinding"))
    put(world.store, "a", grant, ("configmaps", made("ConfigMap", "x")))
    put(world.store, "b", grant, ("configmaps", made("ConfigMap", "x", "copy")))

    found = world.store.diff("a", "b", namespace_mapping={"shop": "copy"})

    assert paths(found) == {f"{binding}/view": ["subjects[web].namespace"]}


def test_what_only_one_of_them_has_of_a_renamed_namespace(world):
    """Removed objects go by their old names, added ones by their new ones."""
    everything = ["namespaces", "configmaps"]
    shop = [("configmaps", made("ConfigMap", x)) for x in ("a", "b")]
    copy = [("configmaps", made("ConfigMap", x, "copy")) for x in ("b", "c")]
    left = ("configmaps", made("ConfigMap", "left"))
    put(world.store, "a", *shop, listed=everything)
    put(world.store, "b", *copy, left, listed=everything)

    found = world.store.diff("a", "b", namespace_mapping={"shop": "copy"})

    assert names(found.removed) == ["configmaps/shop/a"]
    assert names(found.added) == ["configmaps/copy/c"]
    assert found.same == 1


def test_within_one_backup(world):
    """Two namespaces of one backup are compared, once one of them is chosen."""
    both = [*_of_namespace("shop", mode="x")[:2], *_of_namespace("copy", mode="y")[:2]]
    put(world.store, "a", *both)
    mapping = {"shop": "copy"}

    with pytest.raises(InvalidSpecError, match="copy and shop would both be copy"):
        world.store.diff("a", "a", namespace_mapping=mapping)
    found = world.store.diff("a", "a", namespaces=["shop"], namespace_mapping=mapping)

    assert paths(found) == {"configmaps/shop/settings": ["data.mode"]}


# --- what cannot be told --------------------------------------------------------------


def _budgets(version, name, **labels):
    """A budget, in one of its versions."""
    version = f"policy/{version}"
    metadata = {"labels": {"app": "web", **labels}}
    return (
        "poddisruptionbudgets.policy",
        made(
            "PodDisruptionBudget",
            name,
            api_version=version,
            metadata=metadata,
            spec={"selector": {}},
        ),
    )


def test_another_version_of_a_type(world):
    """Of a type stored in two versions the metadata is compared, the rest unknown."""
    old, new = "v1beta1", "v1"
    put(world.store, "a", *(_budgets(old, name) for name in ("x", "y")))
    put(world.store, "b", _budgets(new, "x"), _budgets(new, "y", tier="front"))

    found = world.store.diff("a", "b")

    reasons = {str(ref): reason for ref, reason in found.unknown}
    assert reasons == dict.fromkeys(
        (
            "poddisruptionbudgets.policy/shop/x",
            "poddisruptionbudgets.policy/shop/y",
        ),
        "backup a has policy/v1beta1, backup b has policy/v1: "
        "only the metadata is compared",
    )
    assert paths(found) == {
        "poddisruptionbudgets.policy/shop/y": ["metadata.labels.tier"]
    }
    assert found.exit_code == 3


def test_many_of_another_version_are_told_once(world):
    """What holds for all objects of a type is one line, not one for each."""
    put(world.store, "a", *(_budgets("v1beta1", f"x{n}") for n in range(9)))
    put(world.store, "b", *(_budgets("v1", f"x{n}") for n in range(9)))

    found = world.store.diff("a", "b")

    assert len(found.unknown) == 9
    [line] = [line for line in str(found).splitlines() if line.startswith("?")]
    assert line.startswith("? 9 poddisruptionbudgets.policy in shop: backup a has")


def test_an_object_of_two_groups(world):
    """What an old cluster stored under two groups is compared once."""
    old, new = "extensions/v1beta1", "networking.k8s.io/v1"
    twins = [
        ("ingresses.extensions", made("Ingress", "web", api_version=old)),
        ("ingresses.networking.k8s.io", made("Ingress", "web", api_version=new)),
    ]
    alone = ("ingresses.extensions", made("Ingress", "alone", api_version=old))
    listed = ["ingresses.extensions", "ingresses.networking.k8s.io"]
    put(world.store, "a", *twins, alone, listed=listed)
    put(world.store, "b", twins[1], listed=listed)

    found = world.store.diff("a", "b")

    assert names(found.removed) == ["ingresses.extensions/shop/alone"]
    assert (found.same, found.left_out) == (1, 1)
    assert found.unknown == found.added == ()


def test_an_object_of_two_groups_and_of_one(world):
    """Where the other backup has the older group only, that is what is compared."""
    old, new = "extensions/v1beta1", "networking.k8s.io/v1"
    older = ("ingresses.extensions", made("Ingress", "web", api_version=old))
    newer = ("ingresses.networking.k8s.io", made("Ingress", "web", api_version=new))
    put(world.store, "a", older, newer, listed=["ingresses.extensions"])
    changed = {"labels": {"a": "b"}}
    web = made("Ingress", "web", api_version=old, metadata=changed)
    put(world.store, "b", ("ingresses.extensions", web))

    found = world.store.diff("a", "b")

    assert paths(found) == {"ingresses.extensions/shop/web": ["metadata.labels"]}


def test_an_object_that_is_none(world):
    """Of what cannot be compared nobody says that it is the same, or that it is not."""
    odd = made("Pod", "odd", spec=POD) | {
        "metadata": {"name": "odd", "namespace": "shop"}
    }
    odd["metadata"]["ownerReferences"] = ["x"]
    put(world.store, "a", ("pods", odd))
    put(world.store, "b", ("pods", made("Pod", "odd", spec=POD)))

    found = world.store.diff("a", "b")

    [(ref, reason)] = found.unknown
    assert str(ref) == "pods/shop/odd"
    assert "not as Kubernetes has it" in reason


# --- damaged backups, and an early end ------------------------------------------------


def many(store, name, *, number=400, key="a"):
    """A backup of ConfigMaps large enough that half of it is still something."""
    items = [
        made("ConfigMap", f"m{n:03}", data={"key": f"{key}{n}" * 20})
        for n in range(number)
    ]
    put(
        store,
        name,
        *(("configmaps", item) for item in items),
        listed=("configmaps",),
    )


def damage(tmp_path, name):
    """Change a byte in the middle of a backup's archive."""
    path = tmp_path / f"store/backups/{name}/{name}.tar.gz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize("damaged", ["a", "b"])
def test_a_damaged_backup_is_compared_as_far_as_it_goes(tmp_path, damaged):
    """What it lacks may have been lost: that is no difference, and the answer not whole."""
    with BackupStore.open(f"file://{tmp_path}/store") as store:
        many(store, "a")
        many(store, "b", key="b")
        damage(tmp_path, damaged)

        with pytest.raises(BackupDamagedError):
            store.diff("a", "b")
        found = store.diff("a", "b", salvage=True)

    assert found.changed
    assert len(found.changed) < 400
    assert not found.removed + found.added
    assert found.not_covered >= 390 - len(found.changed)
    assert found.exit_code == 3
    assert f"backup {damaged} is damaged: " in str(found)
    assert f" of 400 {LOST}" in "\n".join(found.damage)
    assert found.to_json()["damage"] == list(found.damage)


def test_whole_backups_are_compared_as_ever(tmp_path):
    """Of two whole backups it makes no difference that damaged ones would be read."""
    with BackupStore.open(f"file://{tmp_path}/store") as store:
        many(store, "a", number=3)
        many(store, "b", number=2)

        assert store.diff("a", "b", salvage=True) == store.diff("a", "b")


def test_a_cancel_ends_a_comparison(tmp_path, monkeypatch):
    """Also in the middle of the items, and nothing is returned as if it were whole."""
    token, seen = CancelToken(), []
    meet = Comparison.meet

    def meet_and_cancel(self, item, body):
        seen.append(item)
        token.cancel("enough")
        meet(self, item, body)

    monkeypatch.setattr(Comparison, "meet", meet_and_cancel)
    with BackupStore.open(f"file://{tmp_path}/store") as store:
        many(store, "a", number=3)
        with pytest.raises(RunCancelledError, match="enough"):
            store.diff("a", "a", cancel=token)

    assert len(seen) == 1
