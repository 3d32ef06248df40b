"""Listing a tree of directories as an object store lists keys: in order, streaming.

Shared by stores that look into directories; pure but for the callback.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

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
