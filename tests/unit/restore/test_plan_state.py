"""What is planned so far is known by group, kind and name."""

import pytest

from kbackup._kits.controlled import Owner
from kbackup.models import GroupResource, ResourceIdentifier
from kbackup.restore._plan.state import PlanState
from kbackup.restore._plan_entry import PlanAction, PlanEntry


def remembered(version, kind):
    """Return what is known of one item that will be created."""
    ref = ResourceIdentifier(GroupResource("x.example.com", "x"), "shop", "web")
    state = PlanState()
    state.remember(
        PlanEntry(
            identifier=ref,
            target=ref,
            action=PlanAction.CREATE,
            api_version=version,
            kind=kind,
        )
    )
    return state.present


@pytest.mark.parametrize(
    ("planned", "named", "is_known"),
    [
        ("apps/v1", "apps/v1", True),
        ("apps/v1", "apps/v1beta2", True),
        ("apps/v1", "extensions/v1beta1", True),
        ("example.com/v1", "apps/v1", False),
        ("apps/v1", "example.com/v1", False),
    ],
)
def test_an_owner_that_is_planned(planned, named, is_known):
    """An owner is found in any version, and not for the name of its kind alone."""
    present = remembered(planned, "ReplicaSet")

    owner = Owner(named, "ReplicaSet", "web")
    assert ((owner.group_kind, "shop", "web") in present) is is_known


def test_a_secret_of_another_group():
    """It may own something, as no Secret of Kubernetes' own does."""
    assert remembered("example.com/v1", "Secret")
    assert not remembered("v1", "Secret")
