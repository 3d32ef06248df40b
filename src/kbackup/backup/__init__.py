"""The door to the backup engine: what a cluster holds, into a store."""

from kbackup.backup._engine import BackupEngine
from kbackup.backup._plan import BackupPlan, PlannedType

__all__ = ["BackupEngine", "BackupPlan", "PlannedType"]
