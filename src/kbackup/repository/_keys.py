"""Key files: the repository's own key, sealed with one that a password gives.

Each password has a file of its own, in plain JSON. To open one takes half a second on
purpose. Source: restic ``doc/design.rst``, "Keys, Encryption and MAC".
"""

from __future__ import annotations

import functools
import os
import socket
import time
from collections.abc import Iterator
from datetime import datetime

import attrs
import msgspec

from kbackup._kits.times import parse_time
from kbackup.errors import (
    IntegrityError,
    KeyInUseError,
    KeyNotFoundError,
    KeySizeError,
    ObjectNotFoundError,
    RepositoryError,
    SealBrokenError,
    UnsupportedFormatError,
    WrongPasswordError,
)
from kbackup.repository._backend import Backend, File, FileType
from kbackup.repository._crypto import (
    SALT_SIZE,
    ScryptParameters,
    SecretKey,
    derive_key,
)
from kbackup.repository._documents import load_whole
from kbackup.repository._ids import KeyID, hash_of, short
from kbackup.repository._users import user_name

_KDF = "scrypt"
_ROUNDS, _BLOCK = 1 << 15, 8  # 32 MiB: restic takes what fits into 60 MB
_SECONDS = 0.5  # for one try of a password
_MOST_MEMORY = 1 << 30  # bytes: a key file can be changed by whoever can write
_MOST_WORK = 1 << 27  # of n * r * p: a minute
MOST_KEYS = 20
"""How many files are tried with a password, as restic does."""


class _Mac(msgspec.Struct):
    k: bytes
    r: bytes


class _Master(msgspec.Struct):
    mac: _Mac
    encrypt: bytes


class _Written(msgspec.Struct):
    """A key file; base64 where it holds bytes."""

    created: str
    username: str
    hostname: str
    kdf: str
    N: int
    r: int
    p: int
    salt: bytes
    data: bytes


@attrs.frozen(kw_only=True)
class KeyInfo:
    """What a key file tells to anybody.

    Attributes:
        id: Its name.
        created: When.
        username: Who made it.
        hostname: Where.
        parameters: How dear it is to try a password.
    """

    id: KeyID = attrs.field(repr=short)
    created: datetime
    username: str
    hostname: str
    parameters: ScryptParameters


@attrs.frozen
class OpenedKey:
    """The repository's own key, and the file that gave it."""

    id: KeyID = attrs.field(repr=short)
    master: SecretKey


@functools.cache
def calibrated() -> ScryptParameters:
    """Return parameters with which a try takes half a second here, measured once."""
    once = ScryptParameters(_ROUNDS, _BLOCK, 1)
    begun = time.perf_counter()
    derive_key("", bytes(SALT_SIZE), once)
    took = time.perf_counter() - begun
    return ScryptParameters(_ROUNDS, _BLOCK, max(1, int(_SECONDS / took)))


def save_key(
    backend: Backend,
    master: SecretKey,
    password: str,
    parameters: ScryptParameters,
    *,
    hostname: str = "",
    username: str = "",
) -> KeyID:
    """Write a key file: from now on *password* opens the repository, too."""
    salt = os.urandom(SALT_SIZE)
    key = derive_key(password, salt, parameters)
    secret = master.secret
    document = _Master(_Mac(secret[32:48], secret[48:]), secret[:32])
    written = _Written(
        created=datetime.now().astimezone().isoformat(),
        username=username or user_name(os.getuid()),
        hostname=hostname or socket.gethostname(),
        kdf=_KDF,
        N=parameters.n,
        r=parameters.r,
        p=parameters.p,
        salt=salt,
        data=bytes(key.seal(msgspec.json.encode(document))),
    )
    content = msgspec.json.encode(written)
    name = KeyID(hash_of(content))
    backend.save(File(FileType.KEY, name), content)
    return name


