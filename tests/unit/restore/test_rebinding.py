"""A Released volume is offered again to the claim that had it."""

import pytest

from kbackup.models import GroupResource, ResourceIdentifier
from kbackup.restore._volumes.rebinding import is_offered, rebind_digest, rebind_patch

TARGET = ResourceIdentifier(
    GroupResource.parse("persistentvolumeclaims"), "copy", "data"
)
OURS = {"namespace": "copy", "name": "data"}


def test_rebinding_offers_the_volume_to_the_claim():
    """The patch names the claim in the target and forgets the old uid."""
    reference = rebind_patch(TARGET)["spec"]["claimRef"]

    assert (reference["namespace"], reference["name"]) == ("copy", "data")
    assert reference["uid"] is None


def test_the_digest_is_that_of_one_claim():
    """A plan that offers a volume to one claim does not let it go to another."""
    other = ResourceIdentifier(TARGET.group_resource, "shop", "data")

    assert rebind_digest(TARGET) != rebind_digest(other)


@pytest.mark.parametrize(
    ("reference", "phase", "offered"),
    [
        (OURS, "Available", True),
        ({**OURS, "uid": "old"}, "Released", False),
        ({**OURS, "uid": "new"}, "Bound", True),
        ({"namespace": "shop", "name": "data"}, "Available", False),
        (None, "Available", False),
    ],
    ids=["offered", "released", "bound", "to another claim", "to nobody"],
)
def test_what_is_offered_already(reference, phase, offered):
    """A volume that waits for the claim, or has it, needs no second write."""
    volume = {"spec": {"claimRef": reference}, "status": {"phase": phase}}

    assert is_offered(volume, TARGET) is offered
