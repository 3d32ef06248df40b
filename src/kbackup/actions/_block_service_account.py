"""Keep a ServiceAccount and its cluster-wide grants in one block."""

from __future__ import annotations

from kbackup.actions._grants import grants_of
from kbackup.models import ResourceIdentifier, ResourceSelector
from kbackup.plugins import BackupInput


class ServiceAccountBlockAction:
    """Relate what an account is granted cluster-wide (``velero.io/service-account``)."""

    name = "velero.io/service-account"
    applies_to = ResourceSelector(included_resources=("serviceaccounts",))

    def related_items(self, given: BackupInput) -> tuple[ResourceIdentifier, ...]:
        """Name its ClusterRoleBindings and their ClusterRoles."""
        return grants_of(given)
