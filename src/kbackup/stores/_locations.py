"""From what a user names as a location to an open store.

A location is given as an address, a path, several paths, or Velero's own object;
`location_from` makes all of them a `BackupStorageLocation`, `open_object_store` opens
it. Called by the catalog and the command line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, cast

import attrs

from kbackup.errors import (
    InvalidConfigError,
    KBackupError,
    UnknownLocationError,
)
from kbackup.models import (
    BackupStorageLocation,
    BackupStorageLocationSpec,
    ObjectMeta,
    ObjectStorage,
)
from kbackup.plugins import ObjectStore, ObjectStoreFactory, PluginKind
from kbackup.plugins.engine import open_offered
from kbackup.stores._keys import key_fault
from kbackup.stores._prefixed import PrefixedStore, ReadOnlyStore

LOCAL_PROVIDER = "kbackup.io/local"
DEFAULT_NAME = "default"

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
# Two letters at least: one is a drive of Windows.
_HALF_ADDRESS = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):(?P<slash>/?)")
_SEPARATOR = "#"  # between mirrored directories
_S3_ARN = "arn:aws:s3:"  # a multi-region access point, whose ARN has a slash

LocationLike = str | os.PathLike[str] | BackupStorageLocation


class Providers(Protocol):
    """The part of a `PluginManager` that is needed here."""

    def object_store_factory(self, provider_or_scheme: str) -> ObjectStoreFactory:
        """Return the factory of a provider."""
        ...

    def spec_for_url(self, url: str) -> BackupStorageLocationSpec:
        """Return the location that an address means."""
        ...


def location_from(
    source: LocationLike | Sequence[str | os.PathLike[str]], plugins: Providers
) -> BackupStorageLocation:
    """Return the location that *source* means, checked by Velero's rules.

    Args:
        source: An address such as ``s3://bucket/prefix``; the path of a directory, or
            of several joined by ``#``; a sequence of paths or ``file://`` addresses,
            which are mirrors of each other; or a location.
        plugins: Who knows the addresses.

    Raises:
        UnknownLocationError: No plugin knows addresses of this kind.
        InvalidConfigError: The location breaks a rule, or what is no address begins
            with ``~`` or as an address does, such as ``s3:/bucket``.
    """
    if isinstance(source, BackupStorageLocation):
        return attrs.evolve(source, spec=checked_spec(source.spec))
    if isinstance(source, str | os.PathLike):
        spec = _spec_of(source, plugins)
    else:
        _require_paths(source)
        spec = _mirrored([_spec_of(part, plugins) for part in source])
    return BackupStorageLocation(
        metadata=ObjectMeta(name=DEFAULT_NAME), spec=checked_spec(spec)
    )


def _require_paths(source: object) -> None:
    """Refuse what is no sequence of paths; what came is told by its type alone."""
    if isinstance(source, Sequence) and not isinstance(source, bytes):
        odd = [part for part in source if not isinstance(part, str | os.PathLike)]
        if not odd:
            return
        source = odd[0]
    came = "None" if source is None else f"a {type(source).__name__}"
    raise TypeError(
        f"location: expected an address, a path, several paths or a "
        f"BackupStorageLocation, got {came}"
    )


def open_object_store(
    location: BackupStorageLocation,
    plugins: Providers,
    *,
    credentials_file: str = "",
) -> ObjectStore:
    """Open the store of a location, bound to its bucket and prefix.

    The network is not touched before the first operation.

    Args:
        location: As `location_from` returns it, or as it was read from a cluster.
        plugins: Where providers are looked up.
        credentials_file: A file with the value of the Secret that the location names.

    Raises:
        PluginError: The provider is not installed, not complete, or fails.
        InvalidConfigError: The location breaks a rule or its provider refuses it.
    """
    spec = checked_spec(location.spec)
    factory = plugins.object_store_factory(spec.provider)
    config = provider_config(spec, credentials_file=credentials_file)
    opened = open_offered(PluginKind.OBJECT_STORE, spec.provider, factory, config)
    store = cast("ObjectStore", opened)
    if spec.object_storage.prefix:
        store = PrefixedStore(store, spec.object_storage.prefix)
    return ReadOnlyStore(store) if spec.read_only else store


def checked_spec(spec: BackupStorageLocationSpec) -> BackupStorageLocationSpec:
    """Return *spec* with bucket and prefix trimmed as Velero trims them.

    Raises:
        InvalidConfigError: It has no provider, a slash within the bucket, a prefix that
            is no path, or two certificates.
    """
    storage = spec.object_storage
    bucket, prefix = storage.bucket.strip("/"), storage.prefix.strip("/")
    if not spec.provider:
        raise InvalidConfigError("the location names no provider")
    if "/" in bucket and not bucket.startswith(_S3_ARN):
        raise InvalidConfigError(
            f"the bucket {bucket!r} of the location has a slash in it",
            hint="what follows the bucket belongs into prefix",
        )
    if bucket in {".", ".."}:
        raise InvalidConfigError(f"the bucket {bucket!r} of the location is no name")
    if prefix and (fault := key_fault(prefix)):
        raise InvalidConfigError(f"the prefix {prefix!r} of the location: {fault}")
    if storage.ca_cert and storage.ca_cert_ref:
        raise InvalidConfigError("the location has both caCert and caCertRef")
    storage = attrs.evolve(storage, bucket=bucket, prefix=prefix)
    return attrs.evolve(spec, object_storage=storage)


def provider_config(
    spec: BackupStorageLocationSpec, *, credentials_file: str = ""
) -> Mapping[str, str]:
    """Return what the provider is given: the location's config and what Velero adds.

    Raises:
        InvalidConfigError: The location names a Secret that nobody resolved, or its
            certificate is no text.
    """
    config = dict(spec.config)
    if credentials_file:
        config["credentialsFile"] = credentials_file
    if spec.credential and not config.get("credentialsFile"):
        raise InvalidConfigError(
            f"the location takes its credentials from the Secret {spec.credential.name}",
            hint="write the value of the Secret to a file and name it in the "
            "location's config as credentialsFile",
        )
    storage = spec.object_storage
    if storage.bucket:
        config["bucket"] = storage.bucket
    if storage.prefix:
        config["prefix"] = storage.prefix
    if storage.ca_cert:
        try:
            config["caCert"] = storage.ca_cert.decode("ascii")
        except UnicodeDecodeError as exc:
            raise InvalidConfigError("caCert of the location is no PEM text") from exc
    return config


def _spec_of(
    source: str | os.PathLike[str], plugins: Providers
) -> BackupStorageLocationSpec:
    if isinstance(source, str) and _ADDRESS.match(source):
        return plugins.spec_for_url(source)
    if isinstance(source, BackupStorageLocation):
        raise InvalidConfigError("only directories can be mirrors of each other")
    text = os.fspath(source)
    if not isinstance(source, str) and _SEPARATOR in text:
        raise InvalidConfigError(
            f"the directory {text} has a '#' in its name, which separates directories"
        )
    parts = text.split(_SEPARATOR)
    if isinstance(source, str):
        _refuse_half_addresses(parts, plugins)
    if not all(parts):
        raise InvalidConfigError(f"the location {text!r} names an empty path")
    if any(part.startswith("~") for part in parts):  # HOME is none of a library's
        raise InvalidConfigError(
            f"the location {text!r} begins with '~', which only a shell replaces",
            hint="give the whole path, as Path.expanduser makes it; "
            "a directory of that name is written ./~",
        )
    return _local([str(Path(part).absolute()) for part in parts])


def _refuse_half_addresses(parts: Iterable[str], plugins: Providers) -> None:
    """Refuse an address with a slip in it: as a path it would be a new directory here.

    Of the text only its beginning is repeated; the rest may hold a password.
    """
    for part in parts:
        begun = _HALF_ADDRESS.match(part)
        if begun and (begun["slash"] or _is_scheme(begun["scheme"], plugins)):
            scheme = begun["scheme"]
            raise InvalidConfigError(
                f"the location begins with '{begun[0]}', which is neither an address "
                "nor a path",
                hint=f"an address is written {scheme}://..., and a directory of that "
                f"name ./{begun[0]}...",
            )


def _is_scheme(word: str, plugins: Providers) -> bool:
    """Tell whether a plugin knows addresses of this kind, usable or not."""
    try:
        plugins.spec_for_url(f"{word}://")
    except UnknownLocationError:
        return False
    except KBackupError:  # it knows them, and misses the rest of this one
        return True
    return True


def _local(
    paths: Sequence[str], storage: ObjectStorage | None = None
) -> BackupStorageLocationSpec:
    return BackupStorageLocationSpec(
        provider=LOCAL_PROVIDER,
        config={"path": _SEPARATOR.join(paths)},
        object_storage=storage or ObjectStorage(),
    )


def _mirrored(
    specs: Sequence[BackupStorageLocationSpec],
) -> BackupStorageLocationSpec:
    """Join several locations of one directory each into one of several directories."""
    if not specs:
        raise InvalidConfigError("no location was given")
    if len(specs) == 1:
        return specs[0]
    if any(spec.provider != LOCAL_PROVIDER for spec in specs):
        raise InvalidConfigError("only directories can be mirrors of each other")
    return _local([spec.config["path"] for spec in specs], specs[0].object_storage)
