"""A backup held against the cluster: what is there, whatever a restore would do."""

import json

import pytest

from definitions import definition
from kbackup._kits.workers import CancelToken
from kbackup.errors import BackupNotFoundError, InvalidSpecError, RunCancelledError
from kbackup.models import BackupOptions, LabelSelector, RestoreSpec
from kbackup.restore import RestoreEngine
from living_shop import LivingShop


def made(kind, name, namespace="shop", *, api_version="v1", metadata=None, **parts):
    """An object."""
    head = {"name": name, **(metadata or {})}
    if namespace:
        head["namespace"] = namespace
    return {"apiVersion": api_version, "kind": kind, "metadata": head, **parts}


def finished_job(name, **metadata):
    """A Job that is done."""
    return made(
        "Job",
        name,
        api_version="batch/v1",
        metadata=metadata,
        spec={"template": {"spec": {"containers": [], "restartPolicy": "Never"}}},
        status={"conditions": [{"type": "Complete", "status": "True"}]},
    )


def owned_by(kind, name, api_version="apps/v1"):
    """The metadata of what a controller made."""
    reference = {"apiVersion": api_version, "kind": kind, "name": name, "uid": "u"}
    return {"ownerReferences": [{**reference, "controller": True}]}


def grant(name, namespace):
    """A ClusterRoleBinding for the account ``web`` of a namespace."""
    account = {"kind": "ServiceAccount", "namespace": namespace, "name": "web"}
    return made(
        "ClusterRoleBinding",
        name,
        "",
        api_version="rbac.authorization.k8s.io/v1",
        roleRef={"kind": "ClusterRole", "name": "view"},
        subjects=[account],
    )


POD = {"containers": [{"name": "web", "image": "example.com/web:1"}]}
CLAIM = {
    "accessModes": ["ReadWriteOnce"],
    "resources": {"requests": {"storage": "1Gi"}},
}
WORKLOAD = {
    "selector": {"matchLabels": {"app": "web"}},
    "template": {"metadata": {"labels": {"app": "web"}}},
}


class World(LivingShop):
    """The shop, and an engine that compares it with what it was."""

    def __init__(self, simulated, cluster, store):
        """Load the shop."""
        super().__init__(simulated, cluster, store)
        self.engine = RestoreEngine(cluster, store)

    def compare(self, **wanted):
        """Compare ``b`` with the cluster."""
        return self.engine.compare("b", **wanted)

    def missing(self):
        """What only the backup has, as text."""
        return [str(ref) for ref in self.compare().removed]

    def new(self):
        """What only the cluster has, as text."""
        return [str(ref) for ref in self.compare().added]


@pytest.fixture
def world(simulated, tmp_path):
    """The shop, alive."""
    from kbackup.catalog import BackupStore  # noqa: PLC0415 - as the fixtures beside

    with (
        simulated.connect() as cluster,
        BackupStore.open(f"file://{tmp_path}/live") as store,
    ):
        yield World(simulated, cluster, store)


# --- the same, missing, changed, new --------------------------------------------------


def test_nothing_happened(world):
    """Of an untouched cluster everything is the same, and nothing was written."""
    world.back_up()
    revision = world.simulated.calls.total()
    writes = {"create", "update", "patch", "delete"}

    found = world.compare()

    assert found.is_empty
    assert found.same == 15  # with the ReplicaSet and its two Pods
    assert found.left_out == 0
    later = world.simulated.calls.total() - revision
    assert later > 0
    assert not any(call.split()[0] in writes for call in _calls_of(world))


def _calls_of(world):
    """What the comparison alone asks the server for."""
    before = world.simulated.calls.copy()
    world.compare()
    return world.simulated.calls - before


def test_what_was_deleted_changed_and_added(world):
    """Exactly what was deleted, changed and added is named."""
    world.back_up()
    world.delete("v1", "Service", "web")
    world.patch("ConfigMap", "settings", {"data": {"currency": "CHF"}})
    world.load(made("ConfigMap", "new", data={}))

    found = world.compare()

    assert [str(x) for x in found.removed] == ["services/shop/web"]
    assert [str(x) for x in found.added] == ["configmaps/shop/new"]
    [changed] = found.changed
    [difference] = changed.differences
    assert (difference.path, difference.op) == ("data.currency", "change")
    assert (difference.left, difference.right) == ("EUR", "CHF")
    assert found.same == 13
    assert "- services/shop/web\n+ configmaps/shop/new\n~ configmaps" in str(found)
    told = "1 removed, 1 added, 1 changed, 0 unknown, "
    assert repr(found).startswith(f"Difference({told}")
    html = found._repr_html_()
    assert html.splitlines()[1].startswith(f"<p><strong>{told}")
    for cell in ("removed<", "services/shop/web<", "changed<", "~ data.currency:"):
        assert f">{cell}" in html


