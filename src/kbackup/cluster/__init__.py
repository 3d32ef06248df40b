"""One Kubernetes cluster, spoken to with raw JSON: the only room that opens kubernetes.

`Cluster` is the door's one entry; the rest is what it takes and returns. Importing this
room does not import the `kubernetes` client, connecting does.
"""

from kbackup.cluster._cluster import Cluster
from kbackup.cluster._discovery import Discovery, DiscoveryFailure
from kbackup.cluster._errors import causes, denial
from kbackup.cluster._exec import ExecResult
from kbackup.cluster._lists import ItemList, ListedItem, ListPage
from kbackup.cluster._objects import PatchKind
from kbackup.cluster._watch import WatchEvent

__all__ = [
    "Cluster",
    "Discovery",
    "DiscoveryFailure",
    "ExecResult",
    "ItemList",
    "ListPage",
    "ListedItem",
    "PatchKind",
    "WatchEvent",
    "causes",
    "denial",
]
