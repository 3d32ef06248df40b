"""Which objects of a cluster end up in a backup."""

import pytest

from kbackup.errors import InvalidSpecError
from kbackup.models import BackupOptions, BackupPhase, LabelSelector
from parameter_ids import told

SHOP_ITEMS = [
    "configmaps/shop/settings",
    "coupons.shop.example.com/shop/spring-sale",
    "customresourcedefinitions.apiextensions.k8s.io/coupons.shop.example.com",
    "deployments.apps/shop/web",
    "namespaces/shop",
    "persistentvolumeclaims/shop/orders",
    "persistentvolumes/pv-orders",
    "pods/shop/web-6d4b8c9f7-2fk8x",
    "pods/shop/web-6d4b8c9f7-9qv4r",
    "replicasets.apps/shop/web-6d4b8c9f7",
    "rolebindings.rbac.authorization.k8s.io/shop/web",
    "roles.rbac.authorization.k8s.io/shop/web",
    "secrets/shop/payment",
    "serviceaccounts/shop/web",
    "services/shop/web",
]


def test_one_namespace(scene):
    """All that is in a namespace, its Namespace, and the definition of what it uses."""
    scene.load_shop()
    scene.load(scene.secret("other", "bank"))

    result = scene.back_up(included_namespaces=["shop"])

    assert scene.stored() == SHOP_ITEMS
    assert result.backup.status.phase is BackupPhase.COMPLETED
    assert result.backup.status.progress.items_backed_up == len(SHOP_ITEMS)
    assert result.exit_code == 0
    assert scene.store.verify("b").problems == ()


def test_the_whole_cluster(scene):
    """Without any filter everything storable is stored, cluster-scoped types too."""
    scene.load_shop()

    scene.back_up()

    found = scene.stored()
    assert set(SHOP_ITEMS) < set(found)
    assert "storageclasses.storage.k8s.io/standard" in found
    assert "namespaces/kube-system" in found


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"included_namespaces": ["a"]}, {"a"}),
        ({"included_namespaces": ["a", "b1"]}, {"a", "b1"}),
        ({"included_namespaces": ["b*"]}, {"b1", "b2"}),
        ({"included_namespaces": ["b?"], "excluded_namespaces": ["b2"]}, {"b1"}),
        ({"excluded_namespaces": ["b*"]}, {"a"}),
        ({"included_namespaces": ["*"]}, {"a", "b1", "b2"}),
    ],
    ids=told,
)
def test_namespaces_and_wildcards(scene, spec, expected):
    """Includes and excludes of namespaces take names and wildcards."""
    scene.load(*(scene.secret("s", namespace) for namespace in ("a", "b1", "b2")))

    scene.back_up(**spec)

    found = scene.stored()
    assert {text.split("/")[1] for text in found if "secrets" in text} == expected
    assert {f"namespaces/{name}" for name in expected} <= set(found)


def test_label_selectors(scene):
    """A selector chooses items; the namespace they are in comes along, others not."""
    scene.load(
        scene.secret("web", labels={"app": "web"}),
        scene.secret("db", labels={"app": "db"}),
        scene.secret("idle", "idle"),
    )

    scene.back_up(label_selector=LabelSelector.parse("app=web"))

    assert scene.stored() == ["namespaces/shop", "secrets/shop/web"]


def test_any_of_several_selectors(scene):
    """An item that two selectors fit is stored once, and the sums still hold."""
    scene.load(
        scene.secret("both", labels={"app": "web", "tier": "front"}),
        scene.secret("one", labels={"tier": "front"}),
        scene.secret("none"),
    )

    result = scene.back_up(
        included_namespaces=["shop"],
        or_label_selectors=[
            LabelSelector.parse("app=web"),
            LabelSelector.parse("tier in (front)"),
        ],
    )

    assert scene.stored() == [
        "namespaces/shop",
        "secrets/shop/both",
        "secrets/shop/one",
    ]
    secrets = [r for r in result.report.lists if r.resource.resource == "secrets"]
    assert [(r.listed, r.stored, dict(r.skipped)) for r in secrets] == [
        (1, 1, {}),
        (2, 1, {"selected twice": 1}),
    ]
    assert result.backup.status.phase is BackupPhase.COMPLETED


