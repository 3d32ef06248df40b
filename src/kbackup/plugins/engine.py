"""What the engines and the catalog use of this room: promised to nobody outside.

It has a path without an underscore because rooms are entered through doors; what plugins
and hosts may rely on is offered by `kbackup.plugins`.
"""

from kbackup.plugins._acting import ActingCluster, OperationsKeeper, RevocableWriter
from kbackup.plugins._action_calls import (
    are_ready,
    execute_action,
    execute_delete_action,
    execute_item_block_action,
    execute_own_action,
    fact_of,
    is_built_in,
    plugin_of,
)
from kbackup.plugins._action_outputs import NO_OBJECT, is_object
from kbackup.plugins._equipment import Equipment
from kbackup.plugins._oddity import ODD, oddity
from kbackup.plugins._opening import open_offered
from kbackup.plugins._operations import OPERATION_TIMEOUT, Operations
from kbackup.plugins._selectors import ActionIndex, ResolvedAction

__all__ = [
    "NO_OBJECT",
    "ODD",
    "OPERATION_TIMEOUT",
    "ActingCluster",
    "ActionIndex",
    "Equipment",
    "Operations",
    "OperationsKeeper",
    "ResolvedAction",
    "RevocableWriter",
    "are_ready",
    "execute_action",
    "execute_delete_action",
    "execute_item_block_action",
    "execute_own_action",
    "fact_of",
    "is_built_in",
    "is_object",
    "oddity",
    "open_offered",
    "plugin_of",
]
