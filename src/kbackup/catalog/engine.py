"""What only the restore engine uses of this room: for kbackup itself, promised to nobody.

It has a path without an underscore because rooms are entered through doors; what hosts
may rely on is offered by `kbackup.catalog`. How a backup is compared, and what of it
belongs to the cluster, is the same for two backups as for a backup and a cluster.
"""

from kbackup.catalog._comparison import Comparison
from kbackup.catalog._left_out import LeftOut, is_made
from kbackup.catalog._scopes import EVERYWHERE, Scopes
from kbackup.catalog._selection import Selection, Wanted, namespaces_in, select
from kbackup.catalog._system import (
    ENDPOINTS_ROW,
    SNAPSHOTS_ROW,
    SYSTEM_NAMESPACES,
    SYSTEM_TABLE,
    SystemObjects,
    SystemRow,
    is_endpoints_of_selector,
    reference_table,
)

__all__ = [
    "ENDPOINTS_ROW",
    "EVERYWHERE",
    "SNAPSHOTS_ROW",
    "SYSTEM_NAMESPACES",
    "SYSTEM_TABLE",
    "Comparison",
    "LeftOut",
    "Scopes",
    "Selection",
    "SystemObjects",
    "SystemRow",
    "Wanted",
    "is_endpoints_of_selector",
    "is_made",
    "namespaces_in",
    "reference_table",
    "select",
]
