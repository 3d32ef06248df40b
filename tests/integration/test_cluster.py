"""The cluster room against a real API server."""

from datetime import timedelta

import attrs
import pytest

from kbackup.cluster import Cluster, PatchKind
from kbackup.errors import (
    AlreadyExistsError,
    ConflictError,
    ForbiddenError,
    InvalidConfigError,
    InvalidItemError,
    ItemNotFoundError,
    UnauthorizedError,
    UnsupportedByServerError,
)
from kbackup.models import APIResource, EngineSettings, GroupResource

pytestmark = pytest.mark.integration
MANY = 250


@pytest.fixture
def own(cluster, namespace):
    """The name of a namespace of this test's own."""
    resource = cluster.discover().resolve("namespaces")
    cluster.create(resource, {"metadata": {"name": namespace}})
    yield namespace
    cluster.delete(resource, namespace)


def config_map(name, **data):
    """Return a ConfigMap."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": data,
    }


def test_about(cluster):
    """Version, uid, types and rights can be read."""
    found = cluster.discover()

    assert cluster.version().git_version.startswith("v1.")
    assert len(cluster.uid()) == 36
    assert found.failures == ()
    assert found.resources[0].group == ""
    assert found.resolve("deploy").api_version == "apps/v1"
    assert cluster.may("create", GroupResource("apps", "deployments"))


def test_life_of_an_object(cluster, own):
    """An object is created, read, patched in each way, and deleted."""
    resource = cluster.discover().resolve("configmaps")
    there = {"namespace": own}

    made = cluster.create(resource, config_map("a", x="1"), **there)
    with pytest.raises(AlreadyExistsError):
        cluster.create(resource, config_map("a"), **there)
    cluster.patch(resource, "a", {"data": {"y": "2"}}, **there)
    json_patch = [{"op": "add", "path": "/data/z", "value": "3"}]
    cluster.patch(resource, "a", json_patch, kind=PatchKind.JSON, **there)
    applied = config_map("a", w="4")
    cluster.patch(resource, "a", applied, kind=PatchKind.APPLY, **there)
    item = cluster.get(resource, "a", own)
    assert item.content["data"] == {"x": "1", "y": "2", "z": "3", "w": "4"}

    with pytest.raises(ConflictError):
        cluster.delete(resource, "a", uid="other", **there)
    cluster.delete(resource, "a", uid=made["metadata"]["uid"], **there)
    with pytest.raises(ItemNotFoundError):
        cluster.get(resource, "a", own)


def test_strategic_patch(cluster, own):
    """A strategic merge patch changes one container of two, by its name."""
    resource = cluster.discover().resolve("pods")
    containers = [{"name": name, "image": "example.com/a:1"} for name in ("x", "y")]
    body = {"metadata": {"name": "p"}, "spec": {"containers": containers}}
    cluster.create(resource, body, namespace=own)
    changed = {"spec": {"containers": [{"name": "y", "image": "example.com/a:2"}]}}

    answer = cluster.patch(
        *(resource, "p", changed), namespace=own, kind=PatchKind.STRATEGIC
    )

    images = {each["name"]: each["image"] for each in answer["spec"]["containers"]}
    assert images == {"x": "example.com/a:1", "y": "example.com/a:2"}


def test_dry_run(cluster, own):
    """A dry-run checks and stores nothing."""
    resource = cluster.discover().resolve("configmaps")

    cluster.create(resource, config_map("a"), namespace=own, dry_run=True)
    with pytest.raises(InvalidItemError):
        cluster.create(resource, config_map("A_"), namespace=own, dry_run=True)

    assert "a" not in [item.name for item in cluster.list(resource, namespace=own)]


def test_lists_at_one_version(cluster, own):
    """A list at an older version shows what was there then, over several pages."""
    resource = cluster.discover().resolve("configmaps")
    for number in range(MANY):
        cluster.create(resource, config_map(f"m{number:03}"), namespace=own)
    now = cluster.list(resource, namespace=own)
    names = {item.name for item in now}
    cluster.create(resource, config_map("later"), namespace=own)

    before = cluster.list(
        resource, namespace=own, resource_version=now.resource_version
    )

    assert {item.name for item in before} == names
    assert before.record.exact
    assert before.record.listed == len(names) >= MANY


def test_unreadable_version(cluster, own):
    """A version from the future is read at the newest, and the record says so."""
    resource = cluster.discover().resolve("configmaps")

    listing = cluster.list(resource, namespace=own, resource_version="999999999")

    list(listing)
    assert not listing.record.exact


def test_watch(cluster, own):
    """A watch tells of what exists and of what comes."""
    resource = cluster.discover().resolve("configmaps")
    cluster.create(resource, config_map("a"), namespace=own)
    events = cluster.watch(
        resource, namespace=own, name="a", timeout=timedelta(seconds=30)
    )

    first = next(events)
    cluster.delete(resource, "a", namespace=own)
    second = next(events)

    assert (first.type, second.type) == ("ADDED", "DELETED")


def test_unknown_type(cluster, own):
    """A type that is not served is told apart from an object that is not there."""
    resource = APIResource(
        group="none.test", version="v1", resource="things", kind="T", namespaced=True
    )

    with pytest.raises(UnsupportedByServerError):
        cluster.get(resource, "a", own)


def test_secret_values(cluster, own):
    """The real server's words about a refused Secret do not reach the error."""
    resource = cluster.discover().resolve("secrets")
    body = {"metadata": {"name": "s"}, "data": {"k": "hunter2!"}}

    with pytest.raises(InvalidItemError) as caught:
        cluster.create(resource, body, namespace=own)

    assert "hunter2" not in f"{caught.value} {caught.value.body}"


