"""The actions of one backup, by the types that its cluster serves."""

from __future__ import annotations

import attrs

from kbackup.cluster import Cluster
from kbackup.plugins import BackupItemAction, ItemBlockAction, PluginManager
from kbackup.plugins.engine import ActionIndex


@attrs.frozen(kw_only=True)
class BackupActions:
    """What is asked about items.

    Attributes:
        items: What to store of them.
        blocks: What belongs together.
    """

    items: ActionIndex[BackupItemAction]
    blocks: ActionIndex[ItemBlockAction]


def backup_actions(cluster: Cluster, plugins: PluginManager) -> BackupActions:
    """Return the actions that plugins offer, their types resolved."""
    resolve = cluster.discover().resolve
    return BackupActions(
        items=ActionIndex(plugins.backup_item_actions(), resolve),
        blocks=ActionIndex(plugins.item_block_actions(), resolve),
    )