def test_a_restored_shop_is_the_same(shop):
    """After a restore only the volume that it did not bring back is missing."""
    shop.engine.run("try-1", RestoreSpec(backup_name="shop-1"))

    found = shop.engine.compare("shop-1")

    assert [str(x) for x in found.removed] == ["persistentvolumes/pv-orders"]
    assert not found.changed
    assert not found.added


def test_a_changed_namespace(world):
    """A Namespace is never changed by a restore, and still compared."""
    world.back_up()
    world.patch("Namespace", "shop", {"metadata": {"labels": {"team": "b"}}}, "")

    [changed] = world.compare().changed

    assert str(changed.identifier) == "namespaces/shop"
    assert [x.path for x in changed.differences] == ["metadata.labels.team"]


def test_an_account_is_not_merged(world):
    """A label and a pull secret that only the live account has are differences."""
    world.back_up()
    patch = {
        "metadata": {"labels": {"more": "x"}},
        "imagePullSecrets": [{"name": "registry"}],
    }
    world.patch("ServiceAccount", "web", patch)

    [changed] = world.compare().changed

    paths = [(x.path, x.op) for x in changed.differences]
    assert paths == [("imagePullSecrets", "add"), ("metadata.labels", "add")]


def test_a_secret_differs_and_says_no_more(world):
    """Of a Secret the key that differs is told, and no value, old or new."""
    world.back_up()
    world.patch("Secret", "payment", {"data": {"api-key": "b3RoZXI="}})

    found = world.compare()

    told = f"{found}{found!r}{json.dumps(found.to_json())}"
    assert "data.api-key" in told
    assert "b3RoZXI=" not in told
    assert "bm90LWEtcmVhbC1rZXk=" not in told


# --- what a restore would not do ------------------------------------------------------


def test_a_lost_volume_is_missing(world):
    """A PersistentVolume that no restore would bring back is missing all the same."""
    world.back_up()
    world.delete("v1", "PersistentVolume", "pv-orders", "")

    assert world.missing() == ["persistentvolumes/pv-orders"]


def test_a_finished_job_is_missing_or_new(world):
    """A finished Job of the user counts, gone or come; one of a CronJob does not."""
    cron = made(
        "CronJob", "nightly", api_version="batch/v1", spec={"schedule": "@daily"}
    )
    nightly = owned_by("CronJob", "nightly", "batch/v1")
    world.load(cron, finished_job("import"), finished_job("nightly-1", **nightly))
    world.back_up()
    world.delete("batch/v1", "Job", "import")
    world.delete("batch/v1", "Job", "nightly-1")
    world.load(finished_job("export"), finished_job("nightly-2", **nightly))

    found = world.compare()

    assert [str(x) for x in found.removed] == ["jobs.batch/shop/import"]
    assert [str(x) for x in found.added] == ["jobs.batch/shop/export"]


def test_what_lies_in_kube_system_is_compared(world):
    """What somebody put into kube-system is missed like anything else."""
    world.load(made("ConfigMap", "proxy", "kube-system", data={}))
    world.back_up(included_namespaces=["kube-system"])
    world.delete("v1", "ConfigMap", "proxy", "kube-system")

    assert world.missing() == ["configmaps/kube-system/proxy"]


def test_a_claim_that_a_statefulset_keeps_is_missing(world):
    """A claim holds data: it is missed, though a StatefulSet would make an empty one."""
    keeper = made("StatefulSet", "db", api_version="apps/v1", spec=WORKLOAD)
    owner = owned_by("StatefulSet", "db")
    claim = made("PersistentVolumeClaim", "data-db-0", metadata=owner, spec=CLAIM)
    world.load(keeper, claim)
    world.back_up()
    world.delete("v1", "PersistentVolumeClaim", "data-db-0")

    assert "persistentvolumeclaims/shop/data-db-0" in world.missing()


