"""Resource policies of a backup: where they come from, and what comes of them."""

import pytest

from kbackup.backup._policies import with_filters
from kbackup.errors import ForbiddenError, InvalidSpecError
from kbackup.models import (
    BackupOptions,
    BackupPhase,
    BackupSpec,
    IncludeExcludePolicy,
    ResourcePolicies,
    TypedLocalObjectReference,
)

NAMED = TypedLocalObjectReference(kind="configmap", name="policies")
SKIP_HOST_PATHS = """\
version: v1
volumePolicies:
- conditions: {volumeTypes: [hostPath]}
  action: {type: skip}
"""
NO_SECRETS = """\
version: v1
includeExcludePolicy: {excludedNamespaceScopedResources: [secrets]}
"""


def _given(text):
    """Return options with policies."""
    return BackupOptions(resource_policies=ResourcePolicies.from_yaml(text))


def _policies(*pairs):
    """Return policies as text: conditions and an action each."""
    rules = [f"- {{conditions: {c}, action: {{type: {a}}}}}\n" for c, a in pairs]
    return "version: v1\nvolumePolicies:\n" + "".join(rules)


def _load_config_map(scene, data):
    """Put a ConfigMap where Velero looks for policies."""
    scene.load(scene.made("ConfigMap", "policies", "velero", data=data))


def _load_claims(scene):
    """Put two bound claims into a namespace, one of NFS, and one that waits."""
    sources = {"disk": {"hostPath": {"path": "/d"}}, "share": {"nfs": {"server": "s"}}}
    for name, source in sources.items():
        size = {"capacity": {"storage": "1Gi"}}
        scene.load(scene.made("PersistentVolume", f"pv-{name}", spec=source | size))
        _load_claim(scene, name, f"pv-{name}")
    _load_claim(scene, "waiting", None, "Pending")


def _load_claim(scene, name, volume, phase="Bound"):
    size = {"requests": {"storage": "1Gi"}}
    spec = {"accessModes": ["ReadWriteOnce"], "resources": size}
    spec |= {"volumeName": volume} if volume else {}
    scene.load(scene.made("PersistentVolumeClaim", name, "shop", spec=spec))
    claims, status = scene.cluster.discover().resolve("pvc"), {"phase": phase}
    scene.cluster.patch(
        claims, name, {"status": status}, namespace="shop", subresource="status"
    )


def _volumes(scene, name="b"):
    """Return by claim what the manifest says policies decide."""
    found = scene.store.manifest(name).volumes
    return {volume.claim.removeprefix("shop/"): volume.policy for volume in found}


def _told(result):
    """Return the warnings, without those about what a policy cannot do yet."""
    return [entry.message for entry in result.results.warnings]


# --- where they come from -------------------------------------------------------------


@pytest.mark.parametrize("form", ["config-map", "option"])
def test_the_ways_to_give_policies(scene, form):
    """From Velero's ConfigMap or as an option: the same is done, and the same recorded."""
    _load_claims(scene)
    _load_config_map(scene, {"any-key": SKIP_HOST_PATHS})
    spec = {"resource_policy": NAMED} if form == "config-map" else {}
    options = _given(SKIP_HOST_PATHS) if form == "option" else None

    result = scene.back_up(included_namespaces=["shop"], options=options, **spec)

    assert result.backup.spec.resource_policy == (NAMED if spec else None)
    assert _volumes(scene) == {"disk": "skip", "share": "", "waiting": ""}
    recorded = scene.store.manifest("b").options["resource_policies"]
    assert recorded["volumePolicies"] == [
        {"conditions": {"volumeTypes": ["hostPath"]}, "action": {"type": "skip"}}
    ]
    assert scene.store.verify("b").problems == ()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (None, "does not exist"),
        ({}, "expected one key in data, got 0"),
        (
            {"a": SKIP_HOST_PATHS, "b": SKIP_HOST_PATHS},
            "expected one key in data, got 2",
        ),
        ({"p.yaml": "version: v1\nvolumes: []"}, "p.yaml: document: expected no other"),
        ({"p": "version: v2"}, "p: version: expected 'v1', got 'v2'"),
        (
            {"p": _policies(("{}", "skip"), ("{capacity: x}", "skip"))},
            "p: volumePolicies[1].conditions.capacity: expected 'min,max'",
        ),
    ],
    ids=["absent", "no-key", "two-keys", "unknown-key", "version", "rule"],
)
def test_config_maps_that_hold_no_policies(scene, data, told):
    """The message leads to the ConfigMap, the key and the policy; nothing is published."""
    if data is not None:
        _load_config_map(scene, data)

    with pytest.raises(InvalidSpecError) as caught:
        scene.back_up(resource_policy=NAMED)

    (rule,) = caught.value.violations
    assert rule.startswith("resourcePolicy: ConfigMap velero/policies")
    assert told in rule
    assert not any(key.startswith("backups/") for key in scene.objects.objects)


