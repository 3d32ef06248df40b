"""What only the engines use of this room: for kbackup itself, promised to nobody.

It has a path without an underscore because rooms are entered through doors; what plugins
and hosts may rely on is offered by `kbackup.plugins`.
"""

from kbackup.plugins._operations import OPERATION_TIMEOUT, Operations
from kbackup.plugins._selectors import ActionIndex, ResolvedAction
from kbackup.plugins._watchdog import call_action, fact_of

__all__ = [
    "OPERATION_TIMEOUT",
    "ActionIndex",
    "Operations",
    "ResolvedAction",
    "call_action",
    "fact_of",
]
