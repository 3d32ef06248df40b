"""What a comparison says of one object, as a part of a document."""

from kbackup.models import ChangedItem, GroupResource, ResourceIdentifier


def test_an_object_that_cannot_be_compared_says_why():
    """The document names object, other name and reason."""
    jobs = GroupResource.parse("cronjobs.batch")
    found = ChangedItem(
        identifier=ResourceIdentifier(jobs, "shop", "nightly"),
        target=ResourceIdentifier(jobs, "copy", "nightly"),
        reason="batch/v1beta1 and batch/v1 cannot be compared",
    )

    assert found.to_json() == {
        "item": "cronjobs.batch/shop/nightly",
        "target": "cronjobs.batch/copy/nightly",
        "reason": "batch/v1beta1 and batch/v1 cannot be compared",
        "differences": [],
    }
