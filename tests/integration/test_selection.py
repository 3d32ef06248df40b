"""What filters select on a real API server, which parses the selectors itself."""

from contextlib import ExitStack

import attrs
import pytest

from definitions import definition
from kbackup import BackupEngine, BackupSpec, BackupStore, Cluster
from kbackup.models import LabelSelector

pytestmark = pytest.mark.integration

KEPT_OUT = {"velero.io/exclude-from-backup": "true"}
HOLD = ["example.com/hold"]
CRDS = "customresourcedefinitions.apiextensions.k8s.io"


def thing(kind, name, namespace="", *, version="v1", **metadata):
    """An object."""
    where = {"namespace": namespace} if namespace else {}
    metadata = {"name": name, **where, **metadata}
    return {"apiVersion": version, "kind": kind, "metadata": metadata}


def objects(word):
    """Four namespaces of which one is kept out and one will be on its way out."""
    one, two, out, going = (f"{word}-{x}" for x in ("one", "two", "out", "going"))
    web, db = {"app": "web", "tier": "front"}, {"app": "db"}
    group = f"{word}.example.com/v1"
    role = {"rules": [], **thing("ClusterRole", word, version=RBAC, labels=db)}
    return [
        thing("Namespace", one, labels={"app": "web"}),
        thing("Namespace", two),
        thing("Namespace", out, labels=KEPT_OUT),
        thing("Namespace", going),
        thing("ConfigMap", "web", one, labels=web),
        thing("ConfigMap", "db", one, labels=db),
        thing("ConfigMap", "secret", one, labels=web | KEPT_OUT),
        thing("Secret", "web", two, labels=web),
        thing("ConfigMap", "plain", two),
        thing("ConfigMap", "web", out, labels=web),
        thing("ConfigMap", "held", going, finalizers=HOLD),
        thing("Widget", "w", two, version=group),
        role,
    ]


RBAC = "rbac.authorization.k8s.io/v1"


@attrs.frozen
class Selecting:
    """A real cluster and a store beside it.

    Attributes:
        engine: Between them.
        store: Empty at first.
        word: With which the names of all objects of the test begin.
    """

    engine: BackupEngine
    store: BackupStore
    word: str

    def stored(self, **spec):
        """What a backup holds of the test's objects, the word left out."""
        name = f"b-{len(self.store.list())}"
        result = self.engine.run(name, BackupSpec(**spec))
        with self.store.open_archive(name) as archive:
            found = [str(item.identifier) for item in archive]
        own = [text for text in found if self.word in text and not is_made(text)]
        return {text.replace(f"{self.word}-", "") for text in own}, result


def is_made(text):
    """Whether controllers or the API server itself made an object."""
    made = ("default", "kube-root-ca.crt", "default-token-")
    by_server = text.startswith(("events", "apiservices"))
    return by_server or text.rpartition("/")[2].startswith(made)


@pytest.fixture(scope="module")
def selecting(real_cluster, wait_for, tmp_path_factory):
    """All objects, made and settled."""
    word = "xsel"
    with ExitStack() as stack:
        cluster = stack.enter_context(Cluster.connect(real_cluster.kubeconfig))
        crd = definition(f"{word}.example.com", "widgets", "Widget")

        def served(item):
            version, kind = item["apiVersion"], item["kind"]
            known = cluster.discover().by_kind(version, kind)
            return known or cluster.discover(refresh=True).by_kind(version, kind)

        def release():
            """Let the namespace go that is held."""
            held = thing("ConfigMap", "held", f"{word}-going")
            patch = {"metadata": {"finalizers": None}}
            cluster.patch(served(held), "held", patch, namespace=f"{word}-going")

        cluster.create(served(crd), crd)
        stack.callback(cluster.delete, served(crd), crd["metadata"]["name"])
        for item in objects(word):
            wait_for("the type", lambda item=item: served(item))
            namespace = item["metadata"].get("namespace", "")
            cluster.create(served(item), item, namespace=namespace)
            if not namespace and not item["metadata"]["name"].endswith("-going"):
                stack.callback(cluster.delete, served(item), item["metadata"]["name"])
        going = thing("Namespace", f"{word}-going")
        cluster.delete(served(going), going["metadata"]["name"])
        stack.callback(release)
        store = stack.enter_context(BackupStore.open(tmp_path_factory.mktemp("store")))
        yield Selecting(BackupEngine(cluster, store), store, word)


WEB = LabelSelector.parse("app in (web,cache),tier,!old")
DB = LabelSelector.parse("app=db")
CLUSTER_ROLE = "clusterroles.rbac.authorization.k8s.io/xsel"
DEFINED = f"{CRDS}/widgets.xsel.example.com"
WIDGET = "widgets.xsel.example.com/two/w"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            {"label_selector": WEB, "included_namespaces": ["xsel-*"]},
            {"configmaps/one/web", "secrets/two/web", "namespaces/one"}
            | {"namespaces/two"},
        ),
        (
            {"or_label_selectors": [WEB, DB]},
            {"configmaps/one/web", "configmaps/one/db", "secrets/two/web"}
            | {"namespaces/one", "namespaces/two", CLUSTER_ROLE},
        ),
        (
            {"included_namespaces": ["xsel-t??"]},
            {"configmaps/two/plain", "secrets/two/web", "namespaces/two"}
            | {WIDGET, DEFINED},
        ),
        (
            {"included_namespaces": ["xsel-*"], "excluded_namespaces": ["xsel-[tg]*"]},
            {"configmaps/one/web", "configmaps/one/db", "namespaces/one"},
        ),
        (
            {
                "included_namespaces": ["xsel-one", "xsel-two"],
                "included_resources": ["cm", "Widget"],
            },
            {"configmaps/one/web", "configmaps/one/db", "configmaps/two/plain"}
            | {WIDGET, DEFINED},
        ),
        (
            {
                "included_namespaces": ["xsel-two"],
                "included_namespace_scoped_resources": ["widgets.xsel.example.com"],
                "included_cluster_scoped_resources": ["clusterroles"],
            },
            {WIDGET, DEFINED, CLUSTER_ROLE, "namespaces/two"},
        ),
        (
            {
                "included_namespaces": ["xsel-two"],
                "include_cluster_resources": False,
                "excluded_resources": ["secrets"],
            },
            {"configmaps/two/plain", WIDGET},
        ),
        (
            {
                "included_namespaces": ["xsel-two"],
                "include_cluster_resources": True,
                "excluded_resources": ["secrets", "crds"],
            },
            {"configmaps/two/plain", WIDGET, "namespaces/two", CLUSTER_ROLE},
        ),
    ],
    ids=[
        "selector",
        "several selectors",
        "wildcard",
        "excluded wildcard",
        "types by any name",
        "by scope",
        "no cluster-scoped",
        "all cluster-scoped",
    ],
)
def test_filters(selecting, spec, expected):
    """Exactly what a filter means is stored, what its owner keeps out never is."""
    stored, result = selecting.stored(**spec)

    assert stored == expected
    assert result.results.errors == ()


def test_a_namespace_that_is_going(selecting):
    """Its Namespace object is not stored, and who named it is told."""
    stored, result = selecting.stored(included_namespaces=["xsel-going", "xsel-two"])

    assert "namespaces/going" not in stored
    assert "namespaces/two" in stored
    told = [str(warning) for warning in result.results.warnings]
    assert any("namespace xsel-going is Terminating: its" in each for each in told)