# --- what comes and goes by itself ----------------------------------------------------


def test_what_a_controller_makes_is_left_out(world):
    """Other Pods and ReplicaSets of the same Deployment are nothing missing or new."""
    world.back_up()
    world.delete("v1", "Pod", "web-6d4b8c9f7-2fk8x")
    world.delete("apps/v1", "ReplicaSet", "web-6d4b8c9f7")
    owner = owned_by("Deployment", "web")
    world.load(
        made(
            "ReplicaSet", "web-2", api_version="apps/v1", metadata=owner, spec=WORKLOAD
        ),
        made("Pod", "web-2-x", metadata=owned_by("ReplicaSet", "web-2"), spec=POD),
    )

    assert world.compare().is_empty


def test_a_pod_of_a_controller_that_nobody_has(world):
    """A Pod counts where neither backup nor cluster have what it was made of."""
    world.back_up(included_namespaces=["shop"], included_resources=["pods"])
    world.delete("apps/v1", "Deployment", "web")
    assert world.simulated.objects("pods") == []

    assert len(world.missing()) == 2


def test_endpoints_follow_their_service(world):
    """Endpoints of a Service with a selector are left out, others are compared."""
    world.load(made("Endpoints", "web"), made("Endpoints", "by-hand"))
    world.back_up()
    world.delete("v1", "Endpoints", "web")
    world.delete("v1", "Endpoints", "by-hand")

    assert world.missing() == ["endpoints/shop/by-hand"]


def test_events_are_not_even_listed(world):
    """Events may be many and are never compared: no list of them is read."""
    world.load(made("Event", "started", involvedObject={"kind": "Pod", "name": "x"}))
    world.back_up()

    asked = _calls_of(world)

    assert "list events" not in asked
    assert "list secrets" in asked


# --- what is new ----------------------------------------------------------------------


def test_the_first_of_its_type_is_new(world):
    """An object of a type of which the backup has none is new where it looked."""
    world.back_up()
    spec = {"podSelector": {}}
    policy = {"api_version": "networking.k8s.io/v1", "spec": spec}
    world.load(
        made("NetworkPolicy", "deny", **policy),
        made("Namespace", "bank", ""),
        made("NetworkPolicy", "deny", "bank", **policy),
    )

    assert world.new() == ["networkpolicies.networking.k8s.io/shop/deny"]


def test_new_in_a_backup_of_the_whole_cluster(world):
    """A new namespace is new with all that is in it, unless a label keeps it out."""
    world.back_up(excluded_namespaces=["private"])
    kept_out = {"labels": {"velero.io/exclude-from-backup": "true"}}
    world.load(
        made("Namespace", "bank", ""),
        made("ConfigMap", "vault", "bank"),
        made("ConfigMap", "scratch", "bank", metadata=kept_out),
        made("Namespace", "private", ""),
        made("ConfigMap", "own", "private"),
        made("Namespace", "tmp", "", metadata=kept_out),
        made("ConfigMap", "tmp", "tmp"),
    )

    assert world.new() == ["configmaps/bank/vault", "namespaces/bank"]


def test_what_others_refer_to_makes_nothing_else_of_its_type_new(world):
    """Grants of a shop's accounts are compared; those of strangers are not new."""
    world.load(*(grant(f"shop-{n}", "shop") for n in range(4)))
    world.back_up()

    world.load(grant("stranger", "elsewhere"))

    assert world.new() == []


def test_what_the_selection_leaves_out_is_not_new(world):
    """With label selectors only an object with such labels can be new."""
    chosen = {"labels": {"app": "web"}}
    selector = LabelSelector(match_labels={"app": "web"})
    world.back_up(included_namespaces=["shop"], label_selector=selector)
    world.load(made("ConfigMap", "a", metadata=chosen), made("ConfigMap", "b"))

    assert world.new() == ["configmaps/shop/a"]


def test_what_is_being_deleted_is_not_new(world):
    """An object that only waits for its finalizer is on its way out, not new."""
    world.back_up()
    held = {"finalizers": ["example.com/hold"]}
    world.load(made("ConfigMap", "a", metadata=held), made("ConfigMap", "b"))
    world.delete("v1", "ConfigMap", "a")

    assert world.new() == ["configmaps/shop/b"]


