"""Where an item lies inside an archive, and what such a path says.

Source: Velero's output file format. Called by the writer and the reader.
"""

from __future__ import annotations

import re

from kbackup.errors import ArchiveCorruptError, ArchiveVersionError

VERSION_ENTRY = "metadata/version"
FORMAT_VERSION = "1.1.0"
"""Of what is written; Velero 1.8 to 1.18 write the same."""
LONGEST_NAME_FOR_VELERO = 250
"""A longer item name makes a file name over 255 bytes, which Velero cannot unpack."""

PREFERRED_SUFFIX = "-preferredversion"
_SUFFIX = b".json"
_SUPPORTED_MAJOR = 1


def item_directory(resource: str, namespace: str) -> tuple[str, str]:
    """Return what stands before and after the version in the paths of items."""
    scope = f"namespaces/{namespace}/" if namespace else "cluster/"
    return f"resources/{resource}/", scope


def version_directory(version: str, *, preferred: bool) -> str:
    """Return the name of the directory of a version's copies."""
    return version + PREFERRED_SUFFIX if preferred else version


def clean_path(raw: bytes) -> str:
    """Return the path of an entry, relative and without a leading ``./``.

    Raises:
        ArchiveCorruptError: It is absolute, climbs out or is no text.
    """
    try:
        path = raw.decode()
    except UnicodeDecodeError as exc:
        raise ArchiveCorruptError("its path is not UTF-8", entry=repr(raw)) from exc
    while path.startswith("./"):
        path = path[2:]
    if path.startswith("/"):
        raise ArchiveCorruptError("its path is absolute", entry=path)
    if ".." in path and ".." in path.split("/"):
        raise ArchiveCorruptError("its path climbs out of the archive", entry=path)
    if "\0" in path:
        raise ArchiveCorruptError("its path holds a NUL", entry=repr(path))
    return path


Key = tuple[str, str, str]
"""Type, namespace and name of an item, as plain strings: there may be 300,000."""


class PathReader:
    """Splits the paths of one archive; remembers the directories it has seen."""

    def __init__(self) -> None:
        self._directories: dict[bytes, tuple[str, str, str] | None] = {}
        # The copies of an item follow one another, and have one name.
        self._file, self._name = b"", ""

    def split(self, raw: bytes) -> tuple[str, str, str, str] | None:
        """Return type, version directory, namespace and name of an item's entry.

        None where the path is not that of an item. Plain strings, because this is
        asked for every entry of an archive.

        Raises:
            ArchiveCorruptError: It is absolute, climbs out or is no text.
        """
        directory, _, file = raw.rpartition(b"/")
        try:
            place = self._directories[directory]
        except KeyError:
            place = split_directory(clean_path(directory))
            self._directories[directory] = place
        if place is None or not file.endswith(_SUFFIX) or len(file) == len(_SUFFIX):
            clean_path(raw)
            return None
        if file != self._file:
            self._file, self._name = file, _name_in(file, raw)
        return (*place, self._name)


def _name_in(file: bytes, raw: bytes) -> str:
    """Return the name of the item in *file*, the last part of the path *raw*."""
    if file in _NO_FILES or b"\0" in file:
        raise _no_name(clean_path(raw))
    try:
        return file[: -len(_SUFFIX)].decode()
    except UnicodeDecodeError as exc:
        raise ArchiveCorruptError("its path is not UTF-8", entry=repr(raw)) from exc


# What no API server takes as a name: a request for it would be about something else.
_NO_NAMES = frozenset({".", ".."})
_NO_FILES = frozenset({b"..json", b"...json"})


def _no_name(path: str) -> ArchiveCorruptError:
    return ArchiveCorruptError("no object can have this name", entry=path)


def split_directory(path: str) -> tuple[str, str, str] | None:
    """Return type, version directory and namespace of a directory of items.

    Raises:
        ArchiveCorruptError: It is one of items that cannot have such a type or namespace.
    """
    parts = path.split("/")
    if len(parts) < 3 or parts[0] != "resources" or not parts[1]:  # noqa: PLR2004
        return None
    if parts[1].startswith(".") or parts[1].endswith("."):
        # ``pods.`` would be read as ``pods``, and one of the two be lost.
        raise ArchiveCorruptError("no type can have this name", entry=path)
    version, rest = "", parts[2:]
    if rest[0] not in {"namespaces", "cluster"}:
        version, rest = rest[0], rest[1:]
    if rest == ["cluster"]:
        return parts[1], version, ""
    if len(rest) == 2 and rest[0] == "namespaces" and rest[1]:  # noqa: PLR2004 - depth
        if rest[1] in _NO_NAMES:
            raise _no_name(path)
        return parts[1], version, rest[1]
    return None


def check_version(content: bytes) -> None:
    """Refuse a layout that is newer than this reader.

    Before Velero 1.4 the file held ``1``. What is not a version at all is ignored, as
    Velero does: the file is for information.

    Raises:
        ArchiveVersionError: Another major version.
    """
    match = re.match(rb"\s*(\d{1,9})(?:\.|\s|$)", content[:64])
    if match and int(match[1]) > _SUPPORTED_MAJOR:
        text = content[:64].decode(errors="replace").strip()
        raise ArchiveVersionError(
            f"layout version {text} is newer than this reader", entry=VERSION_ENTRY
        )


_KUBE_VERSION = re.compile(r"v(\d+)(?:(alpha|beta)(\d+))?")
_STABILITY = {None: 2, "beta": 1, "alpha": 0}


def version_rank(directory: str) -> tuple[int, int, int, int, str]:
    """Order version directories: the source's preferred one, then Kubernetes' order."""
    version = directory.removesuffix(PREFERRED_SUFFIX)
    preferred = int(version != directory)
    match = _KUBE_VERSION.fullmatch(version)
    if match is None:
        return (preferred, -1, 0, 0, version)
    major, stability, minor = match.groups()
    return (preferred, _STABILITY[stability], int(major), int(minor or 0), version)


def keep_best(versions: dict[Key, str], key: Key, version: str) -> None:
    """Remember the better of two version directories of an item."""
    known = versions.get(key)
    if known is None or version_rank(version) > version_rank(known):
        versions[key] = version
