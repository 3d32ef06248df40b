"""Namespaces that Argo CD manages: what it manages it also puts back, after a restore.

Source: Velero warns of namespaces labelled managed-by; Argo CD, "Resource Tracking", for
what else it writes on the objects that it made.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from kbackup._kits.nested import text_at
from kbackup._kits.words import first_few, plural
from kbackup.backup._filters import Filters
from kbackup.backup._namespaces import NamespaceObject, Namespaces
from kbackup.plugins import Run

_PREFIX = "argocd.argoproj.io/"
_MARKS = tuple(f"{_PREFIX}{word}" for word in ("managed-by", "instance", "tracking-id"))


def report_argo_cd(filters: Filters, found: Namespaces, run: Run) -> None:
    """Warn of the selected namespaces that Argo CD manages."""
    if names := list(managed_by_argo_cd(filters, found)):
        run.warning(
            f"{plural(len(names), 'namespace')} managed by Argo CD, which may put its own "
            f"state over what is restored there: {first_few(names)}"
        )


def managed_by_argo_cd(filters: Filters, found: Namespaces) -> Iterator[str]:
    """Yield the selected namespaces that Argo CD's labels or annotations mark. Pure."""
    for name, namespace in sorted(found.objects.items()):
        if found.listed is None:
            selected = filters.namespaces.wants(name) and not namespace.is_excluded
        else:
            selected = name in found.listed
        if selected and _is_marked(namespace):
            yield name


def _is_marked(namespace: NamespaceObject) -> bool:
    if _PREFIX.encode() not in namespace.body:  # of most: parsing takes longer
        return False
    metadata = msgspec.json.decode(namespace.body)["metadata"]
    return any(
        text_at(metadata, field, mark)
        for field in ("labels", "annotations")
        for mark in _MARKS
    )
