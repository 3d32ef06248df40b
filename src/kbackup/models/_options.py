"""What only kbackup knows about a backup or a restore: options beside Velero's specs.

The manifest and a saved plan keep them as `to_record` writes them: functions by their
qualified names, which is all that can be said of them, and resource modifiers by their
digest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, Literal, get_type_hints

import attrs
import msgspec

from kbackup._kits.version_lists import read_version_lists
from kbackup.errors import InvalidConfigError
from kbackup.models._fields import at_least, check_config, keep_odd
from kbackup.models._model import Model, mapping, sequence, short_repr, strings
from kbackup.models._policies import ResourceModifiers, ResourcePolicies
from kbackup.models._restore import ExistingResourcePolicy

ExistingPolicy = Literal["none", "update", "apply", "recreate"]
ItemPredicate = Callable[[Mapping[str, Any]], bool]
ItemTransform = Callable[[dict[str, Any]], Mapping[str, Any] | None]


def _optional_strings(values: Iterable[str] | None) -> tuple[str, ...] | None:
    return None if values is None else strings(values)


def _policy(value: str | None) -> ExistingResourcePolicy | None:
    return None if value is None else ExistingResourcePolicy(value)


def _settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the settings of each action; one that is none is left for the check."""
    return {
        action: dict(given) if isinstance(given, Mapping) else given
        for action, given in mapping(values).items()
    }


def _priorities(value: Any) -> Any:
    """Return the versions of each type; of Velero's text every line has to be one."""
    if isinstance(value, str):
        value, broken = read_version_lists(value)
        if broken:
            raise InvalidConfigError(
                "restore_resources_version_priority: expected TYPE=VERSION,... in each "
                f"line, got {broken[0]!r}"
            )
    if not isinstance(value, Mapping):
        return value
    return {
        name: tuple(map(str.strip, given.split(",")))
        if isinstance(given, str)
        else tuple(given)
        for name, given in value.items()
    }


def qualified_name(function: Callable[..., Any]) -> str:
    """Return ``module.name`` of a function, or of a callable object's class."""
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"


