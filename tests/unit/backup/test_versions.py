"""In which version types behind a conversion webhook are stored in a backup."""

import gzip
import io
import json
import tarfile

import pytest

from kbackup.models import BackupPhase, GroupResource

THINGS = GroupResource("example.com", "things")
WEBHOOK = {
    "strategy": "Webhook",
    "webhook": {
        "clientConfig": {"service": {"namespace": "shop", "name": "hook"}},
        "conversionReviewVersions": ["v1"],
    },
}


@pytest.fixture(name="things")
def fixture_things(scene):
    """Make a type of versions v2, preferred, and v1, stored; with an object of v1."""

    def make(conversion=None, **of_stored):
        definition = scene.definition("things", "Thing")
        spec = definition["spec"]
        (version,) = spec["versions"]
        spec["versions"] = [
            {**version, "name": "v2", "storage": False},
            {**version, **of_stored},
        ]
        spec["conversion"] = conversion or WEBHOOK
        served = "v1" if of_stored.get("served", True) else "v2"
        thing = scene.made(
            "Thing", "one", "shop", api_version=f"example.com/{served}", spec={"a": 1}
        )
        scene.load(definition, thing)

    return make


def entries(scene, name="b"):
    """Return the paths in a backup's archive that are about things."""
    packed = io.BytesIO()
    scene.objects.get(f"backups/{name}/{name}.tar.gz", packed)
    packed.seek(0)
    with tarfile.open(fileobj=packed) as archive:
        return sorted(
            x for x in archive.getnames() if "/things." in f"/{x}" and "shop" in x
        )


def test_type_behind_a_webhook_is_read_at_its_storage_version(scene, things):
    """A backup needs no conversion webhook: it may be down."""
    things()

    result = scene.back_up(included_namespaces=("shop",))

    assert result.backup.status.phase is BackupPhase.COMPLETED
    stored = scene.item("things.example.com/shop/one")
    assert stored["apiVersion"] == "example.com/v1"


def test_velero_finds_what_is_stored_at_another_version_than_preferred(scene, things):
    """It is stored un-versioned too, and marked as the version to restore."""
    things()

    scene.back_up(included_namespaces=("shop",))

    assert entries(scene) == [
        "resources/things.example.com/namespaces/shop/one.json",
        "resources/things.example.com/v1-preferredversion/namespaces/shop/one.json",
    ]


def test_version_is_the_same_wherever_a_backup_states_it(scene, things):
    """The manifest's lists and the resource list name the version that is stored."""
    things()

    result = scene.back_up(included_namespaces=("shop",))

    versions = [x.version for x in result.report.lists if x.resource == THINGS]
    packed = io.BytesIO()
    scene.objects.get("backups/b/b-resource-list.json.gz", packed)
    assert versions == ["v1"]
    assert json.loads(gzip.decompress(packed.getvalue()))["example.com/v1/Thing"] == [
        "shop/one"
    ]


def test_type_without_a_webhook_is_read_at_its_preferred_version(scene, things):
    """Where the API server converts by itself, the preferred version is stored."""
    things(conversion={"strategy": "None"})

    scene.back_up(included_namespaces=("shop",))

    stored = scene.item("things.example.com/shop/one")
    assert stored["apiVersion"] == "example.com/v2"


def test_storage_version_that_is_not_served_cannot_be_read(scene, things):
    """Then the preferred version is asked for, and the webhook's failure is named."""
    things(served=False)

    result = scene.back_up(included_namespaces=("shop",))

    assert result.backup.status.phase is BackupPhase.PARTIALLY_FAILED
    (error,) = [str(x) for x in result.results.errors]
    assert "conversion webhook for example.com/v2" in error


def test_definition_that_may_not_be_read(scene, things):
    """With rights in namespaces only, the preferred version is read, as ever."""
    things(conversion={"strategy": "None"})
    scene.server.faults.forbid(resource="customresourcedefinitions")

    scene.back_up(included_namespaces=("shop",))

    stored = scene.item("things.example.com/shop/one")
    assert stored["apiVersion"] == "example.com/v2"


def test_definitions_are_asked_about_only_where_there_is_a_choice(scene):
    """A type of one version costs no request: many clusters have hundreds of them."""
    scene.load(scene.definition("widgets", "Widget"), scene.secret("s"))

    scene.engine().plan(scene.spec(included_namespaces=("shop",)))

    assert scene.server.calls["get customresourcedefinitions.apiextensions.k8s.io"] == 0
