"""Back up what a ServiceAccount may do in the whole cluster."""

from __future__ import annotations

from kbackup.actions._grants import grants_of
from kbackup.models import ResourceSelector
from kbackup.plugins import BackupInput, BackupOutput


class ServiceAccountAction:
    """Add what an account is granted cluster-wide (``velero.io/service-account``).

    These are its ClusterRoleBindings, listed once a run, and their ClusterRoles. A
    caller who may not list them gets one warning and accounts without them, so that
    namespaces can be backed up with rights in those namespaces alone. Any other failure
    is one error of the run: the accounts themselves are stored.
    """

    name = "velero.io/service-account"
    applies_to = ResourceSelector(included_resources=("serviceaccounts",))

    def execute(self, given: BackupInput) -> BackupOutput:
        """Ask for the account's grants, unless cluster-wide objects are left out."""
        return BackupOutput(item=given.item, additional_items=grants_of(given))