def test_nothing_is_new_to_a_function(world):
    """What a function would have chosen is not known, so nothing is called new."""
    world.back_up(options=BackupOptions(where=lambda _item: True))
    world.load(made("ConfigMap", "new"))
    world.delete("v1", "Service", "web")

    assert world.new() == []
    assert world.missing() == ["services/shop/web"]


def test_a_backup_that_does_not_say_what_it_listed(make_shop):
    """Of a backup without lists, as Velero's, its types and namespaces count."""
    shop = make_shop([made("Namespace", "shop", ""), made("ConfigMap", "a")])
    shop.simulated.load(
        [
            made("Namespace", "shop", ""),
            made("Namespace", "bank", ""),
            *(made("ConfigMap", x) for x in ("a", "b")),
            made("ConfigMap", "c", "bank"),
            made("Secret", "s"),
        ]
    )

    found = shop.engine.compare("shop-1")

    assert [str(x) for x in found.added] == [
        "configmaps/shop/b",
        "namespaces/bank",
    ]
    assert found.same == 2


# --- what cannot be told --------------------------------------------------------------


def test_what_is_not_readable_is_unknown(world):
    """A type that may not be listed is unknown by its items, not missing."""
    world.back_up()
    world.simulated.faults.forbid(verb="list", resource="secrets")
    world.simulated.faults.forbid(verb="list", resource="ingresses.networking.k8s.io")

    found = world.compare()

    unknown = {str(ref): reason for ref, reason in found.unknown}
    assert set(unknown) == {
        "secrets/shop/payment",
        "ingresses.networking.k8s.io/shop/*",  # there may be new ones
    }
    assert all("not readable" in reason for reason in unknown.values())
    assert not found.is_empty
    assert found.removed == ()


def test_a_type_that_is_gone(world):
    """Where the cluster no longer has a type, definition and objects are missing."""
    world.back_up()
    crds = world.cluster.discover().resolve("customresourcedefinitions")
    world.cluster.delete(crds, "coupons.shop.example.com")

    assert world.missing() == [
        "coupons.shop.example.com/shop/spring-sale",
        "customresourcedefinitions.apiextensions.k8s.io/coupons.shop.example.com",
    ]


def test_an_object_of_two_groups_is_compared_once(make_shop):
    """What an old cluster stored under two groups is missing only where both are."""
    old, new = "extensions/v1beta1", "networking.k8s.io/v1"
    shop = make_shop()
    web = made("Ingress", "web", api_version=new)
    in_both = [made("Ingress", "web", api_version=old), web]
    alone = made("Ingress", "alone", api_version=old)
    shop.replace_backup([*in_both, alone], as_is=True)
    shop.simulated.load([made("Namespace", "shop", ""), web])

    found = shop.engine.compare("shop-1")

    assert [str(ref) for ref in found.removed] == [
        "ingresses.networking.k8s.io/shop/alone"
    ]
    assert found.unknown == ()


def test_another_version_is_not_compared(make_shop):
    """Objects of a version that the cluster does not serve are unknown or missing."""
    old = {"api_version": "example.com/v1beta1", "spec": {"size": 1}}
    shop = make_shop()
    widgets = [made("Widget", "a", **old), made("Widget", "b", **old)]
    shop.replace_backup(widgets, as_is=True)
    live = made("Widget", "a", api_version="example.com/v1", spec={"size": 1})
    served = definition("example.com", "widgets", "Widget")
    shop.simulated.load([made("Namespace", "shop", ""), served, live])

    found = shop.engine.compare("shop-1")

    [(ref, reason)] = found.unknown
    assert str(ref) == "widgets.example.com/shop/a"
    assert reason == (
        "backup shop-1 has example.com/v1beta1, cluster simulated has example.com/v1: "
        "only the metadata is compared"
    )
    assert [ref.name for ref in found.removed] == ["b"]


def test_no_such_backup(world):
    """A backup that is not there is an error that names it."""
    with pytest.raises(BackupNotFoundError, match="b"):
        world.compare()


def test_a_cancelled_comparison(world):
    """A comparison can be cancelled."""
    world.back_up()
    token = CancelToken()
    token.cancel("enough")

    with pytest.raises(RunCancelledError):
        world.engine.compare("b", cancel=token)


# --- selections -----------------------------------------------------------------------


def changed(found):
    """The names of what differs, as text."""
    return [str(item.identifier) for item in found.changed]


