"""The types that are known by name have one home, and their names say which they are."""

import re

from kbackup.models import GroupResource, well_known

TYPES = {
    name: value
    for name, value in vars(well_known).items()
    if isinstance(value, GroupResource)
}


def test_they_stand_in_order_and_once():
    """Each type has one constant, and whoever looks for one finds it by the alphabet."""
    assert list(TYPES) == sorted(TYPES)
    assert len(set(TYPES.values())) == len(TYPES)


def test_names_are_those_of_the_types():
    """A constant is named after its type, but for CRDs and the configurations of webhooks."""
    odd = {
        name
        for name, value in TYPES.items()
        if name.replace("_", "").lower() != value.resource
    }

    assert odd == {"CRDS", "MUTATING_WEBHOOKS", "VALIDATING_WEBHOOKS"}
    assert all(re.fullmatch(r"[A-Z_]+", name) for name in TYPES)