def open_key(
    backend: Backend, password: str, *, hint: KeyID | None = None
) -> OpenedKey:
    """Find the key file that a password opens.

    Args:
        backend: Of the repository.
        password: Text; its UTF-8 is what counts.
        hint: The file to try first.

    Raises:
        WrongPasswordError: It opens none of the first 20.
        IntegrityError: None opened, and one of them is damaged.
        RepositoryError: The same, and the reason is that of a file.
    """
    problem: RepositoryError | None = None
    tried = 0
    for name in _in_turn(backend, hint):
        if tried == MOST_KEYS:
            break
        tried += 1
        try:
            return OpenedKey(name, _opened(backend, name, password))
        except SealBrokenError:
            continue
        except ObjectNotFoundError:
            continue  # removed meanwhile
        except RepositoryError as exc:
            problem = exc
    if problem is not None:
        raise problem
    raise WrongPasswordError(backend.location, keys_tried=tried)


def _in_turn(backend: Backend, hint: KeyID | None) -> Iterator[KeyID]:
    if hint is not None:
        yield hint
    for name, _ in sorted(backend.list(FileType.KEY)):
        if name != hint:
            yield KeyID(name)


def list_keys(backend: Backend) -> Iterator[KeyInfo]:
    """Yield what each key file tells without a password.

    Raises:
        IntegrityError: One is damaged.
        UnsupportedFormatError: To try a password with one is done in a way that is not
            known here, or would take minutes.
    """
    for name, _ in sorted(backend.list(FileType.KEY)):
        written = _load(backend, KeyID(name))
        yield KeyInfo(
            id=KeyID(name),
            created=parse_time(written.created),
            username=written.username,
            hostname=written.hostname,
            parameters=ScryptParameters(written.N, written.r, written.p),
        )


def find_key(backend: Backend, text: str) -> KeyID:
    """Return the key file whose ID begins so.

    Raises:
        KeyNotFoundError: There is none, or more than one.
    """
    found = [
        KeyID(name)
        for name, _ in backend.list(FileType.KEY)
        if text and name.hex().startswith(text.lower())
    ]
    if len(found) != 1:
        reason = f"{len(found)} begin so" if found else "none begins so"
        raise KeyNotFoundError(f"key {text[:80]!r}", reason)
    return found[0]


def remove_key(backend: Backend, name: KeyID, *, current: KeyID) -> None:
    """Remove a key file.

    Raises:
        KeyInUseError: It is the one that opened the repository: the last one must
            never go.
    """
    if name == current:
        raise KeyInUseError(
            str(File(FileType.KEY, name)),
            hint="another password opens it to remove this",
        )
    backend.remove(File(FileType.KEY, name))


def _load(backend: Backend, name: KeyID) -> _Written:
    file = File(FileType.KEY, name)
    content = load_whole(backend, file)
    try:
        written = msgspec.json.decode(content, type=_Written)
        parse_time(written.created)
    except (ValueError, RecursionError, msgspec.MsgspecError) as exc:
        raise IntegrityError(str(file), "it is no key file") from exc
    if written.kdf != _KDF:
        raise UnsupportedFormatError(
            str(file), f"its password goes through {written.kdf!r}"
        )
    work = written.N * written.r * written.p
    if written.N * written.r * 128 > _MOST_MEMORY or work > _MOST_WORK:
        raise UnsupportedFormatError(str(file), "to try a password would take minutes")
    return written


def _opened(backend: Backend, name: KeyID, password: str) -> SecretKey:
    what = str(File(FileType.KEY, name))
    written = _load(backend, name)
    parameters = ScryptParameters(written.N, written.r, written.p)
    plain = derive_key(password, written.salt, parameters).unseal(written.data, what)
    try:
        master = msgspec.json.decode(plain, type=_Master)
        return SecretKey(master.encrypt + master.mac.k + master.mac.r)
    except (ValueError, RecursionError, msgspec.MsgspecError, KeySizeError) as exc:
        raise IntegrityError(what, "what it seals is no key") from exc
