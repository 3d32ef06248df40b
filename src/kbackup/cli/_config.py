"""Named locations: ``~/.config/kbackup/config.toml``, or ``$XDG_CONFIG_HOME/kbackup``.

::

    default-location = "prod"

    [locations.prod]
    url = "s3://backups/prod?region=eu-west-1"

    [locations.archive]
    url = "/mnt/archive"
    read-only = true
    uuid = "6f1c0c9e-5d0a-4f0e-9a43-3b1f0e6f7a52"

    [locations.minio]
    provider = "aws"
    bucket = "backups"
    prefix = "prod"
    read-only = true
    [locations.minio.config]
    s3Url = "http://minio:9000"
    s3ForcePathStyle = "true"
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from kbackup._kits.words import nearest, suggestion
from kbackup.errors import InvalidConfigError, UnknownLocationError

if TYPE_CHECKING:
    from kbackup.models import BackupStorageLocation


_BESIDE_URL = frozenset({"url", "read-only", "uuid"})
_TOP = frozenset({"default-location", "locations"})
_FIELDS = frozenset({"provider", "bucket", "prefix", "config", "read-only", "uuid"})


class NoLocationError(UnknownLocationError):
    """No location was given, or none stands under the name."""


@attrs.frozen(kw_only=True)
class Config:
    """What the file of settings says.

    Attributes:
        path: The file, which need not exist.
        default_location: Used where no location is given; may be empty.
        locations: What stands under each name.
    """

    path: Path
    default_location: str = ""
    locations: Mapping[str, Mapping[str, Any]] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Chosen:
    """The location that a user means.

    Attributes:
        source: Addresses, several of which are mirrors; or Velero's fields.
        read_only: Whether the file of settings forbids to write there.
        uuid: The only location that is meant, by its uuid; empty: whatever is there.
    """

    source: Sequence[str] | BackupStorageLocation
    read_only: bool = False
    uuid: str = ""


def config_path() -> Path:
    """Return where the file of settings is looked for."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "kbackup" / "config.toml"


def read_config(path: Path) -> Config:
    """Read the file of settings; one that is not there is empty.

    Raises:
        InvalidConfigError: It cannot be read or holds something else.
    """
    try:
        data = tomllib.loads(path.read_text())
    except FileNotFoundError:
        return Config(path=path)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise InvalidConfigError(f"{path}: {exc}") from exc
    _refuse_odd_keys(data, _TOP, str(path))
    locations = data.get("locations", {})
    default = data.get("default-location", "")
    if not isinstance(default, str) or not isinstance(locations, dict):
        raise InvalidConfigError(
            f"{path}: default-location must be a name, [locations.NAME] tables"
        )
    return Config(path=path, default_location=default, locations=locations)


def choose_location(given: Sequence[str], config: Config) -> Chosen:
    """Return the location that the user means.

    A word with ``://`` or a path separator is an address; any other is a name in the
    file of settings. A ``~`` that no shell has replaced is the home directory here.

    Raises:
        NoLocationError: None was given, or the name is not in the file.
        InvalidConfigError: What stands under the name means no location.
    """
    words = list(given) or [config.default_location]
    if words == [""]:
        raise NoLocationError(
            "no location was given",
            hint="give --location URL, or set KBACKUP_LOCATION, "
            f"or default-location in {config.path}",
        )
    if len(words) > 1 or is_address(words[0]):
        return Chosen(source=[_at_home(word) for word in words])
    name = words[0]
    if name not in config.locations:
        known = ", ".join(sorted(config.locations)) or "none"
        scheme, colon, _ = name.partition(":")  # a name, but for a slip
        address = f"an address is written {scheme}://..., " if colon else ""
        raise NoLocationError(
            f"{config.path} has no location {name!r} (it has: {known})",
            hint=f"{address}a directory is written ./{name}",
        )
    return _location(name, config)


