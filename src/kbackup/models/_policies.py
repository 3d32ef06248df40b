"""The two documents that Velero keeps in ConfigMaps: resource policies and modifiers.

Both are read strictly, as Velero does: a condition that was misspelt and therefore not
seen would apply an action to everything.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, ClassVar

import attrs

from kbackup.errors import CodecError
from kbackup.models._meta import LabelSelector
from kbackup.models._model import ALWAYS, Model, mapping, naming, sequence, strings


class VolumeActionType(StrEnum):
    """What is done with a volume."""

    SKIP = "skip"
    FS_BACKUP = "fs-backup"
    SNAPSHOT = "snapshot"
    CUSTOM = "custom"  # left to a plugin outside


class PatchOperation(StrEnum):
    """The operations of a JSON patch (RFC 6902)."""

    ADD = "add"
    REMOVE = "remove"
    REPLACE = "replace"
    MOVE = "move"
    COPY = "copy"
    TEST = "test"


@attrs.frozen(kw_only=True)
class NFSCondition(Model):
    """An NFS volume; an empty field is any."""

    closed: ClassVar[bool] = True

    server: str = ""
    path: str = ""


@attrs.frozen(kw_only=True, field_transformer=naming)
class CSICondition(Model):
    """A CSI volume; an empty field is any."""

    closed: ClassVar[bool] = True

    driver: str = ""
    volume_attributes: Mapping[str, str] = attrs.field(factory=dict, converter=mapping)


@attrs.frozen(kw_only=True, field_transformer=naming)
class VolumeConditions(Model):
    """Which volumes a policy is for: all conditions that are given must hold.

    Attributes:
        capacity: ``min,max`` as quantities; either may be empty.
        volume_types: Kubernetes' volume sources, such as ``emptyDir``.
        pvc_phase: Any of ``Pending``, ``Bound``, ``Lost``.
    """

    closed: ClassVar[bool] = True

    capacity: str = ""
    storage_class: tuple[str, ...] = attrs.field(default=(), converter=strings)
    nfs: NFSCondition | None = None
    csi: CSICondition | None = None
    volume_types: tuple[str, ...] = attrs.field(default=(), converter=strings)
    pvc_labels: Mapping[str, str] = attrs.field(factory=dict, converter=mapping)
    pvc_phase: tuple[str, ...] = attrs.field(default=(), converter=strings)


@attrs.frozen(kw_only=True, field_transformer=naming)
class VolumeAction(Model):
    """What a policy does with a volume."""

    closed: ClassVar[bool] = True

    type: VolumeActionType = attrs.field(converter=VolumeActionType, metadata=ALWAYS)
    parameters: Mapping[str, Any] = attrs.field(factory=dict, converter=mapping)


@attrs.frozen(kw_only=True)
class VolumePolicy(Model):
    """Which volumes, and what to do with them; the first that matches decides."""

    closed: ClassVar[bool] = True

    conditions: VolumeConditions = attrs.field(
        factory=VolumeConditions, metadata=ALWAYS
    )
    action: VolumeAction = attrs.field(metadata=ALWAYS)


@attrs.frozen(kw_only=True, field_transformer=naming)
class IncludeExcludePolicy(Model):
    """Filters by scope that yield to the backup's own; no ``*``."""

    closed: ClassVar[bool] = True

    included_cluster_scoped_resources: tuple[str, ...] = attrs.field(
        default=(), converter=strings
    )
    excluded_cluster_scoped_resources: tuple[str, ...] = attrs.field(
        default=(), converter=strings
    )
    included_namespace_scoped_resources: tuple[str, ...] = attrs.field(
        default=(), converter=strings
    )
    excluded_namespace_scoped_resources: tuple[str, ...] = attrs.field(
        default=(), converter=strings
    )


@attrs.frozen(kw_only=True, field_transformer=naming)
class ResourcePolicies(Model):
    """What a backup does with which volumes."""

    closed: ClassVar[bool] = True

    version: str = attrs.field(default="v1", metadata=ALWAYS)
    volume_policies: tuple[VolumePolicy, ...] = attrs.field(
        default=(), converter=sequence
    )
    include_exclude_policy: IncludeExcludePolicy | None = None

    @classmethod
    def from_yaml(cls, text: str) -> ResourcePolicies:
        """Read what a ConfigMap for Velero has under its one key.

        Whether the rules are kept is not asked here: `validate_resource_policies` tells
        all that are broken, and a backup refuses them.

        Raises:
            CodecError: *text* is not one YAML document of this form.
        """
        from kbackup.models._codec import from_json  # noqa: PLC0415 - not for writing
        from kbackup.models._yaml import load_yaml  # noqa: PLC0415 - takes its time

        data = load_yaml(text)
        if isinstance(data, dict) and data.get("version") is None:
            raise CodecError("version", '"v1"', "none")  # as for Velero
        return from_json(cls, data)


