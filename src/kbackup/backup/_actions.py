"""The actions of one backup, by the types that its cluster serves."""

from __future__ import annotations

import attrs

from kbackup.backup._optional_actions import refuse_unknown, wanted_actions
from kbackup.backup._request import BackupRequest
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


def backup_actions(request: BackupRequest, plugins: PluginManager) -> BackupActions:
    """Return the actions that run, their types resolved.

    Raises:
        InvalidSpecError: The options ask for one that does not wait for that.
    """
    resolve = request.cluster.discover().resolve
    found, asked = plugins.backup_item_actions(), request.options.enable_actions
    refuse_unknown(found, asked)
    return BackupActions(
        items=ActionIndex(wanted_actions(found, asked), resolve),
        blocks=ActionIndex(plugins.item_block_actions(), resolve),
    )
