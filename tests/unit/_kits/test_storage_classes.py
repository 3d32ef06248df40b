"""Which storage class a claim or a volume names."""

import pytest

from kbackup._kits.storage_classes import storage_class_of

OLD = {"annotations": {"volume.beta.kubernetes.io/storage-class": "old"}}


@pytest.mark.parametrize(
    ("claim", "named"),
    [
        ({"spec": {"storageClassName": "new"}}, "new"),
        ({"metadata": OLD, "spec": {}}, "old"),
        ({"metadata": OLD, "spec": {"storageClassName": "new"}}, "old"),
        ({"spec": {"storageClassName": ""}}, ""),
        ({"metadata": {"annotations": None}, "spec": {}}, None),
        ({"metadata": [], "spec": "odd"}, None),
    ],
    ids=["field", "annotation", "both", "none wanted", "nothing said", "odd"],
)
def test_the_class_that_is_named(claim, named):
    """The annotation from before the field wins, as in Kubernetes."""
    assert storage_class_of(claim) == named