@pytest.mark.parametrize("includes", [["priv*", "shop"], ["private", "shop"]], ids=str)
def test_a_labelled_namespace_is_not_even_listed(scene, includes):
    """What its owner keeps out is kept out by whichever name the namespace is included."""
    label = {"velero.io/exclude-from-backup": "true"}
    scene.load(
        scene.made("Namespace", "private", metadata={"labels": label}),
        scene.secret("inside", "private"),
        scene.secret("kept"),
    )

    result = scene.back_up(included_namespaces=includes)

    assert scene.stored() == ["namespaces/shop", "secrets/shop/kept"]
    assert "private" not in {each.namespace for each in result.report.lists}


def test_objects_that_their_owner_keeps_out(scene):
    """The exclude label keeps out an object, or with a Namespace all that is in it."""
    label = {"velero.io/exclude-from-backup": "true"}
    scene.load(
        scene.made("Namespace", "private", metadata={"labels": label}),
        scene.secret("inside", "private"),
        scene.secret("kept"),
        scene.secret("left", labels=label),
    )

    result = scene.back_up(included_resources=["secrets", "namespaces"])

    found = scene.stored()
    assert "secrets/shop/kept" in found
    assert "secrets/shop/left" not in found
    assert not [text for text in found if "private" in text]
    secrets = next(r for r in result.report.lists if str(r.resource) == "secrets")
    assert dict(secrets.skipped) == {
        "excluded by label": 1,
        "namespace not selected": 1,
    }


def test_a_label_on_a_namespace_costs_nothing_cluster_scoped(scene):
    """A namespace kept out by its label does not empty a backup of the whole cluster."""
    label = {"velero.io/exclude-from-backup": "true"}
    scene.load(
        scene.made("Namespace", "private", metadata={"labels": label}),
        scene.made(
            "StorageClass", "fast", api_version="storage.k8s.io/v1", provisioner="x"
        ),
    )

    result = scene.back_up()

    assert "private" in result.backup.spec.excluded_namespaces
    assert "storageclasses.storage.k8s.io/fast" in scene.stored()


def test_a_named_namespace_with_the_exclude_label(scene):
    """Naming a namespace does not overrule its owner's label."""
    label = {"velero.io/exclude-from-backup": "true"}
    scene.load(
        scene.made("Namespace", "private", metadata={"labels": label}),
        scene.secret("inside", "private"),
    )

    result = scene.back_up(included_namespaces=["private"])

    assert scene.stored() == []
    assert result.exit_code == 3


def test_objects_that_are_being_deleted(scene):
    """What has a deletion timestamp is not stored and is counted as skipped."""
    scene.load(scene.secret("going", finalizers=["example.com/wait"]))
    scene.load(scene.secret("staying"))
    secrets = scene.cluster.discover().resolve("secrets")
    scene.cluster.delete(secrets, "going", namespace="shop")

    result = scene.back_up(included_resources=["secrets"])

    assert scene.stored() == ["secrets/shop/staying"]
    record = next(r for r in result.report.lists if str(r.resource) == "secrets")
    assert dict(record.skipped) == {"being deleted": 1}


def test_a_definition_comes_with_its_custom_resources(scene):
    """Naming only the custom type, or a label that only its objects have, is enough."""
    scene.load(scene.definition("widgets", "Widget"), scene.definition("nuts", "Nut"))
    scene.load(scene.made("Widget", "w", "shop", api_version="example.com/v1"))

    scene.back_up(included_namespaces=["shop"], included_resources=["widgets"])

    assert scene.stored() == [
        "customresourcedefinitions.apiextensions.k8s.io/widgets.example.com",
        "widgets.example.com/shop/w",
    ]


@pytest.mark.parametrize(
    "spec",
    [{"excluded_resources": ["crds"]}, {"include_cluster_resources": False}],
    ids=str,
)
def test_a_definition_that_was_excluded_is_missed(scene, spec):
    """Custom resources without their definition are a gap that the result names."""
    scene.load(scene.definition("widgets", "Widget"))
    scene.load(scene.made("Widget", "w", "shop", api_version="example.com/v1"))

    result = scene.back_up(included_namespaces=["shop"], **spec)

    assert "widgets.example.com/shop/w" in scene.stored()
    missing = [str(each.refers_to) for each in scene.store.manifest("b").missing]
    assert missing == [
        "customresourcedefinitions.apiextensions.k8s.io/widgets.example.com"
    ]
    assert any("widgets.example.com" in str(each) for each in result.results.warnings)


