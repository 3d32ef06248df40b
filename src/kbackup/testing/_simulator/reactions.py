"""What the cluster does by itself after a write: definitions served, namespaces ended.

These are the controllers without which the API itself is not usable. The optional ones
are in `controllers`.
"""

from __future__ import annotations

import asyncio
import copy

from kbackup.testing._simulator.deleting import (
    DEFINITIONS,
    content_of,
    delete_silently,
    finish_namespace,
)
from kbackup.testing._simulator.registry import ServedType
from kbackup.testing._simulator.state import NAMESPACES, Object, State, timestamp

_SLICE = 200  # objects of a namespace deleted before others get their turn


class Reactions:
    """Runs on the event loop that serves the requests."""

    def __init__(self, state: State, loop: asyncio.AbstractEventLoop) -> None:
        self._state = state
        self._loop = loop
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending: set[str] = set()

    def __call__(
        self,
        served: ServedType,
        obj: Object,
        *,
        gone: bool,
    ) -> None:
        """React to a write."""
        if served.storage_key == DEFINITIONS:
            self._define(obj, gone=gone)
        elif served.storage_key == NAMESPACES:
            if not gone and obj["metadata"].get("deletionTimestamp"):
                self._end(obj["metadata"]["name"])
        elif gone and served.namespaced:
            self._recheck(obj["metadata"]["namespace"])

    def _define(self, definition: Object, *, gone: bool) -> None:
        if gone:
            self._state.registry.forget(definition)
            return
        if _is_established(definition):
            self._state.registry.define(definition)
        elif not definition["metadata"].get("deletionTimestamp"):
            self._loop.call_soon(self._establish, definition["metadata"]["name"])

    def _establish(self, name: str) -> None:
        served = self._state.registry.by_key(DEFINITIONS)
        definition = self._state.storage.get(DEFINITIONS, name)
        if served is None or definition is None or _is_established(definition):
            return
        spec = definition["spec"]
        definition["status"] = {
            "acceptedNames": copy.deepcopy(spec["names"]),
            "storedVersions": [v["name"] for v in spec["versions"] if v.get("storage")],
            "conditions": [
                _condition("NamesAccepted", "NoConflicts", "no conflicts found"),
                _condition("Established", "InitialNamesAccepted", "accepted"),
            ],
        }
        self._state.put(served, definition)

    def _end(self, name: str) -> None:
        if name in self._ending:
            return
        self._ending.add(name)
        task = self._loop.create_task(self._empty(name))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _empty(self, name: str) -> None:
        await asyncio.sleep(0)
        for number, (served, obj) in enumerate(content_of(self._state, name)):
            if not obj["metadata"].get("deletionTimestamp"):
                delete_silently(self._state, served, obj)
            if number % _SLICE == _SLICE - 1:
                await asyncio.sleep(0)
        self._ending.discard(name)
        finish_namespace(self._state, name)

    def _recheck(self, namespace: str) -> None:
        """An object is gone that may have been the last of an ending namespace."""
        if namespace in self._ending:
            return
        found = self._state.storage.get(NAMESPACES, namespace)
        if found is not None and found["metadata"].get("deletionTimestamp"):
            self._loop.call_soon(finish_namespace, self._state, namespace)


def _is_established(definition: Object) -> bool:
    conditions = (definition.get("status") or {}).get("conditions") or []
    return any(
        condition["type"] == "Established" and condition["status"] == "True"
        for condition in conditions
    )


def _condition(kind: str, reason: str, message: str) -> Object:
    return {
        "type": kind,
        "status": "True",
        "lastTransitionTime": timestamp(),
        "reason": reason,
        "message": message,
    }
