"""Which directories a location's configuration or address means."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from kbackup.errors import InvalidConfigError
from kbackup.models import BackupStorageLocationSpec
from kbackup.stores import key_fault

PROVIDER = "kbackup.io/local"

SEPARATOR = "#"


def directories(config: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the directories of a location; a bucket is a sub-directory of each.

    Raises:
        InvalidConfigError: ``path`` is missing, not absolute, has a NUL in it, or names one
            twice.
    """
    text = config.get("path", "")
    if not text:
        raise InvalidConfigError(
            "the location has no path", hint="write path: /a/directory in its config"
        )
    bucket = config.get("bucket", "")
    if bucket and (fault := key_fault(bucket)):
        raise InvalidConfigError(f"the bucket {bucket!r} of the location: {fault}")
    parts = text.split(SEPARATOR)
    if not all(os.path.isabs(part) for part in parts):  # noqa: PTH117 - also of ""
        raise InvalidConfigError(f"path of the location is not absolute: {text!r}")
    if "\0" in text:  # the system's own words for that name nothing
        raise InvalidConfigError(f"path of the location has a NUL in it: {text!r}")
    paths = tuple(Path(os.path.normpath(part)) for part in parts)
    for path in paths:
        if sum(path == other or path in other.parents for other in paths) > 1:
            raise InvalidConfigError(
                f"path of the location names {path} twice, or a directory within it"
            )
    return tuple(path / bucket for path in paths)


def local_spec(url: str) -> BackupStorageLocationSpec:
    """Return the location of ``file:///a/directory``.

    Several directories are joined by ``%23``, which is the separator ``#`` in an
    address.

    Raises:
        InvalidConfigError: It names a host, or has more than a path.
    """
    parts = urlsplit(url)
    if parts.netloc not in {"", "localhost"}:
        host = parts.netloc.rpartition("@")[2]  # before it may be a password
        raise InvalidConfigError(
            f"the address names the host {host!r}, not a directory",
            hint=f"write file:///{host}{parts.path} for a directory of that name",
        )
    if parts.fragment or url.endswith(SEPARATOR):
        raise InvalidConfigError(
            "the address of the location has a '#' in it",
            hint="in an address the separator of directories is %23; "
            "or give --location once for each directory",
        )
    if parts.query:
        raise InvalidConfigError("the address of a directory has a '?' in it")
    # On Windows a drive's slash goes and slashes turn; elsewhere it only unquotes.
    path = _windows_path(parts.path) if os.name == "nt" else unquote(parts.path)
    return BackupStorageLocationSpec(provider=PROVIDER, config={"path": path})


def _windows_path(path: str) -> str:
    from urllib.request import url2pathname  # noqa: PLC0415 - costs 30 ms

    return url2pathname(path)