CLAIM = {
    "volumeName": "pv-1",
    "storageClassName": "",
    "accessModes": ["ReadWriteOnce"],
    "resources": {"requests": {"storage": "1Gi"}},
}
VOLUME = {
    "capacity": {"storage": "1Gi"},
    "accessModes": ["ReadWriteOnce"],
    "hostPath": {"path": "/data"},
}


def _load_bound_claim(scene):
    """Put a bound claim, its volume and a Pod that uses it into the cluster."""
    scene.load(
        scene.made("PersistentVolume", "pv-1", spec=VOLUME),
        scene.made("PersistentVolumeClaim", "data", "shop", spec=CLAIM),
    )
    claims = scene.cluster.discover().resolve("pvc")
    patch = {"status": {"phase": "Bound"}}
    scene.cluster.patch(claims, "data", patch, namespace="shop", subresource="status")
    volume = {"name": "v", "persistentVolumeClaim": {"claimName": "data"}}
    spec = {"containers": [{"name": "c", "image": "i"}], "volumes": [volume]}
    scene.load(scene.made("Pod", "web", "shop", spec=spec))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, True),
        ({"included_resources": ["pods", "pvc"]}, False),
        ({"included_resources": ["pods", "pvc", "pv"]}, True),
        ({"included_namespace_scoped_resources": ["pods", "pvc"]}, True),
        ({"include_cluster_resources": False}, False),
        ({"excluded_resources": ["pv"]}, False),
    ],
    ids=str,
)
def test_the_volume_of_a_bound_claim(scene, spec, expected):
    """A claim's volume comes along from outside the namespace unless filtered out."""
    _load_bound_claim(scene)

    scene.back_up(included_namespaces=["shop"], **spec)

    found = scene.stored()
    assert "persistentvolumeclaims/shop/data" in found
    assert ("persistentvolumes/pv-1" in found) is expected


def test_what_a_selected_pod_needs(scene):
    """Selectors do not count for what a selected object needs, nor does `where`."""
    _load_bound_claim(scene)
    pods = scene.cluster.discover().resolve("pods")
    label = {"metadata": {"labels": {"app": "web"}}}
    scene.cluster.patch(pods, "web", label, namespace="shop")

    scene.back_up(
        included_namespaces=["shop"],
        label_selector=LabelSelector.parse("app=web"),
        options=BackupOptions(where=lambda item: item["kind"] == "Pod"),
    )

    assert scene.stored() == [
        "namespaces/shop",
        "persistentvolumeclaims/shop/data",
        "persistentvolumes/pv-1",
        "pods/shop/web",
    ]


def test_claims_are_recorded_as_without_data(scene):
    """The manifest has a record for each claim, and there is one warning."""
    _load_bound_claim(scene)

    result = scene.back_up(included_namespaces=["shop"])

    volumes = scene.store.manifest("b").volumes
    assert [(v.claim, v.volume, v.data) for v in volumes] == [
        ("shop/data", "pv-1", "none")
    ]
    assert [str(each) for each in result.results.warnings] == [
        "1 volume has no data in this backup: shop/data"
    ]


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("snapshot_volumes", "snapshotVolumes"),
        ("snapshot_move_data", "snapshotMoveData"),
        ("default_volumes_to_fs_backup", "defaultVolumesToFsBackup"),
    ],
)
def test_data_that_were_asked_for_and_are_not_there(scene, field, told):
    """Who asks for the data of volumes gets no Completed backup without them."""
    _load_bound_claim(scene)

    result = scene.back_up(included_namespaces=["shop"], **{field: True})

    reason = f"1 volume has no data in this backup: shop/data (asked for with {told})"
    assert [each.message for each in result.results.errors] == [
        f"not covered: persistentvolumeclaims: {reason}"
    ]
    assert result.backup.status.phase == "PartiallyFailed"
    assert [each.reason for each in scene.store.manifest("b").not_covered] == [reason]


def fails_for_settings(item):
    """Choose everything but what it cannot cope with."""
    if item["metadata"]["name"] == "settings":
        raise ValueError
    return True


