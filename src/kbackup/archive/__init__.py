"""The tar.gz of a backup in Velero's layout, written and read as a stream.

The room knows no store and no cluster. The writer is used by the backup engine, the
reader by the catalog, the restore engine and whoever wants to look into a backup.
"""

from kbackup.archive._contents import ArchiveContents
from kbackup.archive._filing import TWINS, find_misfiled, misfiled
from kbackup.archive._index import index_archive
from kbackup.archive._layout import FORMAT_VERSION, LONGEST_NAME_FOR_VELERO
from kbackup.archive._limits import ArchiveLimits
from kbackup.archive._reader import ArchiveReader, ArchiveSummary
from kbackup.archive._rewriting import NewItem, rewrite
from kbackup.archive._type_words import TypeWords, without_twins
from kbackup.archive._writer import ArchiveWriter

__all__ = [
    "FORMAT_VERSION",
    "LONGEST_NAME_FOR_VELERO",
    "TWINS",
    "ArchiveContents",
    "ArchiveLimits",
    "ArchiveReader",
    "ArchiveSummary",
    "ArchiveWriter",
    "NewItem",
    "TypeWords",
    "find_misfiled",
    "index_archive",
    "misfiled",
    "rewrite",
    "without_twins",
]
