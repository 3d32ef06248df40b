"""Parts of Kubernetes' own objects that Velero's objects hold."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import attrs

from kbackup.models._model import (
    ALWAYS,
    Model,
    instant,
    mapping,
    naming,
    sequence,
    strings,
)


@attrs.frozen(kw_only=True)
class OwnerReference(Model):
    """Who owns an object."""

    api_version: str = attrs.field(default="", metadata=ALWAYS)
    kind: str = attrs.field(default="", metadata=ALWAYS)
    name: str = attrs.field(default="", metadata=ALWAYS)
    uid: str = attrs.field(default="", metadata=ALWAYS)
    controller: bool | None = None
    block_owner_deletion: bool | None = None


@attrs.frozen(kw_only=True, field_transformer=naming)
class ObjectMeta(Model):
    """The metadata of an object; ``managedFields`` are kept in `extra`, unread.

    Attributes:
        creation_timestamp: None, for an object that no API server has stored, is
            written as null.
    """

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: datetime | None = attrs.field(
        default=None, converter=instant, metadata=ALWAYS
    )
    deletion_timestamp: datetime | None = attrs.field(default=None, converter=instant)
    deletion_grace_period_seconds: int | None = None
    labels: Mapping[str, str] = attrs.field(factory=dict, converter=mapping)
    annotations: Mapping[str, str] = attrs.field(factory=dict, converter=mapping)
    owner_references: tuple[OwnerReference, ...] = attrs.field(
        default=(), converter=sequence
    )
    finalizers: tuple[str, ...] = attrs.field(default=(), converter=strings)


@attrs.frozen(kw_only=True)
class ObjectReference(Model):
    """Another object, by kind, namespace and name."""

    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    api_version: str = ""
    resource_version: str = ""
    field_path: str = ""


@attrs.frozen(kw_only=True)
class TypedLocalObjectReference(Model):
    """Another object in Velero's own namespace.

    Attributes:
        api_group: None or empty for the core group.
        kind: Velero knows ``configmap`` only.
    """

    api_group: str | None = None
    kind: str = attrs.field(default="", metadata=ALWAYS)
    name: str = attrs.field(default="", metadata=ALWAYS)


@attrs.frozen(kw_only=True)
class SecretKeySelector(Model):
    """One key of a Secret in Velero's own namespace."""

    name: str = ""
    key: str = attrs.field(default="", metadata=ALWAYS)
    optional: bool | None = None