def test_what_failed_is_not_covered(scene):
    """The manifest, and with it every plan, says that some of a type are missing."""
    scene.load_shop()

    scene.back_up(
        included_namespaces=["shop"], options=BackupOptions(where=fails_for_settings)
    )

    gaps = [str(each) for each in scene.store.manifest("b").not_covered]
    reason = "failed, each for the reason that the results give"
    assert gaps == [f"configmaps in shop (1): {reason}"]


def only_small(item):
    """Want what is labelled small."""
    return item["metadata"].get("labels", {}).get("size") == "small"


def test_a_selection_by_function(scene):
    """`where` is recorded by name and count and keeps definitions and Namespaces."""
    scene.load(scene.definition("widgets", "Widget"), scene.secret("big"))
    for name, size in (("s", "small"), ("l", "large")):
        metadata = {"labels": {"size": size}}
        scene.load(
            scene.made(
                "Widget", name, "shop", api_version="example.com/v1", metadata=metadata
            )
        )

    scene.back_up(options=BackupOptions(where=only_small))

    assert scene.stored() == [
        "customresourcedefinitions.apiextensions.k8s.io/widgets.example.com",
        "namespaces/shop",
        "widgets.example.com/shop/s",
    ]
    manifest = scene.store.manifest("b")
    assert manifest.options["where"]["function"].endswith(".only_small")
    left_out = sum(r.skipped.get("not wanted by where", 0) for r in manifest.lists)
    assert manifest.options["where"]["leftOut"] == left_out > 0


def test_a_function_that_raises(scene):
    """What `where` raises costs the item it was asked about and is an error."""
    scene.load(scene.secret("good"), scene.secret("bad"))

    def where(item):
        return item["metadata"]["name"] == "good" or 1 / 0

    result = scene.back_up(
        included_resources=["secrets"], options=BackupOptions(where=where)
    )

    assert scene.stored() == ["secrets/shop/good"]
    assert result.backup.status.phase is BackupPhase.PARTIALLY_FAILED
    assert "ZeroDivisionError" in str(result.results.errors[0])


def test_references_out_of_the_backup(scene):
    """What stored objects refer to and the backup lacks is named once for each type."""
    spec = {
        "containers": [
            {"name": "c", "image": "i", "envFrom": [{"secretRef": {"name": "gone"}}]}
        ]
    }
    scene.load(scene.made("Pod", "a", "shop", spec=spec))
    scene.load(scene.made("Pod", "b", "shop", spec=spec))

    result = scene.back_up(included_namespaces=["shop"])

    missing = scene.store.manifest("b").missing
    assert [str(each.refers_to) for each in missing] == ["secrets/shop/gone"]
    assert [str(each) for each in result.results.warnings] == [
        "referred to, but not in this backup: secrets shop/gone"
    ]


def test_nothing_was_selected(scene):
    """A backup without any item is published with a warning and exit code 3."""
    scene.load(scene.secret("s"))

    result = scene.back_up(included_resources=["configmaps", "widgets"])

    assert result.backup.status.phase is BackupPhase.COMPLETED
    assert result.exit_code == 3
    texts = [str(each) for each in result.results.warnings]
    assert "included resource 'widgets': the cluster serves no such type" in texts
    assert "nothing was selected: this backup holds no item" in texts


@pytest.mark.parametrize(
    "spec",
    [
        {"label_selector": LabelSelector(match_labels={"app": "none"})},
        {"or_label_selectors": [LabelSelector(match_labels={"app": "none"})]},
        {
            "label_selector": LabelSelector(match_labels={"app": "none"}),
            "included_resources": ["namespaces", "secrets"],
        },
        {"included_namespace_scoped_resources": ["configmaps"]},
        {"excluded_resources": ["secrets"]},
    ],
    ids=["selector", "selectors", "selector and types", "types", "excluded types"],
)
def test_filters_that_find_nothing_in_a_named_namespace(scene, spec):
    """A slip in a label or a type does not make a green backup of a mere Namespace."""
    scene.load(scene.secret("s", labels={"app": "web"}))

    result = scene.back_up(included_namespaces=["shop"], **spec)

    assert scene.stored() == ["namespaces/shop"]
    assert result.exit_code == 3
    told = "nothing was selected: this backup holds only Namespace shop"
    assert told in [str(each) for each in result.results.warnings]


