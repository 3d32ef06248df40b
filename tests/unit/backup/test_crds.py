"""Which definitions belong to what was stored."""

import pytest

from kbackup.backup._crds import definitions_of, served_type
from kbackup.models import BackupPhase, GroupResource


def test_definitions_of_custom_types_only():
    """Types that the API server serves itself have no definition."""
    stored = [
        GroupResource("example.com", "widgets"),
        GroupResource("", "pods"),
        GroupResource("apps", "deployments"),
        GroupResource("snapshot.storage.k8s.io", "volumesnapshots"),
        GroupResource("rbac.authorization.k8s.io", "roles"),
    ]

    found = definitions_of(stored)

    assert [each.name for each in found] == [
        "volumesnapshots.snapshot.storage.k8s.io",
        "widgets.example.com",
    ]
    assert {str(each.group_resource) for each in found} == {
        "customresourcedefinitions.apiextensions.k8s.io"
    }


class _Late:
    """A cluster that gets a custom resource, and its definition, once it was asked for types."""

    def __init__(self, inner, scene):
        """Pass everything on to *inner*."""
        self._inner = inner
        self._scene = scene

    def for_run(self, cancel, **more):
        """Return the view of a run, which gets them as well."""
        return _Late(self._inner.for_run(cancel, **more), self._scene)

    def discover(self, *, refresh=False):
        """Return what was served before they came."""
        found = self._inner.discover(refresh=refresh)
        if refresh:
            made = self._scene.made
            api_version = "example.com/v1"
            widget = made("Widget", "late", "shop", api_version=api_version)
            self._scene.load(self._scene.definition("widgets", "Widget"), widget)
        return found

    def __getattr__(self, name):
        return getattr(self._inner, name)


@pytest.mark.parametrize(
    ("wanted", "phase", "gaps"),
    [
        ([], BackupPhase.PARTIALLY_FAILED, ["widgets.example.com"]),
        (["secrets", "crds"], BackupPhase.COMPLETED, []),
    ],
    ids=["everything", "other types"],
)
def test_a_type_that_came_as_the_backup_began(scene, wanted, phase, gaps):
    """A definition whose objects nobody asked for is told: it looks as if it had none."""
    scene.load(scene.secret("s"))
    scene.cluster = _Late(scene.cluster, scene)

    result = scene.back_up(included_resources=wanted)

    assert result.backup.status.phase is phase
    found = scene.store.manifest("b").not_covered
    assert [gap.resource for gap in found] == gaps
    assert "secrets/shop/s" in scene.stored()


@pytest.mark.parametrize(
    ("conditions", "served"),
    [(None, True), ([{"type": "Established", "status": "False"}], True), (..., False)],
    ids=["new", "name taken", "no version served"],
)
def test_a_definition_that_brings_no_type(scene, conditions, served):
    """Of what the server does not serve nobody could ask for objects."""
    definition = scene.definition("widgets", "Widget")
    definition["spec"]["versions"][0]["served"] = served
    established = [{"type": "Established", "status": "True"}]
    definition["status"] = {
        "conditions": established if conditions is ... else conditions
    }

    assert served_type(definition) is None
