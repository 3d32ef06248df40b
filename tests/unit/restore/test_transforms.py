"""The transforms that many restores need: what each changes, and what it leaves."""

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbackup._kits.edit import replaced
from kbackup.errors import InvalidConfigError
from kbackup.models import RestoreOptions, qualified_name
from kbackup.restore import transforms
from kbackup.restore.transforms import (
    annotations,
    drop,
    from_name,
    ingress_hosts,
    labels,
    node_selectors,
    quiesce,
    registry,
    replicas,
    storage_class,
)
from kbackup.restore.transforms._marks import FOUND_BY_LABELS
from kbackup.restore.transforms._pods import POD_KINDS

DIGEST = "sha256:" + "0123456789abcdef" * 4
OLD_CLASS = "volume.beta.kubernetes.io/storage-class"
GATEWAY = "gateway.networking.k8s.io/v1"
POD_SPEC_PATHS = {
    "Pod": ("spec",),
    "PodTemplate": ("template", "spec"),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
    "ControllerRevision": ("data", "spec", "template", "spec"),
    "Revision": ("spec",),
}
MIRROR = registry({"docker.io": "r.example.com/hub", "quay.io/acme": "r.example.com/a"})


def made(version, kind, spec=None, **metadata):
    """An object."""
    item = {"apiVersion": version, "kind": kind, "metadata": {"name": "x", **metadata}}
    return item if spec is None else {**item, "spec": spec}


def running(spec, group="apps", kind="Deployment"):
    """An object that has, or makes, a Pod of *spec*."""
    path = POD_SPEC_PATHS.get(kind, ("spec", "template", "spec"))
    item = made(f"{group}/v1" if group else "v1", kind)
    return replaced(item, path, {"containers": [{"name": "main"}], **spec})


def image_of(image, transform=MIRROR):
    """What becomes of an image."""
    changed = transform(running({"containers": [{"image": image}]}))
    return changed["spec"]["template"]["spec"]["containers"][0]["image"]


# --- images ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("nginx", "r.example.com/hub/library/nginx"),
        ("nginx:1.27", "r.example.com/hub/library/nginx:1.27"),
        ("docker.io/nginx", "r.example.com/hub/library/nginx"),
        ("index.docker.io/nginx", "r.example.com/hub/library/nginx"),
        ("bitnami/redis:7", "r.example.com/hub/bitnami/redis:7"),
        (f"nginx:1@{DIGEST}", f"r.example.com/hub/library/nginx:1@{DIGEST}"),
        (f"nginx@{DIGEST}", f"r.example.com/hub/library/nginx@{DIGEST}"),
        ("myhost:5000", "r.example.com/hub/library/myhost:5000"),
        ("quay.io/acme/web:2", "r.example.com/a/web:2"),
        ("quay.io/acme", "r.example.com/a"),
    ],
)
def test_an_image_comes_from_another_registry(image, expected):
    """Tag and digest stay, and a name without a registry is one of Docker Hub."""
    assert image_of(image) == expected


@pytest.mark.parametrize(
    "image",
    [
        "quay.io/acme2/web",
        "quay.io/other/acme/web",
        "docker.io.example.com/web",
        "localhost/web",
        "localhost:5000/web:1",
        "[::1]:5000/web",
        "docker.io:5000/web",
        "auto",
        "",
        "$(IMAGE)",
        "Not An Image",
        "nginx:",
        None,
        7,
    ],
)
def test_other_images_are_left(image):
    """What is of another registry, or is no image at all, is as it was."""
    item = running({"containers": [{"image": image}]})

    assert MIRROR(item) == item


def test_the_longest_registry_counts():
    """A path of a registry can go elsewhere than the rest, or stay."""
    change = registry(
        {"quay.io": "a.io/q", "quay.io/x": "b.io", "quay.io/keep": "quay.io/keep"}
    )

    found = [image_of(f"quay.io/{x}", change) for x in ("y/i", "x/i", "keep/i:1")]

    assert found == ["a.io/q/y/i", "b.io/i", "quay.io/keep/i:1"]


