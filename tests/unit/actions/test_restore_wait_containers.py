"""No restored Pod waits for a restore that is long over."""

import pytest

from kbackup.actions._restore_wait_containers import WaitContainerAction
from kbackup.testing import restore_input

SPEC = {"containers": [{"name": "web"}]}


def waiting(*init):
    """A Pod spec with these init containers."""
    return {**SPEC, "initContainers": [{"name": name} for name in init]}


WRAPS = {
    "pods": lambda spec: {"spec": spec},
    "podtemplates": lambda spec: {"template": {"spec": spec}},
    "deployments.apps": lambda spec: {"spec": {"template": {"spec": spec}}},
    "statefulsets.apps": lambda spec: {"spec": {"template": {"spec": spec}}},
    "jobs.batch": lambda spec: {"spec": {"template": {"spec": spec}}},
    "cronjobs.batch": lambda spec: {
        "spec": {"jobTemplate": {"spec": {"template": {"spec": spec}}}}
    },
    "rollouts.argoproj.io": lambda spec: {"spec": {"template": {"spec": spec}}},
}


@pytest.mark.parametrize("resource", WRAPS)
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (waiting("restore-wait"), SPEC),
        (waiting("restic-wait", "mine"), waiting("mine")),
        (waiting("mine", "restore-wait", "restic-wait"), waiting("mine")),
        (waiting("mine"), waiting("mine")),
    ],
)
def test_wait_containers_go(resource, before, after):
    """Either name is removed, at any place, from a Pod and from every template."""
    wrap = WRAPS[resource]
    head = {"apiVersion": "v1", "kind": "X", "metadata": {"name": "w"}}
    given = restore_input(resource, {**head, **wrap(before)})

    assert WaitContainerAction().execute(given).item == {**head, **wrap(after)}


@pytest.mark.parametrize("resource", WRAPS)
def test_workload_types_are_covered(resource):
    """The action applies to each type that makes Pods, by its full name."""
    assert resource in WaitContainerAction.applies_to.included_resources