@attrs.frozen(kw_only=True)
class MatchRule(Model):
    """A value that an item must have at a path (JSON pointer)."""

    closed: ClassVar[bool] = True

    path: str = attrs.field(default="", metadata=ALWAYS)
    value: str = attrs.field(default="", metadata=ALWAYS, repr=False)  # of a Secret?


@attrs.frozen(kw_only=True, field_transformer=naming)
class ModifierConditions(Model):
    """Which items a rule is for: all conditions that are given must hold.

    Attributes:
        group_resource: ``resource.group``, a glob in which dots separate.
        resource_name_regex: Found anywhere in the name.
        namespaces: Globs on the namespace in the backup.
    """

    closed: ClassVar[bool] = True

    namespaces: tuple[str, ...] = attrs.field(default=(), converter=strings)
    group_resource: str = attrs.field(default="", metadata=ALWAYS)
    resource_name_regex: str = ""
    label_selector: LabelSelector | None = None
    matches: tuple[MatchRule, ...] = attrs.field(default=(), converter=sequence)


@attrs.frozen(kw_only=True, field_transformer=naming)
class JSONPatch(Model):
    """One operation of a JSON patch.

    Attributes:
        from_: Where `move` and `copy` take from.
        value: Text; what parses as a number, a boolean, null, an object or an array is
            meant as that, and quoted text as a string.
    """

    closed: ClassVar[bool] = True

    operation: PatchOperation = attrs.field(converter=PatchOperation, metadata=ALWAYS)
    from_: str = ""
    path: str = attrs.field(default="", metadata=ALWAYS)
    value: str = attrs.field(default="", repr=False)


@attrs.frozen(kw_only=True)
class PatchData(Model):
    """A merge patch or a strategic merge patch, as YAML or JSON text."""

    closed: ClassVar[bool] = True

    patch_data: str = attrs.field(default="", metadata=ALWAYS, repr=False)


@attrs.frozen(kw_only=True, field_transformer=naming)
class ResourceModifierRule(Model):
    """Which items, and how to change them: exactly one of the three kinds of patch."""

    closed: ClassVar[bool] = True

    conditions: ModifierConditions = attrs.field(
        factory=ModifierConditions, metadata=ALWAYS
    )
    patches: tuple[JSONPatch, ...] = attrs.field(default=(), converter=sequence)
    merge_patches: tuple[PatchData, ...] = attrs.field(default=(), converter=sequence)
    strategic_patches: tuple[PatchData, ...] = attrs.field(
        default=(), converter=sequence
    )


@attrs.frozen(kw_only=True, field_transformer=naming)
class ResourceModifiers(Model):
    """How a restore changes which items; all rules that match apply, in order.

    A restore checks the rules when it is planned, all of them at once. Their values are
    never shown: they may be put into Secrets.
    """

    closed: ClassVar[bool] = True

    version: str = attrs.field(default="v1", metadata=ALWAYS)
    resource_modifier_rules: tuple[ResourceModifierRule, ...] = attrs.field(
        default=(), converter=sequence, metadata=ALWAYS
    )

    @staticmethod
    def from_yaml(text: str) -> ResourceModifiers:
        """Read Velero's document, as the one key of its ConfigMap holds it.

        Raises:
            CodecError: It is no YAML, has a key that is not known, or one twice.
            InvalidSpecError: With each rule that is none, by its number from 1.
        """
        from kbackup.models._modifier_text import (  # noqa: PLC0415 - on demand
            read_modifiers,
        )

        return read_modifiers(text)

    @staticmethod
    def from_file(path: str | os.PathLike[str]) -> ResourceModifiers:
        """Read Velero's document from a file.

        Raises:
            CodecError: As `from_yaml`, or it is no text; the message names the file.
            InvalidSpecError: As `from_yaml`, with the file's name.
            OSError: The file cannot be read.
        """
        from kbackup.models._modifier_text import (  # noqa: PLC0415 - on demand
            read_modifiers_file,
        )

        return read_modifiers_file(path)

    @property
    def digest(self) -> str:
        """``sha256:<hex>`` of what the rules say, however their text is laid out."""
        from kbackup.models._modifier_text import (  # noqa: PLC0415 - on demand
            digest_of,
        )

        return digest_of(self)