def test_a_registry_with_a_port():
    """A port is part of the registry's name, and no tag."""
    change = registry({"localhost:5000": "r.example.com:443/m"})

    assert image_of("localhost:5000/web:1", change) == "r.example.com:443/m/web:1"


@pytest.mark.parametrize(("group", "kind"), sorted(POD_KINDS))
def test_every_image_of_a_pod_is_found(group, kind):
    """In all that has or makes Pods, in every kind of container and in image volumes."""
    each = {"name": "a", "image": "nginx"}
    fields = ("containers", "initContainers", "ephemeralContainers")
    spec = {field: [each, each] for field in fields}
    spec["volumes"] = [{"name": "v", "image": {"reference": "nginx"}}]

    changed = MIRROR(running(spec, group, kind))

    text = repr(changed)
    assert text.count("'r.example.com/hub/library/nginx'") == 7
    assert text.count("nginx") == 7


@pytest.mark.parametrize("name", ["bitnami", "https://a.io", "a.io/", "a.io/x:1", "/"])
def test_what_is_no_registry_is_refused(name):
    """A name that no image could begin with is told, not passed over."""
    for names in ({name: "r.example.com"}, {"docker.io": name}):
        with pytest.raises(InvalidConfigError, match="is no registry"):
            registry(names)


# --- storage classes ------------------------------------------------------------------


CLASSES = storage_class({"gp2": "premium"})


@pytest.mark.parametrize("kind", ["PersistentVolumeClaim", "PersistentVolume"])
def test_another_storage_class_is_asked_for(kind):
    """In the field, and in the annotation that wins where it is there."""
    item = made("v1", kind, {"storageClassName": "gp2"}, annotations={OLD_CLASS: "gp2"})

    changed = CLASSES(item)

    assert changed["spec"] == {"storageClassName": "premium"}
    assert changed["metadata"]["annotations"] == {OLD_CLASS: "premium"}


def test_claims_that_are_still_to_be_made():
    """Templates of StatefulSets and of ephemeral volumes ask for the new class too."""
    claim = {"spec": {"storageClassName": "gp2"}}
    volume = {"name": "tmp", "ephemeral": {"volumeClaimTemplate": claim}}
    item = running({"volumes": [volume, {"name": "x"}]}, kind="StatefulSet")
    item["spec"]["volumeClaimTemplates"] = [claim, {"spec": {"storageClassName": "b"}}]

    text = repr(CLASSES(item))

    assert (text.count("'premium'"), text.count("gp2"), text.count("'b'")) == (2, 0, 1)


@pytest.mark.parametrize(
    "item",
    [
        made("v1", "PersistentVolumeClaim", {}),
        made("v1", "PersistentVolumeClaim", {"storageClassName": ""}),
        made("v1", "PersistentVolumeClaim", {"storageClassName": None}),
        made("v1", "PersistentVolumeClaim", {"storageClassName": ["gp2"]}),
        made("v1", "PersistentVolumeClaim", "odd"),
        made("example.com/v1", "PersistentVolumeClaim", {"storageClassName": "gp2"}),
        made("storage.k8s.io/v1", "StorageClass", name="gp2"),
    ],
    ids=repr,
)
def test_claims_that_name_no_such_class_are_left(item):
    """No class, the default one, an odd one: as it was."""
    assert CLASSES(item) is item


# --- hosts ----------------------------------------------------------------------------

HOSTS = ingress_hosts({"a.example.com": "b.example.com", "*.old.io": "*.new.io"})


def test_an_ingress_serves_other_hosts():
    """Rules and TLS hosts are renamed; the Secret with the certificate is not."""
    spec = {
        "rules": [{"host": "a.example.com", "http": 1}, {"http": 2}],
        "tls": [{"hosts": ["a.example.com", "b.example.com"], "secretName": "t"}, {}],
    }

    changed = HOSTS(made("networking.k8s.io/v1", "Ingress", spec))

    assert changed["spec"] == {
        "rules": [{"host": "b.example.com", "http": 1}, {"http": 2}],
        "tls": [{"hosts": ["b.example.com"], "secretName": "t"}, {}],
    }


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("shop.old.io", "shop.new.io"),
        ("*.old.io", "*.new.io"),
        ("a.b.old.io", "a.b.old.io"),
        ("old.io", "old.io"),
        ("xa.example.com", "xa.example.com"),
        ("", ""),
        (None, None),
    ],
)
def test_a_domain_is_renamed_by_a_wildcard(host, expected):
    """A wildcard stands for one word, as in an Ingress."""
    item = made("extensions/v1beta1", "Ingress", {"rules": [{"host": host}]})

    assert HOSTS(item)["spec"]["rules"] == [{"host": expected}]


