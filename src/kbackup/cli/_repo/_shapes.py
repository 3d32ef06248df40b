"""Values of a repository as restic's JSON has them, and as rows of a table.

Source: restic ``doc/075_scripting.rst``, "JSON output".
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from kbackup._kits.sizes import format_size
from kbackup._kits.words import one_line
from kbackup.cli._repo._telling import path_of

if TYPE_CHECKING:
    from datetime import datetime

    from kbackup.repository import (
        Change,
        Decision,
        DiffCount,
        Entry,
        GroupKey,
        KeyInfo,
        Snapshot,
    )

SHORT = 8  # digits of an ID that people are shown
_GO_LETTERS = "dalTLDpSugct?"  # from the highest bit of 32 on
_MODES = {
    "file": stat.S_IFREG,
    "dir": stat.S_IFDIR,
    "symlink": stat.S_IFLNK,
    "dev": stat.S_IFBLK,
    "chardev": stat.S_IFCHR,
    "fifo": stat.S_IFIFO,
    "socket": stat.S_IFSOCK,
}


def short(name: bytes) -> str:
    """Return the beginning of an ID."""
    return name.hex()[:SHORT]


def local_time(when: datetime) -> str:
    """Return an instant as people read it here."""
    return f"{when.astimezone():%Y-%m-%d %H:%M:%S}"


# --- snapshots ----------------------------------------------------------------------------


def snapshot_json(snapshot: Snapshot) -> dict[str, Any]:
    """Return a snapshot as its file has it, with its ID."""
    content: dict[str, Any] = json.loads(snapshot.to_json())
    return content | {"id": snapshot.id.hex(), "short_id": short(snapshot.id)}


def group_json(key: GroupKey) -> dict[str, Any]:
    """Return what the snapshots of a series have in common."""
    return {
        "hostname": key.host,
        "paths": list(key.paths) or None,
        "tags": list(key.tags) or None,
    }


def series_title(key: GroupKey) -> str:
    """Return the line above the snapshots of a series."""
    return f"Snapshots of {one_line(str(key))}:" if str(key) else "Snapshots:"


def forget_json(key: GroupKey, decisions: Sequence[Decision]) -> dict[str, Any]:
    """Return what becomes of a series, and why."""
    reasons = [
        {"snapshot": snapshot_json(each.snapshot), "matches": list(each.reasons)}
        for each in decisions
        if each.keep
    ]
    return {
        "tags": list(key.tags) or None,
        "host": key.host,
        "paths": list(key.paths) or None,
        "keep": [each["snapshot"] for each in reasons] or None,
        "remove": [snapshot_json(each.snapshot) for each in decisions if not each.keep]
        or None,
        "reasons": reasons or None,
    }


def snapshot_headers(*, compact: bool, reasons: bool = False) -> tuple[str, ...]:
    """Return the headers of the columns that `snapshot_row` fills."""
    why = ("REASONS",) if reasons else ()
    more = () if compact else ("PATHS", "SIZE")
    return ("ID", "TIME", "HOST", "TAGS", *why, *more)


def snapshot_row(
    snapshot: Snapshot, *, compact: bool, reasons: Iterable[str] | None = None
) -> tuple[str, ...]:
    """Return a line about a snapshot; the size is that of the files it has."""
    summary = snapshot.summary
    size = format_size(summary.total_bytes_processed) if summary else ""
    why = () if reasons is None else ("; ".join(reasons),)
    more = () if compact else (",".join(snapshot.paths), size)
    return (
        short(snapshot.id),
        local_time(snapshot.time.when),
        snapshot.hostname,
        ",".join(snapshot.tags),
        *why,
        *more,
    )


def summary_json(snapshot: Snapshot, seconds: float) -> dict[str, Any]:
    """Return restic's last message of a backup."""
    counts = snapshot_json(snapshot).get("summary") or {}
    return {
        "message_type": "summary",
        **counts,
        "total_duration": seconds,
        "snapshot_id": snapshot.id.hex(),
    }


# --- keys -----------------------------------------------------------------------------------


def key_json(key: KeyInfo, *, current: bool) -> dict[str, Any]:
    """Return what a key file tells."""
    return {
        "current": current,
        "id": key.id.hex(),
        "userName": key.username,
        "hostName": key.hostname,
        "created": local_time(key.created),
    }


# --- files ----------------------------------------------------------------------------------


def permissions(entry: Entry) -> str:
    """Return type and mode as ``ls -l`` shows them."""
    node = entry.node
    return stat.filemode(_MODES.get(node.type, 0) | node.posix_mode)


def go_permissions(mode: int) -> str:
    """Return bits of Go's ``os.FileMode`` as its ``String`` writes them."""
    kinds = "".join(
        letter for bit, letter in enumerate(_GO_LETTERS) if mode & 1 << (31 - bit)
    )
    bits = "".join(
        letter if mode & 1 << (8 - bit) else "-"
        for bit, letter in enumerate("rwxrwxrwx")
    )
    return (kinds or "-") + bits


def node_json(entry: Entry) -> dict[str, Any]:
    """Return a line of ``ls`` for programs."""
    path, node = entry
    content: dict[str, Any] = {
        "name": os.fsdecode(path.rpartition(b"/")[2]),
        "type": str(node.type),
        "path": path_of(path),
        "uid": node.uid,
        "gid": node.gid,
        "mode": node.mode,
        "permissions": go_permissions(node.mode),
        "mtime": node.mtime,
        "atime": node.atime,
        "ctime": node.ctime,
        "message_type": "node",
        "struct_type": "node",
    }
    if node.type == "file":
        content["size"] = node.size
    return content


def node_line(entry: Entry, *, long: bool) -> str:
    """Return a line of ``ls`` for people."""
    path, node = entry
    name = one_line(path_of(path))
    if not long:
        return name
    when = node.mtime[:19].replace("T", " ")
    facts = f"{permissions(entry)} {node.uid:5} {node.gid:5} {node.size:10} {when}"
    return f"{facts} {name}"


# --- differences ----------------------------------------------------------------------------


def change_json(change: Change) -> dict[str, Any]:
    """Return one difference."""
    return {
        "message_type": "change",
        "path": path_of(change.path) + ("/" if change.is_directory else ""),
        "modifier": str(change.kind),
    }


def stat_json(counted: DiffCount) -> dict[str, Any]:
    """Return what is on one side only."""
    return {
        "files": counted.files,
        "dirs": counted.directories,
        "others": counted.others,
        "data_blobs": counted.data_blobs,
        "tree_blobs": counted.tree_blobs,
        "bytes": counted.bytes,
    }
