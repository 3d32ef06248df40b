"""A backup whose items are all read: what is left is to wait, to finalize, to publish.

A draft can be kept in the store by the process that made it and read by another one.
"""

from __future__ import annotations

from typing import Any, TypeVar

import attrs
import msgspec

from kbackup.archive import ArchiveWriter
from kbackup.backup._ledger import Ledger, TypeLedger
from kbackup.backup._side_files import file_name
from kbackup.catalog import (
    Manifest,
    ManifestError,
    ManifestObject,
    encode_side_file,
)
from kbackup.errors import CodecError, KBackupError
from kbackup.models import (
    API_VERSION,
    APIResource,
    Backup,
    HookStatus,
    ResourceIdentifier,
    ResultEntry,
    Results,
    from_json,
    to_json,
)
from kbackup.stores import BackupFiles

_KIND = "UnendedBackup"
_TEXTS = ("message", "namespace", "area", "plugin", "cause", "release")  # of a result

T = TypeVar("T")


def with_archive(
    manifest: Manifest, archive: ArchiveWriter, ledger: Ledger
) -> Manifest:
    """Return a manifest of the archive that was written, which is closed."""
    name = file_name(BackupFiles(manifest.backup_name).archive)
    file = ManifestObject(name=name, size=archive.size, sha256=archive.sha256)
    items = archive.items - ledger.copies
    return attrs.evolve(manifest, objects=(file,), items=items, entries=archive.entries)


@attrs.frozen(kw_only=True)
class Draft:
    """What is known of a backup before its operations have ended.

    Attributes:
        record: In progress; without an outcome.
        manifest: Of the archive so far; what the ledger has as not covered is not in it.
        ledger: The books.
    """

    record: Backup
    manifest: Manifest
    ledger: Ledger

    def encode(self, results: Results) -> bytes:
        """Return it as a compressed document, with what the run has recorded so far."""
        ledger = self.ledger
        manifest = attrs.evolve(self.manifest, not_covered=ledger.not_covered)
        document = {
            "apiVersion": API_VERSION,
            "kind": _KIND,
            "backup": to_json(self.record),
            "manifest": manifest.to_json(),
            "results": {
                "warnings": [_entry_to_json(each) for each in results.warnings],
                "errors": [_entry_to_json(each) for each in results.errors],
            },
            "types": [_page_to_json(page) for page in ledger.types()],
            "hookStatus": to_json(ledger.hook_status) if ledger.hook_status else None,
            "excludedNamespaces": sorted(ledger.excluded_namespaces),
            "idleNamespaces": list(ledger.idle_namespaces),
            "items": ledger.items,
        }
        return encode_side_file(document)

    @classmethod
    def decode(cls, document: Any) -> tuple[Draft, Results]:
        """Return what `encode` wrote.

        Args:
            document: The JSON value.

        Raises:
            KBackupError: It is something else.
        """
        try:
            _require_kind(document)
            return _draft(document), _results(document["results"])
        except (
            CodecError,
            ManifestError,
            msgspec.ValidationError,
            KeyError,
            TypeError,
            ValueError,
        ) as exc:
            raise KBackupError(f"what a run has kept cannot be read: {exc}") from exc


def _require_kind(document: dict[str, Any]) -> None:
    if (document["apiVersion"], document["kind"]) != (API_VERSION, _KIND):
        raise ValueError(f"it is no {_KIND} of {API_VERSION}")


def _draft(document: dict[str, Any]) -> Draft:
    manifest = Manifest.from_json(document["manifest"])
    ledger = Ledger()
    for page in document["types"]:
        _read_page(page, ledger)
    if (status := document["hookStatus"]) is not None:
        ledger.hook_status = from_json(HookStatus, status)
    ledger.not_covered = list(manifest.not_covered)
    ledger.excluded_namespaces = frozenset(
        _as(list[str], document, "excludedNamespaces")
    )
    ledger.idle_namespaces = _as(list[str], document, "idleNamespaces")
    ledger.items = _as(int, document, "items")
    record = from_json(Backup, document["backup"])
    return Draft(record=record, manifest=manifest, ledger=ledger)


def _page_to_json(page: TypeLedger) -> dict[str, Any]:
    resource = page.resource
    return {
        "resource": {
            "group": resource.group,
            "version": resource.version,
            "resource": resource.resource,
            "kind": resource.kind,
            "namespaced": resource.namespaced,
            "preferred": resource.preferred,
        },
        "stored": sorted(page.stored),
        "failed": sorted(page.failed),
        "converted": {each: sorted(names) for each, names in page.converted.items()},
        "copied": {each: sorted(names) for each, names in page.copied.items()},
    }


def _read_page(data: dict[str, Any], ledger: Ledger) -> None:
    page = ledger.of_type(msgspec.convert(data["resource"], APIResource))
    page.stored |= set(_as(list[str], data, "stored"))
    page.failed |= set(_as(list[str], data, "failed"))
    for version, names in _as(dict[str, list[str]], data, "converted").items():
        page.converted[version] = set(names)
    for version, names in _as(dict[str, list[str]], data, "copied").items():
        page.copied[version] = set(names)


def _results(data: dict[str, Any]) -> Results:
    return Results(
        warnings=map(_read_entry, data["warnings"]),
        errors=map(_read_entry, data["errors"]),
    )


def _entry_to_json(entry: ResultEntry) -> dict[str, Any]:
    texts = {key: getattr(entry, key) for key in _TEXTS}
    return {**texts, "item": msgspec.to_builtins(entry.item)}


def _read_entry(data: dict[str, Any]) -> ResultEntry:
    item = msgspec.convert(data["item"], ResourceIdentifier | None)
    return ResultEntry(
        item=item, **{key: _as(str, {"release": "", **data}, key) for key in _TEXTS}
    )


def _as(kind: type[T], data: dict[str, Any], key: str) -> T:
    return msgspec.convert(data[key], kind)