def test_a_config_map_that_may_not_be_read(scene):
    """Without the policies that were asked for there is no backup."""
    _load_config_map(scene, {"p": SKIP_HOST_PATHS})
    scene.server.faults.forbid(verb="get", resource="configmaps")

    with pytest.raises(ForbiddenError, match="velero/policies"):
        scene.back_up(resource_policy=NAMED)


@pytest.mark.parametrize(
    ("spec", "text", "told"),
    [
        (
            {"resource_policy": NAMED},
            SKIP_HOST_PATHS,
            "resourcePolicy and the option resource_policies cannot be combined",
        ),
        (
            {},
            _policies(("{pvcPhase: [x]}", "skip")),
            "resource_policies: volumePolicies[0].conditions.pvcPhase: 'x' is none of",
        ),
        *(
            (old, NO_SECRETS, "cannot be combined with the includeExcludePolicy")
            for old in (
                {"included_resources": ["pods"]},
                {"excluded_resources": ["pods"]},
                {"include_cluster_resources": False},
            )
        ),
    ],
)
def test_options_that_cannot_be_meant(scene, spec, text, told):
    """What contradicts itself is refused before the cluster is asked anything."""
    with pytest.raises(InvalidSpecError) as caught:
        scene.back_up(options=_given(text), **spec)

    assert [told in rule for rule in caught.value.violations] == [True]
    assert not scene.server.calls


def test_a_config_map_beside_old_filters(scene):
    """The rule about filters holds wherever the policies come from."""
    _load_config_map(scene, {"p": NO_SECRETS})

    with pytest.raises(InvalidSpecError, match="includeExcludePolicy"):
        scene.back_up(resource_policy=NAMED, excluded_resources=["events"])


# --- volumes --------------------------------------------------------------------------


def test_what_a_policy_skips_is_no_gap(scene):
    """A skipped volume is left out on purpose: no warning, and no error if data is asked for."""
    _load_claims(scene)
    text = _policies(("{volumeTypes: [hostPath, nfs]}", "skip"))
    names = {"included_namespaces": ["shop"]}

    plain = scene.back_up(options=_given(text), **names)
    asked = scene.back_up(
        name="asked", options=_given(text), snapshot_volumes=True, **names
    )

    assert _told(plain) == []
    assert _told(asked) == ["snapshotVolumes has no effect in this version of kbackup"]
    assert asked.backup.status.phase is BackupPhase.COMPLETED
    assert [str(volume) for volume in scene.store.manifest("b").volumes] == [
        "shop/disk (volume pv-disk): data none, by a policy: skip",
        "shop/share (volume pv-share): data none, by a policy: skip",
        "shop/waiting: data none",
    ]


def test_others_are_told_as_without_policies(scene):
    """What no policy matches, or a plugin outside is to do, has no data: a warning."""
    _load_claims(scene)
    text = _policies(("{nfs: {}}", "custom"))

    result = scene.back_up(included_namespaces=["shop"], options=_given(text))

    assert _told(result) == [
        "2 volumes have no data in this backup: shop/disk, shop/share"
    ]
    assert _volumes(scene)["share"] == "custom"