@pytest.mark.parametrize(
    ("item", "path"),
    [
        (made(GATEWAY, "HTTPRoute", {"hostnames": ["a.example.com"]}), "hostnames"),
        (made(GATEWAY, "GRPCRoute", {"hostnames": ["a.example.com"]}), "hostnames"),
        (made(GATEWAY, "TLSRoute", {"hostnames": ["a.example.com"]}), "hostnames"),
        (made(GATEWAY, "Gateway", {"listeners": [{"hostname": "a.example.com"}]}), ""),
        (made("route.openshift.io/v1", "Route", {"host": "a.example.com"}), "host"),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_other_ways_in(item, path):
    """Gateways and routes serve the new host as well."""
    changed = repr(HOSTS(item)).replace("b.example.com", "a.example.com")

    assert changed == repr(item)
    assert HOSTS(item) != item, path


@pytest.mark.parametrize(
    "names",
    [
        {"*.a.io": "b.io"},
        {"a.io": "*.b.io"},
        {"a": "B.io"},
        {"a.io/x": "b.io"},
        {"": ""},
    ],
    ids=repr,
)
def test_what_is_no_host_is_refused(names):
    """A name that no Ingress takes is told before anything is planned."""
    with pytest.raises(InvalidConfigError, match="ingress_hosts: "):
        ingress_hosts(names)


# --- replicas -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "spec", "most", "expected"),
    [
        ("Deployment", {"replicas": 3}, 1, {"replicas": 1}),
        ("StatefulSet", {"replicas": 3}, 0, {"replicas": 0}),
        ("Deployment", {"a": 1}, 0, {"a": 1, "replicas": 0}),
        ("Deployment", {"replicas": None}, 0, {"replicas": 0}),
        ("Deployment", {"a": 1}, 1, {"a": 1}),
        ("ReplicaSet", {"replicas": 0}, 2, {"replicas": 0}),
        ("Deployment", {"replicas": "3"}, 1, {"replicas": "3"}),
        ("DaemonSet", {"replicas": 3}, 1, {"replicas": 3}),
    ],
)
def test_no_workload_has_more_replicas(kind, spec, most, expected):
    """What has more is scaled down, what has fewer is not scaled up."""
    changed = replicas(at_most=most)(made("apps/v1", kind, spec))

    assert changed["spec"] == expected


@pytest.mark.parametrize(("most", "expected"), [(0, 1), (2, 2), (9, 4)])
def test_an_autoscaler_keeps_to_the_limit(most, expected):
    """It would scale up again; its fields take no 0."""
    scaler = made("autoscaling/v2", "HorizontalPodAutoscaler", {"maxReplicas": 4})

    assert replicas(at_most=most)(scaler)["spec"] == {"maxReplicas": expected}


@pytest.mark.parametrize("count", [-1, 1.5, True, "1", None])
def test_what_is_no_count_is_refused(count):
    """Only a number of Pods is taken."""
    with pytest.raises(InvalidConfigError, match="is no number of Pods"):
        replicas(at_most=count)


# --- nodes ----------------------------------------------------------------------------


def nodes_of(spec, **asked):
    """What a Pod asks of nodes afterwards."""
    changed = node_selectors(**asked)(running(spec))["spec"]["template"]["spec"]
    return {key: changed[key] for key in changed.keys() & {"nodeSelector", "affinity"}}


def wants(*terms, **more):
    """A Pod that requires nodes of one of *terms*."""
    key = "requiredDuringSchedulingIgnoredDuringExecution"
    return {
        "affinity": {"nodeAffinity": {key: {"nodeSelectorTerms": [*terms]}}, **more}
    }


def term(*expressions):
    """A term; each expression is a key and its values."""
    found = [{"key": k, "operator": "In", "values": v} for k, *v in expressions]
    return {"matchExpressions": found}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"drop": ["pool"]}, {"nodeSelector": {"disk": "ssd"}}),
        ({"drop": ["*"]}, {}),
        ({"drop": ["other"]}, {"nodeSelector": {"pool": "a", "disk": "ssd"}}),
        (
            {"replace": {"pool=a": "group=b"}},
            {"nodeSelector": {"group": "b", "disk": "ssd"}},
        ),
        (
            {"replace": {"pool=a": "group=b"}, "drop": ["*"]},
            {"nodeSelector": {"group": "b"}},
        ),
        (
            {"replace": {"pool=z": "group=b"}},
            {"nodeSelector": {"pool": "a", "disk": "ssd"}},
        ),
    ],
    ids=repr,
)
def test_pods_ask_for_other_nodes(asked, expected):
    """Labels are dropped by name, and replaced by name and value."""
    assert nodes_of({"nodeSelector": {"pool": "a", "disk": "ssd"}}, **asked) == expected