@pytest.mark.parametrize(
    "spec",
    [
        {"label_selector": LabelSelector(match_labels={"team": "blue"})},
        {"included_cluster_scoped_resources": ["namespaces"]},
        {"included_resources": ["namespaces"]},
    ],
    ids=["by label", "by type, scoped", "by type"],
)
def test_a_namespace_that_was_asked_for_itself(scene, spec):
    """A Namespace that the filters themselves choose is something selected."""
    scene.load(scene.made("Namespace", "shop", metadata={"labels": {"team": "blue"}}))

    result = scene.back_up(included_namespaces=["shop"], **spec)

    assert scene.stored() == ["namespaces/shop"]
    assert (result.exit_code, result.results.warnings) == (0, ())


def test_filters_that_find_something_in_one_of_two_namespaces(scene):
    """A backup with something that was selected is whole, though a namespace is empty."""
    scene.load(scene.secret("s", labels={"app": "web"}))
    scene.load(scene.made("Namespace", "empty"))
    selector = LabelSelector(match_labels={"app": "web"})

    result = scene.back_up(
        included_namespaces=["shop", "empty"], label_selector=selector
    )

    assert scene.stored() == ["namespaces/empty", "namespaces/shop", "secrets/shop/s"]
    assert (result.exit_code, result.results.warnings) == (0, ())


@pytest.mark.parametrize(
    ("spec", "nearest"),
    [
        (
            {"included_resources": ["deploymnts", "secretes.v1"]},
            "the nearest types are deployments.apps, secrets",
        ),
        (
            {"included_namespace_scoped_resources": ["deploymnts.apps"]},
            "the nearest type is deployments.apps",
        ),
        ({"included_resources": ["zzz"], "include_cluster_resources": True}, ""),
    ],
    ids=["old", "scoped", "nothing alike"],
)
def test_types_of_which_the_cluster_knows_none(scene, spec, nearest):
    """A slip in every included type is refused, with what was meant; the name stays free."""
    scene.load(scene.secret("s"))

    for call in (
        lambda: scene.back_up(**spec),
        lambda: scene.engine().plan(scene.spec(**spec)),
    ):
        with pytest.raises(InvalidSpecError, match="serves no such type") as caught:
            call()
        assert caught.value.hint == nearest

    assert scene.store.list() == []


def test_cluster_scoped_slips_beside_all_namespaced_types(scene):
    """A slip that leaves something to store is a warning, not the end."""
    scene.load(scene.secret("s"))

    result = scene.back_up(included_cluster_scoped_resources=["nodez"])

    assert "secrets/shop/s" in scene.stored()
    texts = [str(each) for each in result.results.warnings]
    assert "included resource 'nodez': the cluster serves no such type" in texts


def test_namespaces_of_which_none_exists(scene):
    """A slip in every named namespace is refused by name, with what was meant."""
    scene.load(scene.secret("s"))

    with pytest.raises(InvalidSpecError) as caught:
        scene.back_up(included_namespaces=["shp", "q-*", "zzz"])

    assert caught.value.violations == (
        "included namespace 'shp' does not exist",
        "included namespace 'zzz' does not exist",
    )
    assert caught.value.hint == "the nearest namespace is shop"
    assert scene.store.list() == []


def test_a_missing_namespace_without_the_right_to_list(scene):
    """Who may not list namespaces is told of the slip alone."""
    scene.load(scene.secret("s"))
    scene.server.faults.forbid(verb="list", resource="namespaces")

    with pytest.raises(InvalidSpecError, match="'shp' does not exist") as caught:
        scene.back_up(included_namespaces=["shp"])

    assert caught.value.hint == ""


def test_a_missing_namespace_beside_cluster_scoped_objects(scene):
    """Where cluster-scoped objects were asked for they are stored, and the slip is an error."""
    scene.load(scene.secret("s"))

    result = scene.back_up(included_namespaces=["shp"], include_cluster_resources=True)

    assert result.backup.status.phase is BackupPhase.PARTIALLY_FAILED
    assert "namespace shp does not exist" in str(result.results.errors[0])