@pytest.mark.parametrize("action", ["fs-backup", "snapshot"])
def test_data_that_a_policy_asks_for(scene, action):
    """Nobody believes that volumes were stored because a policy asks for it."""
    _load_claims(scene)
    text = _policies(("{nfs: {}}", action))

    result = scene.back_up(included_namespaces=["shop"], options=_given(text))

    assert _told(result) == [
        (
            f"the action {action} of a resource policy has no effect in this version of "
            "kbackup"
        ),
        "1 volume has no data in this backup: shop/disk",
    ]
    (error,) = result.results.errors
    assert "shop/share (asked for with a resource policy)" in error.message
    assert result.backup.status.phase is BackupPhase.PARTIALLY_FAILED


def test_a_policy_and_the_specification(scene):
    """Where a policy decides the specification does not; all others follow it."""
    _load_claims(scene)
    text = _policies(("{nfs: {}}", "custom"))

    result = scene.back_up(
        included_namespaces=["shop"],
        options=_given(text),
        default_volumes_to_fs_backup=True,
    )

    (error,) = result.results.errors
    assert "shop/disk (asked for with defaultVolumesToFsBackup)" in error.message
    assert _told(result)[-1] == "1 volume has no data in this backup: shop/share"


@pytest.mark.parametrize(
    ("conditions", "decided"),
    [
        ("{pvcLabels: {tier: db}}", ["labelled"]),
        ("{storageClass: [old]}", ["labelled"]),
        ('{capacity: "0.9Gi,1Gi"}', ["disk", "labelled", "share", "waiting"]),
        ('{capacity: "1.1Gi,"}', []),
        ("{nfs: {server: s}}", ["share"]),
        ("{pvcPhase: [Pending]}", ["waiting"]),
        ("{}", ["disk", "labelled", "share", "waiting"]),
    ],
)
def test_all_that_conditions_ask_for_is_known(scene, conditions, decided):
    """Of each claim and its volume a policy sees what the cluster has."""
    _load_claims(scene)
    claims = scene.cluster.discover().resolve("pvc")
    _load_claim(scene, "labelled", None, "Lost")
    annotations = {"volume.beta.kubernetes.io/storage-class": "old"}
    change = {"metadata": {"labels": {"tier": "db"}, "annotations": annotations}}
    scene.cluster.patch(claims, "labelled", change, namespace="shop")

    options = _given(_policies((conditions, "custom")))
    scene.back_up(included_namespaces=["shop"], options=options)

    found = _volumes(scene)
    assert sorted(name for name in found if found[name] == "custom") == decided


def test_volumes_that_are_not_stored_are_read(scene):
    """What a policy asks of a volume is known also where the volume stays out."""
    _load_claims(scene)
    filters = {"included_namespaces": ["shop"], "include_cluster_resources": False}

    scene.back_up(options=_given(SKIP_HOST_PATHS), **filters)

    assert not any("persistentvolumes" in each for each in scene.stored())
    assert _volumes(scene) == {"disk": "skip", "share": "", "waiting": ""}


def test_volumes_that_may_not_be_read(scene):
    """Policies are asked about the claims alone, which is told."""
    _load_claims(scene)
    scene.server.faults.forbid(resource="persistentvolumes")
    text = _policies(("{nfs: {}}", "snapshot"), ("{pvcPhase: [Bound]}", "skip"))

    result = scene.back_up(included_namespaces=["shop"], options=_given(text))

    assert _volumes(scene) == {"disk": "skip", "share": "skip", "waiting": ""}
    (told,) = [each for each in _told(result) if "asked about claims alone" in each]
    assert "pv-disk" in told
    assert "pv-share" in told


