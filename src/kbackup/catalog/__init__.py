"""The backups of one location: claim, publish, list, open, compare, verify, delete.

What is written here is written once and in an order that leaves nothing half-visible;
what is read is checked against the record and its manifest. See
``docs/formats/manifest.md``.
"""

from kbackup.catalog._backup_store import BackupStore
from kbackup.catalog._claim import BackupClaim, RestoreClaim
from kbackup.catalog._claim_record import ClaimRecord
from kbackup.catalog._consistency import Consistency, Drift
from kbackup.catalog._delete import DeletionPlan, DeletionReport
from kbackup.catalog._journal import Journal
from kbackup.catalog._listing import BackupEntry, EntryState
from kbackup.catalog._manifest import (
    Manifest,
    ManifestError,
    ManifestObject,
    MissingReference,
    NotCovered,
    VolumeRecord,
)
from kbackup.catalog._mirror_watch import MirrorWatch
from kbackup.catalog._repair import RepairOutcome, RepairReport, RepairResult
from kbackup.catalog._repair_plan import RepairKind, RepairPlan, RepairStep
from kbackup.catalog._side_files import RestoreFile, SideFile, encode_side_file
from kbackup.catalog._unended import UnendedBackup
from kbackup.catalog._verify import VerifyReport

__all__ = [
    "BackupClaim",
    "BackupEntry",
    "BackupStore",
    "ClaimRecord",
    "Consistency",
    "DeletionPlan",
    "DeletionReport",
    "Drift",
    "EntryState",
    "Journal",
    "Manifest",
    "ManifestError",
    "ManifestObject",
    "MirrorWatch",
    "MissingReference",
    "NotCovered",
    "RepairKind",
    "RepairOutcome",
    "RepairPlan",
    "RepairReport",
    "RepairResult",
    "RepairStep",
    "RestoreClaim",
    "RestoreFile",
    "SideFile",
    "UnendedBackup",
    "VerifyReport",
    "VolumeRecord",
    "encode_side_file",
]
