"""fsspec's SFTP filesystem, as a store needs it.

fsspec's own trusts whatever key a server shows, unless it is told otherwise, and waits
for the answer to one block before it asks for the next.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from stat import S_ISREG
from typing import Any

from kbackup.errors import InvalidConfigError, StoreAccessError

# ssh_config(5): UserKnownHostsFile and GlobalKnownHostsFile.
_KNOWN_HOSTS = ("~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts")
_REFUSED = {"host_key_policy", "sock", "pkey", "temppath"}
_DIRECTORY_MODE = 0o700  # a backup holds Secrets
_FILE_MODE = 0o600
_BLOCK = 1 << 15  # what every server answers to one read
_AT_ONCE = 64  # reads on their way; 2 MiB, as OpenSSH's sftp


def open_sftp(
    options: Mapping[str, Any], *, known_hosts: Sequence[str], seconds: float
) -> Any:
    """Connect, and return the filesystem.

    Args:
        options: Of fsspec: those of paramiko's ``SSHClient.connect``, with ``host``.
        known_hosts: Files with the keys of servers; empty: those that ssh reads.
        seconds: How long each step of connecting may take.

    Raises:
        StoreAccessError: The server's key is not in these files.
        InvalidConfigError: An option weakens that, or cannot be said in a location.
    """
    if refused := sorted(_REFUSED & options.keys()):
        raise InvalidConfigError(
            f"{', '.join(refused)} of the location cannot be chosen",
            hint="keys of servers are always checked: knownHosts names a file of them",
        )
    steps = ("timeout", "banner_timeout", "auth_timeout", "channel_timeout")
    return _filesystem_class()(
        **{**dict.fromkeys(steps, seconds), **options},
        known_hosts_files=tuple(known_hosts),
        skip_instance_cache=True,
    )


def _known_hosts_files(named: Sequence[str]) -> Iterator[str]:
    if named:
        yield from named
        return
    for text in _KNOWN_HOSTS:
        path = Path(text).expanduser()
        if path.is_file():
            yield str(path)


@cache
def _filesystem_class() -> Any:
    """Make the class when the first store is opened: paramiko takes its time."""
    import paramiko  # noqa: PLC0415 - the SDK, see the package
    from fsspec.implementations.sftp import (  # noqa: PLC0415 - as above
        SFTPFileSystem,
    )

    class RefuseUnknown(paramiko.MissingHostKeyPolicy):  # type: ignore[misc] # untyped
        def missing_host_key(self, client: Any, hostname: str, key: Any) -> None:
            raise StoreAccessError(
                "",
                f"the key of {hostname} is not known: {key.get_name()} "
                f"{key.fingerprint}",
                hint="compare it with the server's own, and put the line that "
                "ssh-keyscan prints into ~/.ssh/known_hosts or the file that "
                "knownHosts of the location names",
            )

    class CheckedSFTPFileSystem(SFTPFileSystem):  # type: ignore[misc] # untyped
        cachable = False

        def __init__(self, host: str, **options: Any) -> None:
            self._known_hosts = options.pop("known_hosts_files")
            super().__init__(host, **options)

        def _connect(self) -> None:
            self.client = paramiko.SSHClient()
            for file in _known_hosts_files(self._known_hosts):
                self.client.load_system_host_keys(file)
            self.client.set_missing_host_key_policy(RefuseUnknown())
            try:
                self.client.connect(self.host, **self.ssh_kwargs)
                self.ftp = self.client.open_sftp()
                self.ftp.get_channel().settimeout(None)  # calls have their own times
            except BaseException:
                self.client.close()
                raise

        @property
        def is_connected(self) -> bool:
            transport, channel = self.client.get_transport(), self.ftp.get_channel()
            alive = transport is not None and transport.is_active()
            return alive and not channel.closed and not channel.eof_received

        def disconnect(self) -> None:
            self.client.close()

        def mkdir(
            self, path: str, create_parents: bool = True, mode: int = _DIRECTORY_MODE
        ) -> None:
            super().mkdir(path, create_parents, mode)

        def pipe_file(self, path: str, value: bytes, **_: Any) -> None:
            with self._created(path) as file:
                file.write(value)

        def put_file(self, lpath: str, rpath: str, **_: Any) -> None:
            with self._created(rpath) as file, open(lpath, "rb") as source:  # noqa: PTH123
                while block := source.read(1 << 20):
                    file.write(block)

        def cat_file(
            self, path: str, start: int | None = None, end: int | None = None, **_: Any
        ) -> bytes:
            with self.ftp.open(path, "rb") as file:
                begin = start or 0
                stop = file.stat().st_size if end is None else end
                return _read(file, begin, max(stop - begin, 0))

        def peek(
            self, path: str, start: int, most: int
        ) -> tuple[Mapping[str, Any], bytes]:
            """Describe a file and read from it, both through one handle."""
            with self.ftp.open(path, "rb") as file:
                found = file.stat()
                if not S_ISREG(found.st_mode):
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
                length = max(min(most, found.st_size - start), 0)
                return self._decode_stat(found), _read(file, start, length)

        def mv(self, old: str, new: str) -> None:
            try:
                self.ftp.posix_rename(old, new)
            except OSError as exc:
                if "unsupported" not in str(exc).lower():
                    raise
                with suppress(FileNotFoundError):  # an extension of OpenSSH's
                    self.ftp.remove(new)
                self.ftp.rename(old, new)

        def mv_new(self, old: str, new: str) -> None:
            # Of version 3 of SFTP: it is an error if the new name is there.
            self.ftp.rename(old, new)

        @contextmanager
        def _created(self, path: str) -> Iterator[Any]:
            with self.ftp.open(path, "wb") as file:
                file.chmod(_FILE_MODE)
                file.set_pipelined()
                yield file

    return CheckedSFTPFileSystem


def _read(file: Any, start: int, length: int) -> bytes:
    """Read a part of a file, with many requests on their way at once."""
    if not length:
        return b""
    end = start + length
    chunks = [(at, min(_BLOCK, end - at)) for at in range(start, end, _BLOCK)]
    parts = file.readv(chunks, max_concurrent_prefetch_requests=_AT_ONCE)
    return b"".join(parts)