def test_a_new_label_is_not_dropped():
    """What a label is replaced with stays, also where an item has it already."""
    asked = {"replace": {"pool=a": "group=b"}, "drop": ["*"]}

    found = nodes_of({"nodeSelector": {"group": "b", "disk": "ssd"}}, **asked)

    assert found == {"nodeSelector": {"group": "b"}}


def test_affinity_is_left_unless_asked():
    """Only the selector is changed; the rest is more than a label."""
    spec = wants(term(("pool", "a")))

    assert nodes_of(spec, drop=["*"]) == spec


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (wants(term(("pool", "a"), ("z", "1"))), wants(term(("z", "1")))),
        (wants(term(("pool", "a")), term(("z", "1"))), {}),
        (wants(term(("pool", "a")), podAffinity={"p": 1}), {"affinity": {"podAffinity": {"p": 1}}}),
        (wants(term(("disk", "ssd"))), wants(term(("tier", "fast")))),
        (wants(term(("disk", "ssd", "nvme"))), wants(term(("disk", "ssd", "nvme")))),
        (wants({}), wants({})),
        (wants({"matchFields": [1], **term(("pool", "a"))}), wants({"matchFields": [1]})),
    ],
    ids=repr,
)  # fmt: skip
def test_affinity_when_asked(spec, expected):
    """A term of which nothing is left would fit every node: then none is required."""
    asked = {"drop": ["pool"], "replace": {"disk=ssd": "tier=fast"}, "affinity": True}

    assert nodes_of(spec, **asked) == expected


def test_preferred_nodes():
    """A preference of which nothing is left goes, the others stay."""
    key = "preferredDuringSchedulingIgnoredDuringExecution"
    terms = [{"weight": 1, "preference": term((k, "a"))} for k in ("pool", "zone")]
    spec = {"affinity": {"nodeAffinity": {key: terms}}}

    found = nodes_of(spec, drop=["pool"], affinity=True)

    assert found == {"affinity": {"nodeAffinity": {key: terms[1:]}}}
    assert nodes_of(spec, drop=["*"], affinity=True) == {}


# --- labels and annotations, kinds ----------------------------------------------------


def test_labels_are_added_and_removed():
    """Of the object itself; what it selects and the Pods that it makes stay."""
    item = running({}, kind="Deployment")
    item["metadata"]["labels"] = {"a": "1", "argo.io/x": "2", "argo.io/y": "3"}
    item["spec"]["selector"] = {"matchLabels": {"a": "1"}}

    changed = labels(add={"team": "x"}, remove=["a", "argo.io/*"])(item)

    assert changed["metadata"] == {"name": "x", "labels": {"team": "x"}}
    assert changed["spec"] == item["spec"]


