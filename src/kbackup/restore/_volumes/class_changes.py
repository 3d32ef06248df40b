"""Whether the storage classes that a restore puts in are there.

The action that puts them in sees the target only; the plan knows which classes come with
the restore. Asked by the item planner; reads only.
"""

from collections.abc import Mapping
from typing import Any

from kbackup._kits.storage_classes import storage_classes_of
from kbackup.models import ResourceIdentifier, well_known
from kbackup.restore._notices.notices import NoticeBook
from kbackup.restore._plan.state import PlanState
from kbackup.restore._request.request import RestoreRequest
from kbackup.restore._request.settings import CHANGE_STORAGE_CLASS

_KIND = ("storage.k8s.io", "StorageClass")


class ClassChanges:
    """Answers for the items of one restore."""

    def __init__(
        self, request: RestoreRequest, state: PlanState, book: NoticeBook
    ) -> None:
        settings = request.options.action_settings.get(CHANGE_STORAGE_CLASS, {})
        self._new = frozenset(settings.values())
        self._reader = request.reader
        self._state = state
        self._book = book

    def lacking(self, desired: Mapping[str, Any]) -> str:
        """Why an item is not written with its new class; empty: it may be.

        What may not be read is no reason: it is a notice.
        """
        wanted = self._new.intersection(storage_classes_of(desired))
        live = self._reader.names(well_known.STORAGE_CLASSES)
        for name in sorted(wanted):
            if (_KIND, "", name) in self._state.present:
                continue
            if live is None:
                ref = ResourceIdentifier(well_known.STORAGE_CLASSES, "", name)
                self._book.see_unreadable(ref)
            elif name not in live:
                return (
                    f"{CHANGE_STORAGE_CLASS}: storage class {name} is neither in the "
                    "target nor in this restore"
                )
        return ""