def test_a_plan_shows_what_is_skipped(scene):
    """A plan asks the policies as a backup does, and counts what they skip."""
    _load_claims(scene)
    spec = BackupSpec(included_namespaces=["shop"])

    plan = scene.engine().plan(spec, _given(SKIP_HOST_PATHS))

    assert [each.policy for each in plan.volumes] == ["skip", "", ""]
    assert "1 volume is skipped by a resource policy: shop/disk" in str(plan)
    assert "1 volume is skipped" in plan._repr_html_()
    assert plan.to_json()["volumes"][0] == {
        "claim": "shop/disk",
        "volume": "pv-disk",
        "data": "none",
        "policy": "skip",
    }


# --- types ----------------------------------------------------------------------------


def test_types_that_a_policy_leaves_out(scene):
    """Its lists narrow what is selected; the record keeps what was asked for."""
    scene.load(scene.secret("s"), scene.made("ConfigMap", "c", "shop"))

    result = scene.back_up(included_namespaces=["shop"], options=_given(NO_SECRETS))

    assert scene.stored() == ["configmaps/shop/c", "namespaces/shop"]
    spec = result.backup.spec
    assert spec.excluded_namespace_scoped_resources == (
        "volumesnapshots.snapshot.storage.k8s.io",
    )
    assert spec.excluded_resources == ()
    again = BackupSpec(included_namespaces=["shop"])
    assert scene.engine().run("c", spec, _given(NO_SECRETS)).exit_code == 0
    assert scene.engine().plan(again, _given(NO_SECRETS)).total == 2


def test_the_specification_goes_first(scene):
    """A type that the backup names itself is in it, whatever a policy says."""
    scene.load(scene.secret("s"), scene.made("ConfigMap", "c", "shop"))

    scene.back_up(
        included_namespaces=["shop"],
        included_namespace_scoped_resources=["secret"],
        options=_given(NO_SECRETS),
    )

    assert "secrets/shop/s" in scene.stored()


def test_types_of_a_policy_that_are_slips(scene):
    """Names of types that mean nothing are told, as a specification's are."""
    scene.load(scene.secret("s"))
    text = """\
version: v1
includeExcludePolicy:
  includedClusterScopedResources: [gadgets]
  excludedNamespaceScopedResources: ["*.example.com"]
"""

    result = scene.back_up(included_namespaces=["shop"], options=_given(text))

    assert _told(result) == [
        "included resource 'gadgets': the cluster serves no such type",
        "excluded resources '*.example.com': the cluster serves none like that",
    ]


FIELDS = (
    "included_namespace_scoped_resources",
    "excluded_namespace_scoped_resources",
    "included_cluster_scoped_resources",
    "excluded_cluster_scoped_resources",
)


@pytest.mark.parametrize(
    ("spec", "policy", "expected"),
    [
        ({}, {0: ["pods"], 3: ["nodes"]}, {0: ("pods",), 3: ("nodes",)}),
        ({0: ["a"]}, {0: ["b"]}, {0: ("a", "b")}),
        ({1: ["a"]}, {0: ["a"], 1: ["a"]}, {1: ("a",)}),
        ({0: ["a"]}, {1: ["a", "b"]}, {0: ("a",), 1: ("b",)}),
        ({0: ["*"]}, {1: ["a"]}, {0: ("*",)}),
        ({0: ["x*"]}, {1: ["xy", "z"]}, {0: ("x*",), 1: ("z",)}),
        ({3: ["*"]}, {2: ["nodes"]}, {3: ("*",)}),
        ({0: ["a"]}, {3: ["a"]}, {0: ("a",), 3: ("a",)}),
    ],
    ids=str,
)
def test_lists_are_put_together(spec, policy, expected):
    """A policy adds what the specification's lists of that scope do not speak of."""

    def lists(given):
        return {FIELDS[number]: names for number, names in given.items()}

    made = with_filters(
        BackupSpec(**lists(spec)), IncludeExcludePolicy(**lists(policy)), lambda _: None
    )

    assert made == BackupSpec(**lists(expected))


def test_no_policy_changes_nothing():
    """Without lists of a policy a specification stays as it is."""
    spec = BackupSpec(included_resources=["pods"])

    assert with_filters(spec, None, lambda _: None) is spec
