"""What a restore keeps of the target before it deletes anything: its name, told by the plan."""

from collections.abc import Sequence

from kbackup.restore._plan_entry import PlanAction, PlanEntry
from kbackup.stores import BackupFiles, layout

_SUFFIX = "-before"


def name_before(restore: str, number: int = 1) -> str:
    """The name of the backup of what was there before a restore."""
    suffix = _SUFFIX if number == 1 else f"{_SUFFIX}-{number}"
    beginning = restore[: layout.longest_name(BackupFiles) - len(suffix)]
    return beginning.rstrip("-.") + suffix


def told_before(restore: str, entries: Sequence[PlanEntry]) -> str:
    """What a plan that deletes something says of it; empty: it deletes nothing."""
    if not deletes_anything(entries):
        return ""
    return (
        f"what is deleted or changed is saved first, as backup {name_before(restore)}"
    )


def deletes_anything(entries: Sequence[PlanEntry]) -> bool:
    """Whether a plan deletes an object."""
    return any(entry.action is PlanAction.RECREATE for entry in entries)
