"""fsspec's SFTP filesystem, as a store needs it.

fsspec's own trusts whatever key a server shows, unless it is told otherwise, and waits
for the answer to one block before it asks for the next.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
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
        InvalidConfigError: An option weakens that, or cannot be said in a location;
            or there is no host.
    """
    if not options.get("host"):
        raise InvalidConfigError(
            "the address of the location has no host",
            hint="write sftp://user@host/path, the path from the server's root",
        )
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
    from fsspec.implementations.sftp import (  # noqa: PLC0415 - the SDK, see the package
        SFTPFileSystem,
    )

    return type("CheckedSFTPFileSystem", (_Checked, SFTPFileSystem), {})


class _RefuseUnknown:
    """A policy of paramiko's for servers whose key is in no file."""

    def missing_host_key(self, _client: Any, hostname: str, key: Any) -> None:
        raise StoreAccessError(
            "",
            f"the key of {hostname} is not known: {key.get_name()} {key.fingerprint}",
            hint="compare it with the server's own, and put the line that ssh-keyscan "
            "prints into ~/.ssh/known_hosts, or into the file that knownHosts of the "
            "location names",
        )


class _Checked:
    """What is done otherwise than in fsspec's class, of which it becomes a part."""

    client: Any
    ftp: Any
    host: str
    ssh_kwargs: Mapping[str, Any]
    _decode_stat: Callable[[Any], Mapping[str, Any]]

    def __init__(self, host: str, **options: Any) -> None:
        self._known_hosts = options.pop("known_hosts_files")
        super().__init__(host, **options)  # type: ignore[call-arg] # fsspec's

    def _connect(self) -> None:
        import paramiko  # noqa: PLC0415 - the SDK, see the package

        self.client = paramiko.SSHClient()
        for file in _known_hosts_files(self._known_hosts):
            self.client.load_system_host_keys(file)
        self.client.set_missing_host_key_policy(_RefuseUnknown())
        try:
            self.client.connect(self.host, **self.ssh_kwargs)
            self.ftp = self.client.open_sftp()
        except paramiko.SSHException as exc:
            self.client.close()
            if "No authentication methods" in str(exc):  # has no class of its own
                raise StoreAccessError(
                    "",
                    "there is neither a key nor a password to log in with",
                    hint="key_filename of the location, or the agent of ssh",
                ) from exc
            raise
        except BaseException:
            self.client.close()
            raise
        self.ftp.get_channel().settimeout(None)  # calls have times of their own

    @property
    def is_connected(self) -> bool:
        transport, channel = self.client.get_transport(), self.ftp.get_channel()
        alive = transport is not None and transport.is_active()
        return bool(alive and not channel.closed and not channel.eof_received)

    def disconnect(self) -> None:
        self.client.close()

    def mkdir(self, path: str, **_: Any) -> None:
        self.ftp.mkdir(path, _DIRECTORY_MODE)

    def pipe_file(self, path: str, value: bytes, **_: Any) -> None:
        with self._created(path) as file:
            file.write(value)

    def put_file(self, lpath: str, rpath: str, **_: Any) -> None:
        with self._created(rpath) as file, Path(lpath).open("rb") as source:
            while block := source.read(1 << 20):
                file.write(block)

    def cat_file(
        self, path: str, start: int | None = None, end: int | None = None, **_: Any
    ) -> bytes:
        with self.ftp.open(path, "rb") as file:
            begin = start or 0
            stop = file.stat().st_size if end is None else end
            return _read(file, begin, max(stop - begin, 0))

    def peek(self, path: str, start: int, most: int) -> tuple[Mapping[str, Any], bytes]:
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
            with suppress(FileNotFoundError):  # it is an extension of OpenSSH's
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
            _settle(file)


def _settle(file: Any) -> None:
    """Wait for the answers to what was written: closing drops those that refuse."""
    file.flush()
    while file._reqs:  # noqa: SLF001 - paramiko has no public way to
        file.sftp._read_response(file._reqs.popleft())  # noqa: SLF001


def _read(file: Any, start: int, length: int) -> bytes:
    """Read a part of a file, with many requests on their way at once."""
    if not length:
        return b""
    send = file._prefetch_thread  # noqa: SLF001 - as above

    def send_quietly(*args: Any) -> None:
        with suppress(Exception):  # whoever reads is told, not the standard error
            send(*args)

    file._prefetch_thread = send_quietly  # noqa: SLF001
    end = start + length
    chunks = [(at, min(_BLOCK, end - at)) for at in range(start, end, _BLOCK)]
    parts = file.readv(chunks, max_concurrent_prefetch_requests=_AT_ONCE)
    return b"".join(parts)