def test_an_empty_namespace_is_backed_up(scene):
    """A namespace that exists and holds nothing is no slip."""
    scene.load(scene.made("Namespace", "empty"))

    result = scene.back_up(included_namespaces=["empty"])

    assert scene.stored() == ["namespaces/empty"]
    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("spec", "warning"),
    [
        (
            {"excluded_resources": ["seccrets"]},
            "excluded resource 'seccrets': the cluster serves no such type",
        ),
        (
            {"excluded_resources": ["secrets.*.io"]},
            "excluded resources 'secrets.*.io': the cluster serves none like that",
        ),
        (
            {"excluded_namespace_scoped_resources": ["seccrets"]},
            "excluded resource 'seccrets': the cluster serves no such type",
        ),
        (
            {"included_namespace_scoped_resources": ["secrets", "pv"]},
            "resource 'pv' is listed under the wrong scope: ignored",
        ),
        (
            {"included_resources": ["secrets", "zz*"]},
            "included resources 'zz*': the cluster serves none like that",
        ),
        (
            {"excluded_namespaces": ["kube-sytem"]},
            "excluded namespaces 'kube-sytem': there is none like that",
        ),
        (
            {"excluded_namespaces": ["kub?-sytem"]},
            "excluded namespaces 'kub?-sytem': there is none like that",
        ),
        (
            {"included_namespaces": ["s*"], "excluded_namespaces": ["shp"]},
            "excluded namespaces 'shp': there is none like that",
        ),
        (
            {"included_namespaces": ["shop"], "excluded_namespaces": ["shp"]},
            "excluded namespaces 'shp': none of the included ones is like that",
        ),
    ],
    ids=str,
)
def test_names_that_change_nothing(scene, spec, warning):
    """A slip in what is excluded is a warning by name, and the backup is Completed."""
    scene.load(scene.secret("s"))

    result = scene.back_up(**spec)

    assert [str(each) for each in result.results.warnings] == [warning]
    assert result.backup.status.phase is BackupPhase.COMPLETED
    assert "secrets/shop/s" in scene.stored()


def test_excludes_that_leave_something_out(scene):
    """Names and wildcards that fit something are no reason to warn."""
    scene.load(scene.secret("s"), scene.secret("t", "bank"))

    result = scene.back_up(
        excluded_namespaces=["bank", "kube-*"],
        excluded_resources=["events", "*.coordination.k8s.io", "po"],
    )

    assert list(result.results.warnings) == []


def test_a_named_namespace_that_is_not_there(scene):
    """A missing namespace is an error by name; the others are backed up."""
    scene.load(scene.secret("s"))

    result = scene.back_up(included_namespaces=["shop", "nowhere"])

    assert "secrets/shop/s" in scene.stored()
    assert result.backup.status.phase is BackupPhase.PARTIALLY_FAILED
    assert result.exit_code == 3
    assert [gap.namespace for gap in scene.store.manifest("b").not_covered] == [
        "nowhere"
    ]


SNAPSHOTS = "volumesnapshots.snapshot.storage.k8s.io"
CONTENTS = "volumesnapshotcontents.snapshot.storage.k8s.io"


def _snapshot_type(scene, name, kind, **spec):
    defined = scene.definition(name.partition(".")[0], kind)
    defined["metadata"]["name"] = name
    defined["metadata"]["annotations"] = {"api-approved.kubernetes.io": "unapproved"}
    defined["spec"] |= {"group": "snapshot.storage.k8s.io", **spec}
    return defined


@pytest.fixture
def with_snapshots(scene):
    """A cluster in which somebody has made snapshots, and one is going."""
    scene.load(
        _snapshot_type(scene, SNAPSHOTS, "VolumeSnapshot"),
        _snapshot_type(scene, CONTENTS, "VolumeSnapshotContent", scope="Cluster"),
        scene.secret("s"),
    )
    api = "snapshot.storage.k8s.io/v1"
    for namespace, name in (("shop", "nightly"), ("shop", "weekly"), ("bank", "own")):
        metadata = {"namespace": namespace, "name": name}
        scene.load({"apiVersion": api, "kind": "VolumeSnapshot", "metadata": metadata})
    metadata = {"name": "static"}
    scene.load(
        {"apiVersion": api, "kind": "VolumeSnapshotContent", "metadata": metadata}
    )
    return scene


@pytest.mark.parametrize("field", ["resources", "namespace_scoped_resources"])
def test_only_what_is_never_stored_alone(with_snapshots, field):
    """Includes of which nothing is left are refused, not read as everything."""
    with pytest.raises(InvalidSpecError, match="never stored alone"):
        with_snapshots.back_up(**{f"included_{field}": ["volumesnapshots"]})

    assert with_snapshots.store.list() == []