@pytest.mark.parametrize(("group", "kind"), sorted(FOUND_BY_LABELS))
def test_what_is_found_by_its_labels_keeps_them(group, kind):
    """A ReplicaSet without them would not be adopted by its Deployment."""
    item = made(f"{group}/v1" if group else "v1", kind, labels={"app": "web", "b": "1"})

    changed = labels(add={"app": "other", "team": "x"}, remove=["b"])(item)

    expected = {"app": "web", "b": "1", "team": "x"}
    assert changed["metadata"]["labels"] == expected


def test_annotations_are_removed():
    """The last one takes the field with it; a name has to fit whole."""
    remove = annotations(remove=["meta.helm.sh/*", "a"])
    item = made("v1", "Secret", annotations={"meta.helm.sh/release": "x", "a": "1"})

    assert remove(item)["metadata"] == {"name": "x"}
    kept = made("v1", "Secret", annotations={"ab": "1", "meta.helm.shx/a": "2"})
    assert remove(kept) is kept


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"add": {"not a name": "x"}},
        {"add": {"a": "not a value"}},
        {"add": {"a": "1"}, "remove": ["a"]},
        {"remove": "a"},
        {"remove": [""]},
    ],
    ids=repr,
)
def test_what_is_no_label_is_refused(asked):
    """The server would refuse each object that had it."""
    with pytest.raises(InvalidConfigError):
        labels(**asked)


@pytest.mark.parametrize(
    ("version", "kind", "gone"),
    [
        ("v1", "Secret", True),
        ("vault.example.com/v1", "Secret", False),
        ("example.com/v1", "Widget", True),
        ("example.org/v1", "Widget", False),
        ("apps/v1", "Deployment", True),
        ("extensions/v1beta1", "Deployment", True),
        ("v1", "ConfigMap", False),
    ],
)
def test_kinds_are_left_out(version, kind, gone):
    """A kind of Kubernetes by its name, one of a definition with its group."""
    item = made(version, kind)

    found = drop("Secret", "Widget.example.com", "Deployment.apps")(item)

    assert found is (None if gone else item)


def test_a_plural_is_no_kind():
    """Nothing of that name would ever be left out, so it is refused."""
    with pytest.raises(InvalidConfigError, match="'secrets' is no kind"):
        drop("secrets")


# --- all of them ----------------------------------------------------------------------

ALL = [
    registry({"docker.io": "r.example.com/hub", "quay.io/a": "r.example.com/b"}),
    storage_class({"gp2": "premium", "gp3": "premium"}),
    ingress_hosts({"a.example.com": "b.example.com", "*.old.io": "*.new.io"}),
    replicas(at_most=1),
    node_selectors(drop=["pool", "*"], replace={"a=1": "b=2"}, affinity=True),
    labels(add={"a": "1"}, remove=["b", "c/*"]),
    annotations(add={"a": 'it\'s "1"\n'}, remove=["b"]),
    drop("Secret", "Widget.example.com"),
]
NAMES = [qualified_name(each) for each in ALL]

KEYS = st.sampled_from(
    [
        "spec",
        "template",
        "metadata",
        "labels",
        "annotations",
        "containers",
        "initContainers",
        "volumes",
        "image",
        "reference",
        "nodeSelector",
        "affinity",
        "nodeAffinity",
        "rules",
        "tls",
        "hosts",
        "host",
        "hostnames",
        "replicas",
        "storageClassName",
        "ephemeral",
        "volumeClaimTemplate",
        "volumeClaimTemplates",
        "a",
        "b",
        "pool",
        "requiredDuringSchedulingIgnoredDuringExecution",
        "nodeSelectorTerms",
        "matchExpressions",
        "preferredDuringSchedulingIgnoredDuringExecution",
        "preference",
        "key",
        "values",
    ]
)
TEXTS = st.sampled_from(["nginx", "gp2", "a.example.com", "x.old.io", "1", "pool", ""])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 5) | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4)
    ),
    max_leaves=20,
)
KINDS = st.sampled_from(
    sorted(
        {*POD_KINDS, ("", "PersistentVolumeClaim"), ("networking.k8s.io", "Ingress")}
        | {("autoscaling", "HorizontalPodAutoscaler"), ("", "Secret"), (GATEWAY, "x")}
    )
)