def test_only_some_of_it(world):
    """Namespaces, types and labels narrow a comparison, and what is asked for it."""
    world.load(made("Namespace", "bank", ""), made("ConfigMap", "vault", "bank"))
    world.back_up(included_namespaces=["*"])
    world.patch("ConfigMap", "vault", {"data": {"a": "2"}}, "bank")
    world.patch("ConfigMap", "settings", {"data": {"currency": "CHF"}})
    world.patch("Namespace", "bank", {"metadata": {"labels": {"team": "b"}}}, "")
    world.patch("Secret", "payment", {"metadata": {"labels": {"team": "b"}}})
    world.load(made("ConfigMap", "new", "bank"), made("ConfigMap", "new"))

    bank = world.compare(namespaces=["bank"])
    glob = world.compare(namespaces=["b?nk"])
    maps = world.compare(resources=["cm"])
    team = world.compare(selector=LabelSelector(match_labels={"team": "b"}))

    assert changed(bank) == ["configmaps/bank/vault", "namespaces/bank"]
    assert [str(x) for x in bank.added] == ["configmaps/bank/new"]
    assert changed(glob) == changed(bank)
    assert glob.added == bank.added
    assert changed(maps) == ["configmaps/bank/vault", "configmaps/shop/settings"]
    assert len(maps.added) == 2
    assert changed(team) == ["namespaces/bank", "secrets/shop/payment"]
    assert team.added == ()


def test_what_is_not_selected_is_not_read(world):
    """Whoever may read one namespace only can compare it, and no other is asked about."""
    world.load(made("Namespace", "bank", ""), made("ConfigMap", "vault", "bank"))
    world.back_up(included_namespaces=["*"])
    before = world.simulated.calls.copy()

    found = world.compare(namespaces=["bank"], resources=["configmaps"])

    asked = {call for call in world.simulated.calls - before if "list" in call}
    assert asked == {"list configmaps"}
    assert found.same == 1


def test_a_type_that_only_the_cluster_has(world):
    """A type of which the backup has no object can be named, by any of its names."""
    world.back_up()
    policy = {"api_version": "networking.k8s.io/v1", "spec": {"podSelector": {}}}
    world.load(made("NetworkPolicy", "deny", **policy))

    found = world.compare(resources=["netpol"])

    assert [str(x) for x in found.added] == [
        "networkpolicies.networking.k8s.io/shop/deny"
    ]
    assert found.same == 0


@pytest.mark.parametrize(
    ("wanted", "fact"),
    [
        ({"resources": ["secretz"]}, "neither side has a type 'secretz'"),
        ({"namespaces": ["shpo"]}, "neither side has one called 'shpo'"),
    ],
    ids=["type", "namespace"],
)
def test_a_slip_of_the_pen(world, wanted, fact):
    """A name that means nothing is refused: it must not look like no difference."""
    world.back_up()

    with pytest.raises(InvalidSpecError, match=fact):
        world.compare(**wanted)


def test_a_namespace_that_only_the_cluster_has(world):
    """A namespace that was made since can be named, and all of it is new."""
    world.back_up(included_namespaces=["*"])
    world.load(made("Namespace", "bank", ""), made("ConfigMap", "vault", "bank"))

    found = world.compare(namespaces=["bank"])

    assert [str(x) for x in found.added] == ["configmaps/bank/vault", "namespaces/bank"]


def test_a_copy_is_held_against_what_it_was_made_of(world):
    """A copy under another name equals the backup, until somebody changes it."""
    world.back_up()
    world.engine.run(
        "copy-1",
        RestoreSpec(backup_name="b", namespace_mapping={"shop": "copy"}),
    )
    wanted = {"namespaces": ["shop"], "namespace_mapping": {"shop": "copy"}}
    fresh = world.compare(**wanted)
    world.patch("ConfigMap", "settings", {"data": {"currency": "CHF"}}, "copy")
    world.delete("v1", "Secret", "payment", "copy")
    world.load(made("ConfigMap", "new", "copy"), made("ConfigMap", "other"))

    found = world.compare(**wanted)

    assert fresh.is_empty, str(fresh)
    assert changed(found) == ["configmaps/shop/settings"]
    assert str(found.changed[0].target) == "configmaps/copy/settings"
    assert [str(x) for x in found.removed] == ["secrets/shop/payment"]
    assert [str(x) for x in found.added] == ["configmaps/copy/new"]