def test_snapshots_that_are_not_stored_are_told(with_snapshots):
    """Whoever counts on snapshots learns how many of them are not in the backup."""
    result = with_snapshots.back_up()

    assert result.backup.status.phase is BackupPhase.COMPLETED
    told = [str(each.message) for each in result.results.warnings]
    assert [text for text in told if "snapshot" in text] == [
        f"1 {CONTENTS} are not in this backup: snapshots are not stored by themselves",
        f"3 {SNAPSHOTS} are not in this backup: snapshots are not stored by themselves",
    ]
    gaps = with_snapshots.store.manifest("b").not_covered
    assert {(gap.resource, gap.count) for gap in gaps} == {
        (SNAPSHOTS, 3),
        (CONTENTS, 1),
    }
    assert not [
        path
        for path in with_snapshots.stored()
        if "snapshot.storage" in path
        and not path.startswith("customresourcedefinitions")
    ]


def test_snapshots_that_may_not_be_counted(with_snapshots):
    """Without the right to list them a backup is what it would be: they never come in."""
    with_snapshots.server.faults.forbid(verb="list", resource="volumesnapshots")

    result = with_snapshots.back_up()

    assert result.backup.status.phase is BackupPhase.COMPLETED
    warnings = [str(each) for each in result.results.warnings]
    assert any("may not be read" in text and SNAPSHOTS in text for text in warnings)
    gaps = with_snapshots.store.manifest("b").not_covered
    assert SNAPSHOTS in [gap.resource for gap in gaps]


def test_snapshots_of_other_namespaces_are_not_told(with_snapshots):
    """Only those that were asked for, be it by name, are missing from a backup."""
    result = with_snapshots.back_up(
        included_namespaces=["shop"], included_resources=["secrets", "volumesnapshots"]
    )

    gaps = with_snapshots.store.manifest("b").not_covered
    assert [(gap.resource, gap.namespace, gap.count) for gap in gaps] == [
        (SNAPSHOTS, "shop", 2)
    ]
    assert "secrets/shop/s" in with_snapshots.stored()
    assert result.backup.spec.included_resources == ("secrets",)


@pytest.mark.parametrize(
    ("asked", "stated"),
    [
        ({}, {"excluded_resources": (CONTENTS, SNAPSHOTS)}),
        (
            {"excluded_resources": ("events", SNAPSHOTS)},
            {"excluded_resources": ("events", SNAPSHOTS, CONTENTS)},
        ),
        (
            {"included_resources": ("secrets", SNAPSHOTS, CONTENTS)},
            {
                "included_resources": ("secrets",),
                "excluded_resources": (CONTENTS, SNAPSHOTS),
            },
        ),
        (
            {"excluded_cluster_scoped_resources": ("*",)},
            {
                "excluded_resources": (),
                "excluded_cluster_scoped_resources": ("*",),
                "excluded_namespace_scoped_resources": (SNAPSHOTS,),
            },
        ),
    ],
)
def test_the_record_excludes_snapshots(scene, asked, stated):
    """A record reads as one of Velero's, whether or not the cluster has snapshots."""
    scene.load(scene.secret("s"))

    spec = scene.back_up(**asked).backup.spec

    assert {field: getattr(spec, field) for field in stated} == stated


def test_a_plan_tells_what_the_backup_then_stores(scene):
    """Counts of a plan are those of the backup; nothing is written for it."""
    scene.load_shop()
    engine = scene.engine()
    plan = engine.plan(scene.spec(included_namespaces=["shop"]))

    assert scene.objects.objects == {}
    result = scene.back_up(included_namespaces=["shop"])

    assert plan.total == result.backup.status.progress.items_backed_up
    counted = {(str(each.resource), each.namespace): each.count for each in plan.items}
    assert counted["pods", "shop"] == 2
    assert counted["namespaces", ""] == 1
    assert [str(e) for e in plan.results.warnings] == [
        str(e) for e in result.results.warnings
    ]


def test_what_is_written_for_an_object(scene):
    """An object is stored as the server gave it, with version and kind, nothing else."""
    scene.load(scene.secret("s", annotations={"note": "ümlaut <&>"}))
    secrets = scene.cluster.discover().resolve("secrets")

    scene.back_up(included_namespaces=["shop"])

    live = scene.cluster.get(secrets, "s", "shop").content
    assert scene.item("secrets/shop/s") == live
