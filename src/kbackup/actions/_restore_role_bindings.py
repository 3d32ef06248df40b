"""Restore bindings for the accounts of the namespaces they are restored to."""

from __future__ import annotations

from collections.abc import Mapping

from kbackup._kits.edit import JSONObject, each_changed
from kbackup._kits.nested import objects_at, text_at
from kbackup.models import ResourceSelector
from kbackup.plugins import RestoreInput, RestoreOutput


class RoleBindingAction:
    """Map the namespaces of a RoleBinding's subjects (``velero.io/role-bindings``)."""

    name = "velero.io/role-bindings"
    applies_to = ResourceSelector(
        included_resources=("rolebindings.rbac.authorization.k8s.io",)
    )

    def concerns(self, item: JSONObject) -> bool:
        """Tell whether `execute` may do anything: users and groups have no namespace."""
        return names_accounts(item)

    def execute(self, given: RestoreInput) -> RestoreOutput:
        """Point each subject at the namespace that its own is restored to."""
        return RestoreOutput(item=with_mapped_subjects(given))


class ClusterRoleBindingAction:
    """As `RoleBindingAction` (``velero.io/cluster-role-bindings``)."""

    name = "velero.io/cluster-role-bindings"
    applies_to = ResourceSelector(
        included_resources=("clusterrolebindings.rbac.authorization.k8s.io",)
    )

    def concerns(self, item: JSONObject) -> bool:
        """Tell whether `execute` may do anything: users and groups have no namespace."""
        return names_accounts(item)

    def execute(self, given: RestoreInput) -> RestoreOutput:
        """Point each subject at the namespace that its own is restored to."""
        return RestoreOutput(item=with_mapped_subjects(given))


def names_accounts(binding: JSONObject) -> bool:
    """Whether a binding has a subject that is in a namespace."""
    return any("namespace" in subject for subject in objects_at(binding, "subjects"))


def with_mapped_subjects(given: RestoreInput) -> JSONObject:
    """Return the binding with its subjects' namespaces mapped.

    Groups such as ``system:serviceaccounts:shop`` are left as they are, as in Velero.
    """
    mapping = given.restore.spec.namespace_mapping
    return each_changed(given.item, ("subjects",), lambda s: _mapped(s, mapping))


def _mapped(subject: JSONObject, mapping: Mapping[str, str]) -> JSONObject:
    source = text_at(subject, "namespace")
    target = mapping.get(source, source)
    return subject if target == source else {**subject, "namespace": target}
