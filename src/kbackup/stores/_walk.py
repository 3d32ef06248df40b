"""Listing a tree of directories as an object store lists keys: in order, streaming.

Shared by stores that look into directories; pure but for the callback.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from kbackup.errors import StoreError, StoreUnavailableError
from kbackup.plugins import ObjectInfo

Children = Callable[[str], Iterable[tuple[str, ObjectInfo | None]]]
"""From ``""`` or ``a/b/`` to the names in there, each with its object; None is a
directory."""


def walk_in_key_order(
    children: Children, prefix: str = "", after: str = ""
) -> Iterator[ObjectInfo]:
    """Yield the objects whose key begins with *prefix* and is past *after*, ascending.

    Only one directory a level is held in memory, and only those are read that can hold
    a wanted key. Code point order, which for UTF-8 is the order of S3.
    """
    base = prefix[: prefix.rfind("/") + 1]
    return _walk(children, base, prefix, after)


def _walk(
    children: Children, directory: str, prefix: str, after: str
) -> Iterator[ObjectInfo]:
    # A directory sorts by its name with the slash: "a-b" comes before "a/x".
    found = sorted(
        (f"{directory}{name}" if info else f"{directory}{name}/", info)
        for name, info in children(directory)
    )
    for path, info in found:
        if info is None:
            is_wanted = path.startswith(prefix) or prefix.startswith(path)
            is_past = path > after or after.startswith(path)
            if is_wanted and is_past:
                yield from _walk(children, path, prefix, after)
        elif path.startswith(prefix) and path > after:
            yield info


def prefixes_in_key_order(
    children: Children,
    objects: Callable[[str], Iterator[ObjectInfo]],
    prefix: str,
    delimiter: str,
) -> Iterator[str]:
    """Yield what keys share up to *delimiter*; for ``/`` only directories are looked at.

    Args:
        children: What lies in a directory.
        objects: List what begins with a prefix; of a directory the first one is looked
            for, for one without any may have stayed from what was deleted.
        prefix: ``""``, or such as ``a/b``.
        delimiter: Not empty.

    Raises:
        StoreUnavailableError: Nobody answers; what is wrong with one directory alone
            does not hide the others.
    """
    if delimiter != "/":
        yield from common_prefixes(objects(prefix), prefix, delimiter)
        return
    base = prefix[: prefix.rfind("/") + 1]
    names = (name for name, info in children(base) if info is None)
    for path in sorted(f"{base}{name}/" for name in names):
        if path.startswith(prefix) and _has_any(objects, path):
            yield path


def _has_any(objects: Callable[[str], Iterator[ObjectInfo]], path: str) -> bool:
    try:
        return next(objects(path), None) is not None
    except StoreUnavailableError:  # the next directory would be waited for as long
        raise
    except StoreError:  # it is there; who looks into it is told
        return True


def common_prefixes(
    infos: Iterable[ObjectInfo], prefix: str, delimiter: str
) -> Iterator[str]:
    """Yield what the keys share up to *delimiter* behind *prefix*, each once.

    Args:
        infos: Objects with that prefix, ascending.
        prefix: What was asked for.
        delimiter: Not empty.
    """
    last = ""
    for info in infos:
        head, found, _ = info.key[len(prefix) :].partition(delimiter)
        common = f"{prefix}{head}{delimiter}"
        if found and common != last:
            last = common
            yield common
