"""What is known of filesystems that fsspec itself does not tell.

Of a filesystem that is not here the worst is thought: that readers see what is being
written, and that removing a directory removes what is in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs


def _move(filesystem: Any, old: str, new: str) -> None:
    filesystem.mv(old, new)


def _move_in_webdav(filesystem: Any, old: str, new: str) -> None:
    # Its mv copies and removes: a reader could see half a copy.
    filesystem.client.move(old, new, overwrite=True)


def _leave_open(_: Any) -> None:
    """Close nothing: such a filesystem has nothing to close, or no way to."""


def _close_sftp(filesystem: Any) -> None:
    filesystem.disconnect()


def _close_ftp(filesystem: Any) -> None:
    filesystem.ftp.close()


def _close_webdav(filesystem: Any) -> None:
    filesystem.client.http.close()


@attrs.frozen(kw_only=True)
class Manners:
    """How a filesystem behaves.

    Attributes:
        in_place: Readers see a file while it is written.
        keeps_full_directories: Its server refuses to remove a directory that holds
            something; some remove both.
        has_ranges: Reading a part transfers little more than that.
        move: Gives a file another name on the server.
        close: Gives up its connections.
        unfit: Characters that no name may have.
        moves_itself: `move` does not need the filesystem to have an ``mv`` of its own.
    """

    in_place: bool = True
    keeps_full_directories: bool = False
    has_ranges: bool = False
    move: Callable[[Any, str, str], None] = _move
    close: Callable[[Any], None] = _leave_open
    unfit: str = ""
    moves_itself: bool = False


UNKNOWN = Manners()
_SFTP = Manners(keeps_full_directories=True, has_ranges=True, close=_close_sftp)
_WHOLE = Manners(in_place=False, has_ranges=True)
_WEBDAV = Manners(
    move=_move_in_webdav,
    close=_close_webdav,
    unfit="%?#",  # webdav4 takes them for parts of an address
    moves_itself=True,
)

MANNERS: Mapping[str, Manners] = {
    "dav": _WEBDAV,
    "ftp": Manners(keeps_full_directories=True, close=_close_ftp),
    "memory": _WHOLE,
    "oci": _WHOLE,
    "ocilake": _WHOLE,
    "oss": _WHOLE,
    "sftp": _SFTP,
    "smb": Manners(keeps_full_directories=True, has_ranges=True),
    "ssh": _SFTP,
    "tos": _WHOLE,
    "tosfs": _WHOLE,
    "webdav": _WEBDAV,
}

# The provider that does these better, with more than a filesystem can say.
ELSEWHERE: Mapping[str, str] = {
    "abfs": "velero.io/azure",
    "abfss": "velero.io/azure",
    "adl": "velero.io/azure",
    "az": "velero.io/azure",
    "file": "kbackup.io/local",
    "gcs": "velero.io/gcp",
    "gs": "velero.io/gcp",
    "local": "kbackup.io/local",
    "s3": "velero.io/aws",
    "s3a": "velero.io/aws",
}

# Views of other filesystems, and what can only be read.
NO_STORES = frozenset(
    [
        "async_wrapper",
        "asynclocal",
        "asyncwrapper",
        "blockcache",
        "cached",
        "data",
        "dir",
        "dvc",
        "filecache",
        "generic",
        "gist",
        "git",
        "github",
        "http",
        "https",
        "jlab",
        "jupyter",
        "libarchive",
        "pyscript",
        "reference",
        "simplecache",
        "tar",
        "zip",
    ]
)

# What pip installs, where that is not the package that the class is in.
PACKAGES: Mapping[str, str] = {
    "arrow_hdfs": "pyarrow",
    "dask": "distributed",
    "dbfs": "requests",
    "dropbox": "dropboxdrivefs requests dropbox",
    "gdrive": "gdrive-fsspec",
    "hdfs": "pyarrow",
    "sftp": "'kbackup[sftp]'",
    "smb": "smbprotocol",
    "ssh": "'kbackup[sftp]'",
    "webdav": "'webdav4[fsspec]'",
    "webhdfs": "requests",
}
