"""What only the engines use of this room: for kbackup itself, promised to nobody.

It has a path without an underscore because rooms are entered through doors; what plugins
and hosts may rely on is offered by `kbackup.plugins`.
"""

from kbackup.plugins._action_calls import execute_action, fact_of, is_built_in
from kbackup.plugins._action_outputs import NO_OBJECT, is_object
from kbackup.plugins._oddity import ODD, oddity
from kbackup.plugins._operations import OPERATION_TIMEOUT, Operations
from kbackup.plugins._selectors import ActionIndex, ResolvedAction

__all__ = [
    "NO_OBJECT",
    "ODD",
    "OPERATION_TIMEOUT",
    "ActionIndex",
    "Operations",
    "ResolvedAction",
    "execute_action",
    "fact_of",
    "is_built_in",
    "is_object",
    "oddity",
]