def test_few_rights(real_cluster, cluster, own):
    """With rights in one namespace, that namespace can be read, and nothing else."""
    find = cluster.discover().resolve
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]}]
    group = "rbac.authorization.k8s.io"
    cluster.create(
        find("roles"), {"metadata": {"name": "r"}, "rules": rules}, namespace=own
    )
    binding = {
        "metadata": {"name": "r"},
        "subjects": [{"kind": "User", "name": "ann", "apiGroup": group}],
        "roleRef": {"kind": "Role", "name": "r", "apiGroup": group},
    }
    cluster.create(find("rolebindings"), binding, namespace=own)

    with Cluster.connect(real_cluster.kubeconfig, as_user="ann") as limited:
        maps = limited.discover().resolve("configmaps")
        made = limited.create(maps, config_map("a"), namespace=own)
        version = made["metadata"]["resourceVersion"]
        listing = limited.list(maps, namespace=own, resource_version=version)

        assert "a" in [item.name for item in listing]
        assert limited.uid() == ""
        assert limited.may("list", GroupResource("", "configmaps"), namespace=own)
        assert not limited.may("list", GroupResource("", "configmaps"))
        with pytest.raises(ForbiddenError):
            list(limited.list(maps))


def test_not_logged_in(real_cluster, tmp_path):
    """A wrong token is told as such."""
    text = real_cluster.kubeconfig.read_text().replace("admintoken", "wrong")
    path = tmp_path / "config"
    path.write_text(text)

    with (
        Cluster.connect(path) as cluster,
        pytest.raises((UnauthorizedError, InvalidConfigError)),
    ):
        cluster.discover()


def test_pages_by_size(real_cluster, own):
    """Large objects come in small pages."""
    settings = attrs.evolve(EngineSettings(), page_bytes=100_000)
    with Cluster.connect(real_cluster.kubeconfig, settings=settings) as cluster:
        resource = cluster.discover().resolve("configmaps")
        for number in range(110):
            body = config_map(f"big{number:03}", x="x" * 20_000)
            cluster.create(resource, body, namespace=own)

        sizes = [len(p.items) for p in cluster.list(resource, namespace=own).pages()]

    assert sizes[0] > 5
    assert max(sizes[1:]) <= 5
