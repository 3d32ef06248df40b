"""The built-in item actions; a plugin like any other (entry point ``builtin``).

One module each. They import what a third-party plugin may import, and no more.
"""

from collections.abc import Mapping

from kbackup.actions._backup_crd_remap_version import CRDRemapVersionAction
from kbackup.actions._backup_pod import PodAction as BackupPodAction
from kbackup.actions._backup_pv import PVAction
from kbackup.actions._backup_service_account import (
    ServiceAccountAction as BackupServiceAccountAction,
)
from kbackup.actions._block_pod import PodBlockAction
from kbackup.actions._block_pvc import PVCBlockAction
from kbackup.actions._block_service_account import ServiceAccountBlockAction
from kbackup.actions._restore_add_pvc_from_pod import AddPVCFromPodAction
from kbackup.actions._restore_admission_webhook import AdmissionWebhookAction
from kbackup.actions._restore_apiservice import APIServiceAction
from kbackup.actions._restore_change_image_name import ChangeImageNameAction
from kbackup.actions._restore_change_storage_class import ChangeStorageClassAction
from kbackup.actions._restore_crd_preserve_fields import CRDPreserveFieldsAction
from kbackup.actions._restore_job import JobAction
from kbackup.actions._restore_pod import PodAction
from kbackup.actions._restore_pvc import PVCAction
from kbackup.actions._restore_role_bindings import (
    ClusterRoleBindingAction,
    RoleBindingAction,
)
from kbackup.actions._restore_secret import SecretAction
from kbackup.actions._restore_service import ServiceAction
from kbackup.actions._restore_service_account import ServiceAccountAction
from kbackup.actions._restore_wait_containers import WaitContainerAction
from kbackup.plugins import (
    BackupItemAction,
    ItemBlockAction,
    RestoreItemAction,
    hookimpl,
)

__all__ = [
    "kbackup_register_backup_item_actions",
    "kbackup_register_item_block_actions",
    "kbackup_register_restore_item_actions",
]


@hookimpl
def kbackup_register_backup_item_actions() -> Mapping[str, BackupItemAction]:
    """Offer the actions that complete a backup."""
    actions: tuple[BackupItemAction, ...] = (
        BackupPodAction(),
        CRDRemapVersionAction(),
        PVAction(),
        BackupServiceAccountAction(),
    )
    return {action.name: action for action in actions}


@hookimpl
def kbackup_register_item_block_actions() -> Mapping[str, ItemBlockAction]:
    """Offer the actions that tell which items share data or rights."""
    actions: tuple[ItemBlockAction, ...] = (
        PVCBlockAction(),
        PodBlockAction(),
        ServiceAccountBlockAction(),
    )
    return {action.name: action for action in actions}


@hookimpl
def kbackup_register_restore_item_actions() -> Mapping[str, RestoreItemAction]:
    """Offer the actions that make items fit for another cluster."""
    actions: tuple[RestoreItemAction, ...] = (
        APIServiceAction(),
        AddPVCFromPodAction(),
        AdmissionWebhookAction(),
        CRDPreserveFieldsAction(),
        ChangeImageNameAction(),
        ChangeStorageClassAction(),
        ClusterRoleBindingAction(),
        JobAction(),
        PVCAction(),
        PodAction(),
        RoleBindingAction(),
        SecretAction(),
        ServiceAccountAction(),
        ServiceAction(),
        WaitContainerAction(),
    )
    return {action.name: action for action in actions}