def object_of(kind, body):
    """An object that may be odd."""
    return {**body, "apiVersion": f"{kind[0]}/v1", "kind": kind[1]}


@given(KINDS, st.dictionaries(KEYS, JSON, max_size=4), st.sampled_from(ALL))
def test_once_is_enough(kind, body, transform):
    """Applied to what it made it changes nothing, and never what it was given."""
    item = object_of(kind, body)
    before = copy.deepcopy(item)

    once = transform(item)

    assert item == before
    if once is not None:
        assert transform(once) == once


@given(KINDS, st.dictionaries(KEYS, JSON, max_size=4), st.sampled_from(ALL))
def test_it_is_told_beforehand(kind, body, transform):
    """What it says is not its concern it does not change: that is never copied."""
    item = object_of(kind, body)

    if not transform.concerns(item):
        assert transform(item) is item
    elif (changed := transform(item)) is not None:
        fields = {"spec", "template", "data", "metadata"}
        assert {k for k in item if changed[k] != item[k]} <= fields


@pytest.mark.parametrize("transform", ALL, ids=lambda x: x.factory)
def test_a_name_is_the_call_that_makes_it(transform):
    """A transform is its parameters: by name, by equality, in another process."""
    name = qualified_name(transform)

    assert name == repr(transform) == f"kbackup.restore.{eval_name(name)}"
    for again in (from_name(name), _in_another_process(transform)):
        assert again == transform
        assert hash(again) == hash(transform)
        assert qualified_name(again) == name


def _in_another_process(transform):
    """The transform as it arrives there."""
    return pickle.loads(pickle.dumps(transform))  # noqa: S301 - our own


def eval_name(name):
    """What Python makes of a name that is a call."""
    text = name.removeprefix("kbackup.restore.")
    return repr(eval(text, {"transforms": transforms})).removeprefix("kbackup.restore.")  # noqa: S307


def test_every_transform_is_tried():
    """None is missing above."""
    factories = {each.factory for each in ALL}

    assert factories | {"from_name", "quiesce"} == set(transforms.__all__)


def test_the_order_of_parameters_is_nothing():
    """The same mapping in another order is the same transform."""
    one = storage_class({"a": "b", "c": "d"})
    other = storage_class({"c": "d", "a": "b"})

    assert (one, qualified_name(one)) == (other, qualified_name(other))
    assert one != storage_class({"a": "b", "c": "e"})
    assert one != registry({"a.io": "b.io"})


def test_quiesce_is_found_by_name():
    """A plan of an earlier version names it as this one does."""
    assert from_name("kbackup.restore.quiesce") is quiesce


@pytest.mark.parametrize(
    "name",
    [
        "",
        "shop.quiet",
        "kbackup.restore.transforms.registry",
        "kbackup.restore.transforms.registry()",
        "kbackup.restore.transforms.registry({'docker.io': 7})",
        "kbackup.restore.transforms.registry(dict())",
        "kbackup.restore.transforms.registry( {'docker.io': 'a.io'})",
        "kbackup.restore.transforms.from_name('kbackup.restore.quiesce')",
        "kbackup.restore.transforms.replicas(at_most=__import__('os').getpid())",
        "kbackup.restore.transforms.replicas(at_most=" + "(" * 5000,
        "kbackup.restore.transforms.drop('" + "A" * 200_000 + "')",
    ],
    ids=lambda name: name[:70],
)
def test_other_names_are_refused(name):
    """Only what a transform of ours calls itself is one, and nothing in it is run."""
    with pytest.raises(InvalidConfigError, match="is no transform of kbackup"):
        from_name(name)


def test_a_record_with_other_parameters_is_refused():
    """A saved plan is carried out with the transforms that it was made with."""
    record = RestoreOptions(transforms=[storage_class({"a": "b"})]).to_record()

    with pytest.raises(InvalidConfigError, match=r"storage_class\(\{'a': 'c'\}\)"):
        RestoreOptions.from_record(record, transforms=[storage_class({"a": "c"})])
    again = map(from_name, record["transforms"])
    assert RestoreOptions.from_record(record, transforms=again).to_record() == record