def is_address(text: str) -> bool:
    """Tell an address, such as ``s3://b/p``, ``/mnt/b`` or ``./b``, from a name."""
    return "://" in text or "/" in text or text in {".", "..", "~"} or os.sep in text


def _at_home(address: str) -> str:
    """Put the home directory for ``~``; of several directories for each."""
    if "://" in address:
        return address
    parts = address.split("#")  # which stands between mirrored directories
    # Unlike pathlib's, this one leaves the home of an unknown user as it is.
    return "#".join(map(os.path.expanduser, parts))


def _location(name: str, config: Config) -> Chosen:
    """Return what stands under *name*: addresses, or Velero's fields."""
    table = config.locations[name]
    where = f"{config.path}: location {name!r}"
    if not isinstance(table, dict):
        raise InvalidConfigError(f"{where} is no table")
    url = table.get("url")
    _refuse_odd_keys(table, _BESIDE_URL if url is not None else _FIELDS, where)
    read_only = table.get("read-only", False)
    if not isinstance(read_only, bool):
        raise InvalidConfigError(f"{where}: read-only is true or false")
    uuid = table.get("uuid", "")
    if not isinstance(uuid, str):
        raise InvalidConfigError(f"{where}: uuid is a string")
    if url is None:
        fields = _from_fields(name, table, where)
        return Chosen(source=fields, read_only=read_only, uuid=uuid)
    urls = [url] if isinstance(url, str) else url
    if not (isinstance(urls, list) and urls and all(isinstance(u, str) for u in urls)):
        raise InvalidConfigError(f"{where}: url is an address, or a list of them")
    source = [_settled(each, name, config) for each in urls]
    return Chosen(source=source, read_only=read_only, uuid=uuid)


def _refuse_odd_keys(
    table: Mapping[str, Any], known: frozenset[str], where: str
) -> None:
    """Refuse what would be passed over, and name it: it may be a slip of the pen."""
    odd = sorted(table.keys() - known)
    if not odd:
        return
    names = ", ".join(odd)
    if "url" in known and _FIELDS.intersection(odd):
        raise InvalidConfigError(
            f"{where} has a url, which takes no {names} beside it",
            hint="what a url cannot say needs provider, bucket, prefix, config",
        )
    raise InvalidConfigError(
        f"{where} has no setting {names}",
        hint=suggestion("setting", (nearest(key, sorted(known)) for key in odd)),
    )


def _from_fields(
    name: str, table: Mapping[str, Any], where: str
) -> BackupStorageLocation:
    """Return Velero's object of the fields in *table*."""
    from kbackup.models import (  # noqa: PLC0415 - only Velero's fields need models
        BackupStorageLocation,
        BackupStorageLocationSpec,
        ObjectMeta,
        ObjectStorage,
    )

    provider, settings = table.get("provider"), table.get("config", {})
    if not isinstance(provider, str) or not isinstance(settings, dict):
        raise InvalidConfigError(f"{where} needs url, or provider with bucket")
    return BackupStorageLocation(
        metadata=ObjectMeta(name=name),
        spec=BackupStorageLocationSpec(
            provider=provider,
            config={
                key: _at_home(str(value)) if key == "path" else str(value)
                for key, value in settings.items()
            },
            object_storage=ObjectStorage(
                bucket=str(table.get("bucket", "")), prefix=str(table.get("prefix", ""))
            ),
        ),
    )


def _settled(url: str, name: str, config: Config) -> str:
    """Return an address of the file of settings, the same from every directory.

    Raises:
        InvalidConfigError: It is the path of a directory and not absolute.
    """
    address = _at_home(url)
    if "://" not in address and not all(
        Path(part).is_absolute() for part in address.split("#")
    ):
        raise InvalidConfigError(
            f"{config.path}: the url of location {name!r} is no absolute path: {url!r}",
            hint="begin it with / or ~/, or write an address such as s3://bucket/prefix",
        )
    return address