@attrs.frozen(kw_only=True, field_transformer=keep_odd)
class BackupOptions:
    """How a backup is made, beyond what Velero's spec can say.

    Attributes:
        where: Given an item, tells whether it is wanted; called from any thread.
        skip_forbidden: All types that the caller may not list are one warning. Without it
            each is an error in a backup of the whole cluster, and where namespaces are
            named each that was named, while the others are one warning. Likewise of a
            named namespace that may not be read, and in which nothing was found.
        consistency: ``exact``: all lists at one resourceVersion where the server can;
            ``newest``: each as it is when it is read.
        labels: For the backup's record.
        annotations: For the backup's record.
        storage_location: The name of the location that the record states.
        resource_policies: What becomes of which volumes, and which types are left out;
            instead of the ConfigMap that a specification's `resource_policy` names.
        enable_api_group_versions: Items are stored in every version that the cluster
            serves, as Velero does with the feature of that name: each version is listed
            on its own, and a restore may choose.
        enable_actions: The names of item actions that run only where they are asked
            for, such as ``velero.io/crd-remap-version``.
    """

    where: ItemPredicate | None = None
    skip_forbidden: bool = False
    consistency: Literal["exact", "newest"] = "exact"
    labels: Mapping[str, str] = attrs.field(factory=dict, converter=mapping)
    annotations: Mapping[str, str] = attrs.field(factory=dict, converter=mapping)
    storage_location: str = "default"
    resource_policies: ResourcePolicies | None = None
    enable_api_group_versions: bool = False
    enable_actions: tuple[str, ...] = attrs.field(default=(), converter=strings)

    def __attrs_post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            InvalidConfigError: With every option of another type or out of bounds.
        """
        check_config(self)

    __repr__ = short_repr

    def to_record(self) -> dict[str, Any]:
        """Return the options as plain JSON."""
        return _record(self)


@attrs.frozen(kw_only=True, field_transformer=keep_odd)
class RestoreOptions:
    """How a restore is made, beyond what Velero's spec can say.

    Attributes:
        transforms: Called in order with each item as it would be written; each returns
            the item to write, or None to leave it out. They must be pure: the plan and
            its application both call them, from any thread.
        resource_modifiers: Velero's rules that change items by patches, after the
            transforms; a record and a saved plan have their digest only. Those of a
            ConfigMap are named in the spec instead.
        where: Given an item, tells whether it is wanted.
        action_settings: The settings of restore item actions by the action's name, such
            as ``{"velero.io/change-storage-class": {"old": "new"}}``. They go before
            those of a ConfigMap in the target, which an empty mapping sets aside. A plan
            has those of ConfigMaps here as well.
        priorities: Types in the order to write them, by any name that kubectl takes; a
            lone ``-`` stands before those that are written last. None: the built-in
            order.
        existing_cluster_resource_policy: What happens to cluster-scoped objects that
            are there; None: they are left alone.
        existing_policies: What happens to objects that are there, more closely: by type,
            by ``TYPE/NAMESPACE/NAME`` as the plan names what it writes, or by ``*`` for
            all that are in a namespace; the closest counts, and then the policies above.
            ``apply`` sends the fields that users managed in the backup by server-side
            apply, ``recreate`` deletes the object and creates it anew.
        force_conflicts: ``apply`` takes fields from managers that set them otherwise;
            without it, they are conflicts.
        controlled: What a controller in the restore makes itself is left to it
            (``recreate``), or created and adopted by it (``adopt``).
        relink_owners: Owner references are set to the new objects.
        managed_fields: Who owns fields by server-side apply: ``auto`` gives objects
            back to such managers, ``restore`` all, ``drop`` none.
        convert: Items of a version that the target does not serve are converted to one
            that it serves, without loss; those that cannot be are conflicts.
        validate: The plan sends each write to the server as a dry-run.
        redact: Types whose values no output shows, such as ``configmaps`` or
            ``widgets.example.com``; ``*`` is all. Those of Secrets never appear.
        enable_api_group_versions: Of a backup that holds several versions of a type the
            one is restored that suits the target best, as Velero chooses with the feature
            of that name; without it the one that the source preferred.
        restore_resources_version_priority: Which versions go before that choice, by full
            name of a type: ``{"cronjobs.batch": ["v1", "v1beta1"]}``, or Velero's text
            with a line ``cronjobs.batch=v1,v1beta1`` for each. None: that of the target's
            ConfigMap ``velero/enableapigroupversions``, if there is one. A plan has that
            of a ConfigMap here as well.
        include_system: What belongs to the cluster is restored as well.
        released_volumes: Whether claims take Released volumes again.
        retained_volumes: Whether volumes may point at the original disks.
        expect_cluster: The uid or the context of the only cluster that is meant.
        salvage: A damaged backup is read as far as it goes.
        max_in_flight: Writes at the same time, at most.
        deadline: How long a write that may still succeed is tried again; not negative.
    """

    transforms: tuple[ItemTransform, ...] = attrs.field(default=(), converter=sequence)
    resource_modifiers: ResourceModifiers | None = None
    where: ItemPredicate | None = None
    action_settings: Mapping[str, Mapping[str, str]] = attrs.field(
        factory=dict, converter=_settings
    )
    priorities: tuple[str, ...] | None = attrs.field(
        default=None, converter=_optional_strings
    )
    existing_cluster_resource_policy: ExistingResourcePolicy | None = attrs.field(
        default=None, converter=_policy
    )
    existing_policies: Mapping[str, ExistingPolicy] = attrs.field(
        factory=dict, converter=mapping
    )
    force_conflicts: bool = False
    controlled: Literal["recreate", "adopt"] = "recreate"
    relink_owners: bool = True
    managed_fields: Literal["auto", "restore", "drop"] = "auto"
    convert: bool = True
    validate: bool = False
    redact: tuple[str, ...] = attrs.field(default=(), converter=strings)
    enable_api_group_versions: bool = False
    restore_resources_version_priority: Mapping[str, tuple[str, ...]] | None = (
        attrs.field(default=None, converter=_priorities)
    )
    include_system: bool = False
    released_volumes: Literal["leave", "reattach"] = "leave"
    retained_volumes: Literal["skip", "reuse"] = "skip"
    expect_cluster: str | None = None
    salvage: bool = False
    max_in_flight: int = attrs.field(default=32, metadata=at_least(1))
    deadline: timedelta = attrs.field(
        default=timedelta(minutes=10), metadata=at_least(timedelta(0))
    )

    def __attrs_post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            InvalidConfigError: With every option of another type or out of bounds.
        """
        check_config(self)

    __repr__ = short_repr

    def to_record(self) -> dict[str, Any]:
        """Return the options as plain JSON."""
        return _record(self)

    @classmethod
    def from_record(
        cls,
        record: Mapping[str, Any],
        *,
        transforms: Iterable[ItemTransform] = (),
        where: ItemPredicate | None = None,
        resource_modifiers: ResourceModifiers | None = None,
    ) -> RestoreOptions:
        """Read what `to_record` wrote; what the record lacks has its default.

        Args:
            record: Plain JSON.
            transforms: The functions that the record names, in its order.
            where: The function that the record names.
            resource_modifiers: The rules whose digest the record has.

        Raises:
            InvalidConfigError: With the option's name: this version does not know it,
                it has another type, or the functions or the rules are others.
        """
        given: dict[str, Any] = {
            "transforms": tuple(transforms),
            "where": where,
            "resource_modifiers": resource_modifiers,
        }
        for name, value in given.items():
            _check_names(name, record.get(name), value)
        values = {k: _typed(k, v) for k, v in record.items() if k not in given}
        return cls(**values, **given)


def _record(options: BackupOptions | RestoreOptions) -> dict[str, Any]:
    """Write every option, so that a record tells what was meant at its time."""
    return {
        field.name: _plain(getattr(options, field.name))
        for field in attrs.fields(type(options))
    }


def _check_names(name: str, named: Any, given: Any) -> None:
    """Refuse others than a record names; names and digests are all that it has."""
    wanted, found = named or (), _plain(given) or ()
    if wanted != found:
        texts = [_sentence(value) for value in (wanted, found)]
        raise InvalidConfigError(f"{name}: named is {texts[0]}, given is {texts[1]}")


def _sentence(names: Any) -> str:
    listed = ", ".join(map(str, names)) if isinstance(names, list) else names
    return str(listed or "none")


def _typed(name: str, value: Any) -> Any:
    """Return an option's value from plain JSON, strictly."""
    hint = get_type_hints(RestoreOptions).get(name)
    if hint is None:
        raise InvalidConfigError(f"{name}: this version has no such option")
    is_time = hint is timedelta
    try:
        value = msgspec.convert(value, float if is_time else hint)
        return timedelta(seconds=value) if is_time else value
    except (msgspec.ValidationError, OverflowError) as exc:
        raise InvalidConfigError(f"{name}: {exc}") from exc


def _plain(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, tuple):
        return [_plain(element) for element in value]
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, ResourceModifiers):
        return value.digest  # what it puts somewhere may be secret
    if isinstance(value, Model):
        from kbackup.models._codec import to_json  # noqa: PLC0415 - mostly not needed

        return to_json(value)
    return qualified_name(value) if callable(value) else value
