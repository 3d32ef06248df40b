"""What only the engines use of this room: for kbackup itself, promised to nobody.

It has a path without an underscore because rooms are entered through doors; what hosts
may rely on is offered by `kbackup.catalog`. How a backup is compared, and what of it
belongs to the cluster, is the same for two backups as for a backup and a cluster.
"""

from kbackup.catalog._comparison import Comparison
from kbackup.catalog._journal import operation_entry
from kbackup.catalog._left_out import LeftOut, is_made
from kbackup.catalog._lost import damage_of, lost_items
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
from kbackup.catalog._unended import (
    ARCHIVE,
    BOOKS,
    FILES,
    LOG,
    kept_entry,
)

__all__ = [
    "ARCHIVE",
    "BOOKS",
    "ENDPOINTS_ROW",
    "EVERYWHERE",
    "FILES",
    "LOG",
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
    "damage_of",
    "is_endpoints_of_selector",
    "is_made",
    "kept_entry",
    "lost_items",
    "namespaces_in",
    "operation_entry",
    "reference_table",
    "select",
]
