"""Bindings follow their subjects into other namespaces."""

import pytest

from kbackup.actions._restore_role_bindings import (
    ClusterRoleBindingAction,
    RoleBindingAction,
)
from kbackup.models import RestoreSpec
from kbackup.testing import restore_input

RBAC = "rbac.authorization.k8s.io"


def binding(kind, *subjects):
    """A binding with a subject for each pair of kind and namespace."""
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": kind,
        "metadata": {"name": "readers"},
        "roleRef": {"kind": "ClusterRole", "name": "view"},
        "subjects": [
            {"kind": kind, "namespace": namespace, "name": "x"}
            for kind, namespace in subjects
        ],
    }


@pytest.mark.parametrize(
    ("action", "kind"),
    [
        (RoleBindingAction(), "RoleBinding"),
        (ClusterRoleBindingAction(), "ClusterRoleBinding"),
    ],
)
def test_subjects_are_mapped(action, kind):
    """Subjects of mapped namespaces move, also when two namespaces swap."""
    spec = RestoreSpec(
        backup_name="nightly", namespace_mapping={"shop": "bank", "bank": "shop"}
    )
    item = binding(
        kind,
        ("ServiceAccount", "shop"),
        ("ServiceAccount", "bank"),
        ("ServiceAccount", "other"),
    )
    given = restore_input(f"{kind.lower()}s.{RBAC}", item, spec=spec)

    assert action.execute(given).item == binding(
        kind,
        ("ServiceAccount", "bank"),
        ("ServiceAccount", "shop"),
        ("ServiceAccount", "other"),
    )


def test_groups_of_a_namespace_are_left():
    """Groups that stand for a namespace's accounts keep their names, as in Velero."""
    group = {"kind": "Group", "name": "system:serviceaccounts:shop"}
    item = {**binding("RoleBinding"), "subjects": [group]}
    spec = RestoreSpec(backup_name="nightly", namespace_mapping={"shop": "bank"})
    given = restore_input(f"rolebindings.{RBAC}", item, spec=spec)

    assert RoleBindingAction().execute(given).item == item
