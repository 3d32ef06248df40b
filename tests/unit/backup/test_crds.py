"""Which definitions belong to what was stored."""

from kbackup.backup._crds import definitions_of
from kbackup.models import GroupResource


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
