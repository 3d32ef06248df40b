"""The manifest of a backup: what belongs to it, what it covers and what it does not.

Values and their JSON only; whether a manifest is to be trusted is decided by `_trust`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import attrs

from kbackup._kits.times import parse_time
from kbackup._kits.words import inside
from kbackup.catalog._consistency import Consistency
from kbackup.models import (
    API_VERSION,
    GroupResource,
    ListRecord,
    ResourceIdentifier,
    VolumeActionType,
)

KIND = "BackupManifest"

T = TypeVar("T")

_DIGEST = re.compile(r"[0-9a-f]{64}")


def _frozen(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(values)


class ManifestError(ValueError):
    """A document is no manifest that this kbackup reads."""


@attrs.frozen(kw_only=True)
class ManifestObject:
    """One file of the backup.

    Attributes:
        name: Within the backup's directory.
        size: Bytes.
        sha256: 64 hexadecimal digits.
    """

    name: str
    size: int
    sha256: str


@attrs.frozen(kw_only=True)
class NotCovered:
    """A part of what was selected that the backup does not hold.

    Attributes:
        resource: The type; empty: a whole group, which the reason names.
        namespace: Empty: all.
        count: How many objects, where that is known.
    """

    resource: str = attrs.field(default="", converter=str)
    namespace: str = ""
    reason: str = ""
    count: int | None = None

    def __str__(self) -> str:
        what = self.resource or "some types"
        many = f" ({self.count})" if self.count is not None else ""
        return f"{what}{inside(self.namespace)}{many}: {self.reason}"


@attrs.frozen(kw_only=True)
class VolumeRecord:
    """Whether the backup has the data of a claim.

    Attributes:
        claim: ``namespace/name``.
        volume: The PersistentVolume; empty: not bound.
        data: ``none``, ``native``, ``csi`` or ``fs``.
        policy: The action that a resource policy has for it: ``skip``, ``snapshot``,
            ``fs-backup`` or ``custom``; empty: none.
    """

    claim: str = attrs.field(converter=str)
    volume: str = ""
    data: str = "none"
    policy: str = ""

    @property
    def is_skipped(self) -> bool:
        """Whether the data of a bound claim were left out on purpose."""
        return self.policy == VolumeActionType.SKIP and bool(self.volume)

    def __str__(self) -> str:
        volume = f" (volume {self.volume})" if self.volume else ""
        policy = f", by a policy: {self.policy}" if self.policy else ""
        return f"{self.claim}{volume}: data {self.data}{policy}"


@attrs.frozen(kw_only=True)
class MissingReference:
    """A reference out of the backup.

    Attributes:
        item: Who refers.
        refers_to: To what the backup does not hold.
        kind: What kind of thing that is.
    """

    item: ResourceIdentifier
    refers_to: ResourceIdentifier
    kind: str = ""

    def __str__(self) -> str:
        return f"{self.item} refers to {self.refers_to}"


@attrs.frozen(kw_only=True)
class Manifest:
    """What a backup is, as the run that wrote it knew.

    Attributes:
        backup_name: Of the backup.
        backup_uid: Of the run.
        record_sha256: Of ``velero-backup.json`` with the digits of this manifest's own
            digest in it replaced by zeros; empty before it was published.
        writer_version: Of kbackup.
        cluster_uid: Of the namespace kube-system; empty: it could not be read.
        cluster_version: Such as ``v1.20.2``.
        objects: Every file but the record and the manifest, by name.
        items: In the archive.
        entries: Of the archive, versioned copies and ``metadata/version`` included.
        lists: How the types were read.
        options: The run's options, functions by qualified name.
    """

    backup_name: str = ""
    backup_uid: str = ""
    record_sha256: str = ""
    writer_version: str = ""
    cluster_uid: str = ""
    cluster_version: str = ""
    objects: tuple[ManifestObject, ...] = attrs.field(default=(), converter=_frozen)
    items: int = 0
    entries: int = 0
    lists: tuple[ListRecord, ...] = attrs.field(default=(), converter=_frozen)
    not_covered: tuple[NotCovered, ...] = attrs.field(default=(), converter=_frozen)
    volumes: tuple[VolumeRecord, ...] = attrs.field(default=(), converter=_frozen)
    missing: tuple[MissingReference, ...] = attrs.field(default=(), converter=_frozen)
    options: Mapping[str, Any] = attrs.field(factory=dict)

    @property
    def consistent(self) -> bool:
        """Whether all lists were read at one resourceVersion."""
        return all(record.exact for record in self.lists)

    @property
    def consistency(self) -> Consistency:
        """Which types share that resourceVersion, and the drift of the others."""
        return Consistency.of(self.lists)

    def object(self, name: str) -> ManifestObject | None:
        """Return what the manifest says of a file, or None: it does not name it."""
        return next((each for each in self.objects if each.name == name), None)

    def to_json(self) -> dict[str, Any]:
        """Return the document."""
        return {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "backup": {
                "name": self.backup_name,
                "uid": self.backup_uid,
                "record": f"sha256:{self.record_sha256}",
            },
            "writer": {"version": self.writer_version},
            "cluster": {"uid": self.cluster_uid, "gitVersion": self.cluster_version},
            "objects": [attrs.asdict(each) for each in self.objects],
            "archive": {"items": self.items, "entries": self.entries},
            "consistent": self.consistent,
            "consistency": self.consistency.to_json(),
            "lists": [record.to_json() for record in self.lists],
            "notCovered": [_gap_to_json(gap) for gap in self.not_covered],
            "volumes": [attrs.asdict(volume) for volume in self.volumes],
            "missing": [_reference_to_json(each) for each in self.missing],
            "options": dict(self.options),
        }

    @classmethod
    def from_json(cls, data: Any) -> Manifest:
        """Read the document; keys that are not known are ignored.

        Raises:
            ManifestError: It is no manifest, or of another major version.
        """
        document = _Reader(data, "")
        if document.text("kind") != KIND:
            raise ManifestError(f"kind: expected {KIND}")
        if document.text("apiVersion") != API_VERSION:
            raise ManifestError(
                f"apiVersion: expected {API_VERSION}, got {document.text('apiVersion')}"
            )
        objects = document.each("objects", _object_from)
        if len({each.name for each in objects}) < len(objects):
            raise ManifestError("objects: a file is named twice")
        backup, cluster = document.part("backup"), document.part("cluster")
        archive = document.part("archive")
        return cls(
            backup_name=backup.text("name"),
            backup_uid=backup.text("uid"),
            record_sha256=backup.text("record").removeprefix("sha256:"),
            writer_version=document.part("writer").text("version"),
            cluster_uid=cluster.text("uid"),
            cluster_version=cluster.text("gitVersion"),
            objects=objects,
            items=archive.number("items"),
            entries=archive.number("entries"),
            lists=document.each("lists", _list_from),
            not_covered=document.each("notCovered", _gap_from),
            volumes=document.each("volumes", _volume_from),
            missing=document.each("missing", _reference_from),
            options=document.mapping("options"),
        )

    def encode(self) -> bytes:
        """Return the bytes that are stored: sorted keys, one newline at the end."""
        text = json.dumps(self.to_json(), sort_keys=True, indent=1, ensure_ascii=False)
        return text.encode() + b"\n"

    @classmethod
    def decode(cls, content: bytes) -> Manifest:
        """Read what `encode` wrote; raises `ManifestError`."""
        try:
            return cls.from_json(json.loads(content))
        except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as exc:
            raise ManifestError(f"it is no JSON: {exc}") from exc


# --- out ------------------------------------------------------------------------------


def _gap_to_json(gap: NotCovered) -> dict[str, Any]:
    document = {
        "resource": gap.resource,
        "namespace": gap.namespace,
        "reason": gap.reason,
    }
    return document if gap.count is None else {**document, "count": gap.count}


def _reference_to_json(reference: MissingReference) -> dict[str, Any]:
    return {
        "item": _identifier_to_json(reference.item),
        "refersTo": _identifier_to_json(reference.refers_to),
        "kind": reference.kind,
    }


def _identifier_to_json(identifier: ResourceIdentifier) -> dict[str, str]:
    return {
        "resource": str(identifier.group_resource),
        "namespace": identifier.namespace,
        "name": identifier.name,
    }


# --- in -------------------------------------------------------------------------------


class _Reader:
    """Reads the fields of one JSON object; absent ones are empty, wrong ones raise."""

    def __init__(self, data: Any, path: str) -> None:
        if not isinstance(data, dict):
            raise ManifestError(f"{path or 'document'}: expected an object")
        self._data = data
        self._path = f"{path}." if path else ""

    def _get(self, key: str, kind: type[T], default: T) -> T:
        value = self._data.get(key)
        if value is None:
            return default
        if not isinstance(value, kind) or isinstance(value, bool) is not (kind is bool):
            raise ManifestError(f"{self._path}{key}: expected {kind.__name__}")
        return value

    def text(self, key: str) -> str:
        return self._get(key, str, "")

    def number(self, key: str) -> int:
        return self._get(key, int, 0)

    def flag(self, key: str) -> bool:
        return self._get(key, bool, True)  # noqa: FBT003 - the default

    def mapping(self, key: str) -> dict[str, Any]:
        return self._get(key, dict, {})

    def part(self, key: str) -> _Reader:
        return _Reader(self._data.get(key) or {}, f"{self._path}{key}")

    def time(self, key: str) -> datetime | None:
        text = self.text(key)
        try:
            return parse_time(text) if text else None
        except ValueError as exc:
            raise ManifestError(f"{self._path}{key}: {exc}") from exc

    def counts(self, key: str) -> dict[str, int]:
        part = self.part(key)
        return {name: part.number(name) for name in self.mapping(key)}

    def each(self, key: str, read: Callable[[_Reader], T]) -> Sequence[T]:
        values: list[Any] = self._get(key, list, [])
        return [
            read(_Reader(value, f"{self._path}{key}[{n}]"))
            for n, value in enumerate(values)
        ]


def _object_from(data: _Reader) -> ManifestObject:
    found = ManifestObject(
        name=data.text("name"), size=data.number("size"), sha256=data.text("sha256")
    )
    is_file = found.name not in {"", ".", ".."} and "/" not in found.name
    if not is_file or found.size < 0 or not _DIGEST.fullmatch(found.sha256):
        raise ManifestError("objects: a file without a name, a size or a digest")
    return found


def _list_from(data: _Reader) -> ListRecord:
    return ListRecord(
        resource=GroupResource.parse(data.text("resource")),
        version=data.text("version"),
        namespace=data.text("namespace"),
        resource_version=data.text("resourceVersion"),
        started_at=data.time("startedAt"),
        ended_at=data.time("endedAt"),
        listed=data.number("listed"),
        stored=data.number("stored"),
        skipped=data.counts("skipped"),
        failed=data.number("failed"),
        restarts=data.number("restarts"),
        exact=data.flag("exact"),
    )


def _gap_from(data: _Reader) -> NotCovered:
    return NotCovered(
        resource=data.text("resource"),
        namespace=data.text("namespace"),
        reason=data.text("reason"),
        count=data.number("count") or None,
    )


def _volume_from(data: _Reader) -> VolumeRecord:
    return VolumeRecord(
        claim=data.text("claim"),
        volume=data.text("volume"),
        data=data.text("data"),
        policy=data.text("policy"),
    )


def _reference_from(data: _Reader) -> MissingReference:
    return MissingReference(
        item=_identifier_from(data.part("item")),
        refers_to=_identifier_from(data.part("refersTo")),
        kind=data.text("kind"),
    )


def _identifier_from(data: _Reader) -> ResourceIdentifier:
    return ResourceIdentifier(
        GroupResource.parse(data.text("resource")),
        data.text("namespace"),
        data.text("name"),
    )
