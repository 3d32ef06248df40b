"""The head of a plan says what was asked for beyond the defaults, and nothing else."""

from datetime import timedelta

import pytest

from kbackup.models import (
    LabelSelector,
    RestoreOptions,
    RestoreSpec,
    RestoreStatusSpec,
)
from kbackup.restore import quiesce
from kbackup.restore._request.asked import asked_lines

SPEC = RestoreSpec(backup_name="shop-1")
ALL = RestoreSpec(
    backup_name="shop-1", included_namespaces=("*",), included_resources=("*",)
)
WEB, DB = LabelSelector.parse("app=web"), LabelSelector.parse("app=db,tier in (a)")


def _is_wanted(_item):
    """A function of the user."""
    return True


@pytest.mark.parametrize("spec", [SPEC, ALL])
def test_nothing_special(spec):
    """A restore of everything, as by default, has no such line."""
    manner = RestoreOptions(deadline=timedelta(0), validate=True, redact=["*"])

    assert asked_lines(spec, RestoreOptions()) == []
    assert asked_lines(spec, manner) == []


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"namespace_mapping": {"a": "b", "c": "d"}}, "namespaces a -> b, c -> d"),
        ({"included_namespaces": ("a", "b")}, "only namespaces a, b"),
        ({"excluded_namespaces": ("a",)}, "without namespaces a"),
        (
            {"included_resources": tuple("abcdefg")},
            "only types a, b, c, d, e and 2 more",
        ),
        ({"excluded_resources": ("pods",)}, "without types pods"),
        ({"include_cluster_resources": False}, "cluster-scoped objects no"),
        ({"label_selector": WEB}, "only labelled app=web"),
        (
            {"or_label_selectors": (WEB, DB)},
            "only labelled app=web or app=db,tier in (a)",
        ),
        ({"existing_resource_policy": "update"}, "existing resource policy update"),
        ({"restore_pvs": False}, "volumes no"),
        ({"preserve_node_ports": True}, "preserve node ports yes"),
        ({"restore_status": RestoreStatusSpec()}, "status of all types"),
        (
            {
                "restore_status": RestoreStatusSpec(
                    included_resources=("*",), excluded_resources=("pods", "jobs")
                )
            },
            "status of all types but pods, jobs",
        ),
    ],
)
def test_what_the_specification_says(given, text):
    """Which part of the backup is taken, under which names, and what may be changed."""
    spec = RestoreSpec(backup_name="shop-1", **given)

    assert asked_lines(spec, RestoreOptions()) == [f"asked     {text}"]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"transforms": [quiesce]}, "transforms kbackup.restore.quiesce"),
        ({"where": _is_wanted}, f"where {__name__}._is_wanted"),
        (
            {"existing_cluster_resource_policy": "update"},
            "existing cluster resource policy update",
        ),
        ({"released_volumes": "reattach"}, "released volumes reattach"),
        ({"retained_volumes": "reuse"}, "retained volumes reuse"),
        ({"include_system": True}, "include system yes"),
        ({"relink_owners": False}, "relink owners no"),
        ({"salvage": True}, "salvage yes"),
    ],
)
def test_what_the_options_say(given, text):
    """Functions by name, and every option that decides what is written."""
    assert asked_lines(SPEC, RestoreOptions(**given)) == [f"asked     {text}"]


def test_two_lines():
    """What is taken and what is done to it are told apart."""
    spec = RestoreSpec(backup_name="shop-1", namespace_mapping={"shop": "copy"})

    assert asked_lines(spec, RestoreOptions(transforms=[quiesce])) == [
        "asked     namespaces shop -> copy",
        "          transforms kbackup.restore.quiesce",
    ]


def test_settings_have_lines_of_their_own():
    """Each action's settings are told once, with the ConfigMap that they are of."""
    settings = {"acme.io/b": {"old": "new", "a": "c"}, "acme.io/a": {}}
    options = RestoreOptions(relink_owners=False, action_settings=settings)

    assert asked_lines(SPEC, options, {"acme.io/b": "velero/sc"}) == [
        "asked     relink owners no",
        "          settings of acme.io/a none",
        "          settings of acme.io/b a=c, old=new (ConfigMap velero/sc)",
    ]
