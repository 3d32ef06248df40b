"""Claims and volumes come back under the storage classes that the target has."""

import pytest

from kbackup.actions._restore_change_storage_class import ChangeStorageClassAction
from kbackup.testing import restore_input

SETTINGS = {"old": "new", "gone": "fast", "fast": "slow"}
ANNOTATION = "volume.beta.kubernetes.io/storage-class"


def claim(name=None, annotated=None):
    """A claim that names a class in its field, in its annotation, or in neither."""
    notes = {"mine": "kept"} | ({ANNOTATION: annotated} if annotated else {})
    spec = {} if name is None else {"storageClassName": name}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": "shop", "annotations": notes},
        "spec": {"accessModes": ["ReadWriteOnce"], **spec},
    }


def changed(resource, item, settings=SETTINGS):
    """What the action makes of an item."""
    given = restore_input(resource, item, settings=settings)
    return ChangeStorageClassAction().execute(given).item


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (claim("old"), claim("new")),
        (claim("gone"), claim("fast")),  # and not on to "slow"
        (claim("other"), claim("other")),
        (claim(""), claim("")),
        (claim(), claim()),
        (claim(annotated="old"), claim(annotated="new")),
        (claim("old", annotated="gone"), claim("new", annotated="fast")),
    ],
)
def test_class_of_a_claim(before, after):
    """A class that is named is replaced once, wherever it stands; none stays none."""
    assert changed("persistentvolumeclaims", before) == after


def test_class_of_a_volume():
    """A volume follows its claim, or the claim would wait for it for ever."""
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": "pv-1"},
        "spec": {"storageClassName": "old", "hostPath": {"path": "/x"}},
    }

    assert changed("persistentvolumes", volume)["spec"] == {
        "storageClassName": "new",
        "hostPath": {"path": "/x"},
    }


def test_each_template_of_a_stateful_set():
    """Each template has a class of its own; one without any stays as it is."""
    templates = [claim("old"), claim(), claim("other"), claim("gone")]
    item = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "db", "namespace": "shop"},
        "spec": {"replicas": 2, "volumeClaimTemplates": templates},
    }

    assert changed("statefulsets.apps", item)["spec"] == {
        "replicas": 2,
        "volumeClaimTemplates": [claim("new"), claim(), claim("other"), claim("fast")],
    }


@pytest.mark.parametrize("settings", [{}, {"old": "old"}, {"else": "new"}])
def test_nothing_to_change(settings):
    """Without a setting for its class an item is the very one that was given."""
    given = restore_input("persistentvolumeclaims", claim("old"), settings=settings)

    assert ChangeStorageClassAction().execute(given).item is given.item


@pytest.mark.parametrize("settings", [{"old": ""}, {"": "new"}])
def test_half_a_setting(settings):
    """A class without the other one can hardly be meant."""
    (fault,) = ChangeStorageClassAction().settings_violations(settings)

    assert "it takes the old class and the new one" in fault
