"""The door to object stores: opening them, their keys, and what providers build on.

The only room that opens fsspec, and only when a store is opened. It is itself the
plugin that offers stores in memory.
"""

from kbackup.stores import _layout as layout
from kbackup.stores._config import (
    check_known,
    read_boolean,
    read_file_name,
    read_url,
    spec_from_address,
)
from kbackup.stores._errors import translate_store_errors
from kbackup.stores._fsspec import FsspecObjectStore, open_filesystem
from kbackup.stores._keys import key_fault, validate_key
from kbackup.stores._layout import BackupFiles, RestoreFiles
from kbackup.stores._location_file import (
    LocationRecord,
    check_layout,
    ensure_location_record,
    read_location_record,
)
from kbackup.stores._locations import location_from, open_object_store
from kbackup.stores._log_secrets import redact_logs
from kbackup.stores._memory import kbackup_register_object_stores
from kbackup.stores._mirrors import (
    Copies,
    DirectoryState,
    DirectoryStore,
    LocationState,
    MirroredStore,
    PendingDeletion,
    PreparableStore,
    RepairableStore,
    copies_of,
    directories_of,
    problems_of,
    state_of,
)
from kbackup.stores._parts import PartWorkers
from kbackup.stores._places import Place, names_place
from kbackup.stores._prefixed import PrefixedStore, ReadOnlyStore
from kbackup.stores._profile import (
    AdaptableStore,
    LockTellingStore,
    RetainingStore,
    StoreProfile,
    locked_until,
    retention_of,
)
from kbackup.stores._remote import RemoteObjectStore
from kbackup.stores._sources import steady_source
from kbackup.stores._timeouts import RetryPolicy, Timeouts, bounded, read_duration
from kbackup.stores._unfinished import TidyStore, UnfinishedWrite, unfinished_writes
from kbackup.stores._validate import StoreCheck, validate_object_store
from kbackup.stores._walk import (
    common_prefixes,
    prefixes_in_key_order,
    walk_in_key_order,
)

__all__ = [
    "AdaptableStore",
    "BackupFiles",
    "Copies",
    "DirectoryState",
    "DirectoryStore",
    "FsspecObjectStore",
    "LocationRecord",
    "LocationState",
    "LockTellingStore",
    "MirroredStore",
    "PartWorkers",
    "PendingDeletion",
    "Place",
    "PrefixedStore",
    "PreparableStore",
    "ReadOnlyStore",
    "RemoteObjectStore",
    "RepairableStore",
    "RestoreFiles",
    "RetainingStore",
    "RetryPolicy",
    "StoreCheck",
    "StoreProfile",
    "TidyStore",
    "Timeouts",
    "UnfinishedWrite",
    "bounded",
    "check_known",
    "check_layout",
    "common_prefixes",
    "copies_of",
    "directories_of",
    "ensure_location_record",
    "kbackup_register_object_stores",
    "key_fault",
    "layout",
    "location_from",
    "locked_until",
    "names_place",
    "open_filesystem",
    "open_object_store",
    "prefixes_in_key_order",
    "problems_of",
    "read_boolean",
    "read_duration",
    "read_file_name",
    "read_location_record",
    "read_url",
    "redact_logs",
    "retention_of",
    "spec_from_address",
    "state_of",
    "steady_source",
    "translate_store_errors",
    "unfinished_writes",
    "validate_key",
    "validate_object_store",
    "walk_in_key_order",
]
