"""Which LISTs a backup makes."""

import pytest

from kbackup.backup._collector import plan_lists
from kbackup.backup._namespaces import Namespaces
from kbackup.models import APIResource

PODS = APIResource(group="", version="v1", resource="pods", kind="Pod", namespaced=True)
NODES = APIResource(
    group="", version="v1", resource="nodes", kind="Node", namespaced=False
)


@pytest.mark.parametrize(
    ("listed", "selectors", "expected"),
    [
        (None, ("",), [("pods", "", ""), ("nodes", "", "")]),
        (
            ("a", "b"),
            ("",),
            [("pods", "a", ""), ("pods", "b", ""), ("nodes", "", "")],
        ),
        ((), ("",), [("nodes", "", "")]),
        (
            ("a",),
            ("x=1", "y=2"),
            [
                ("pods", "a", "x=1"),
                ("pods", "a", "y=2"),
                ("nodes", "", "x=1"),
                ("nodes", "", "y=2"),
            ],
        ),
    ],
    ids=["all namespaces", "two named", "none that exists", "two selectors"],
)
def test_lists_by_namespace_and_selector(listed, selectors, expected):
    """Named namespaces are listed one by one, all of them at once; each selector alone."""
    tasks = plan_lists([PODS, NODES], Namespaces(listed=listed), selectors)

    found = [(str(x.group_resource), x.namespace, x.selector) for x in tasks]
    assert found == expected
