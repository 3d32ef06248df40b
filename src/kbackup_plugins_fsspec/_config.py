"""What a location says of a filesystem: read and checked, before fsspec is asked.

Keys of our own are taken out; all others are options of the filesystem.
"""

from __future__ import annotations

import configparser
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import attrs

from kbackup.errors import InvalidConfigError
from kbackup.models import BackupStorageLocationSpec
from kbackup.stores import Timeouts

PROVIDER = "kbackup.io/fsspec"

_OWN = {
    "url",
    "bucket",
    "prefix",
    "credentialsFile",
    "knownHosts",
    "connections",
    "writesInPlace",
    "requestTimeout",
    "transferTimeout",
}
_SECRET = re.compile(
    r"pass(word|wd|phrase)?|(.*[_-])?(password|passwd|passphrase|secret|token"
    r"|credentials?|auth|api[_-]?key|account[_-]?key|secret[_-]?key|access[_-]?key"
    r"|sas[_-]?token|connection[_-]?string)",
    re.IGNORECASE,
)
_USER_AND_PASSWORD = re.compile(r"://[^/@]*:[^/]*@")
_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_WORDS = {"true": True, "false": False, "null": None}
_JSON_BEGINS = ("{", "[", '"')
_CONNECTIONS = 8  # sshd turns away logins from the tenth on that are under way at once
_MOST_CONNECTIONS = 64
_ELSEWHERE = (
    "write it to a file that credentialsFile names, as JSON: "
    '{"password": "..."}; SFTP also takes keys and the agent of ssh'
)


@attrs.frozen(kw_only=True)
class FilesystemConfig:
    """How to reach a directory of a filesystem.

    Attributes:
        scheme: Of the address, in lower case.
        url: With the bucket, without options; percent signs mean themselves.
        options: For the filesystem, with secrets.
        secrets: The texts among them that no message may show.
        known_hosts: Files with the keys of SSH servers; empty: those of ssh itself.
        in_place: Whether readers see a file while it is written; None: as is known of
            the filesystem.
        connections: How many there may be at once.
        timeouts: Total times of the calls.
    """

    scheme: str
    url: str
    options: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    secrets: tuple[str, ...] = attrs.field(default=(), repr=False)
    known_hosts: tuple[str, ...] = ()
    in_place: bool | None = None
    connections: int = _CONNECTIONS
    timeouts: Timeouts = attrs.field(factory=Timeouts)


def read_config(config: Mapping[str, str]) -> FilesystemConfig:
    """Return what *config* says.

    Raises:
        InvalidConfigError: There is no address, a value has no meaning, a file is not
            there, or a secret is not in a file.
    """
    if not config.get("url"):
        raise InvalidConfigError(
            "a location in a filesystem needs its address as the config key url, "
            "such as sftp://user@host/backups"
        )
    if "caCert" in config:
        raise InvalidConfigError(
            f"{PROVIDER} cannot use caCert of the location",
            hint="the filesystem may have an option of its own for that",
        )
    parts = split(config["url"])
    if parts.query:
        raise InvalidConfigError(
            "url of the location has a query", hint="write its keys into config"
        )
    given = {key: text for key, text in config.items() if key not in _OWN}
    _refuse_secrets(given)
    secret = _read_secrets(config.get("credentialsFile", ""))
    path, bucket = unquote(parts.path).rstrip("/"), config.get("bucket", "")
    path = f"{path}/{bucket}" if bucket else path
    if "?" in path or "\0" in path:
        raise InvalidConfigError(
            "the path of the location has a question mark or a NUL in it"
        )
    return FilesystemConfig(
        scheme=parts.scheme,
        url=f"{parts.scheme}://{parts.netloc}{path}",
        options={**{key: _typed(text) for key, text in given.items()}, **secret},
        secrets=tuple(_texts(secret.values())),
        known_hosts=_known_hosts(config.get("knownHosts", "")),
        in_place=_in_place(config.get("writesInPlace", "")),
        connections=_connections(config.get("connections", "")),
        timeouts=Timeouts.from_config(config),
    )


def spec_of(url: str) -> BackupStorageLocationSpec:
    """Return the location of ``scheme://user@host:port/path?option=value``.

    Raises:
        InvalidConfigError: It holds a secret, a ``#``, or a key twice.
    """
    parts = split(url)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    config = dict(pairs)
    if len(config) != len(pairs) or config.keys() & {"url", "bucket", "prefix"}:
        raise InvalidConfigError(
            "the query of the location's address has a key twice, or url, bucket or "
            "prefix, which are said by its path"
        )
    _refuse_secrets(config)
    place = f"{parts.scheme}://{parts.netloc}{parts.path}"
    return BackupStorageLocationSpec(
        provider=PROVIDER, config={"url": place.rstrip("/"), **config}
    )


def address_of(spec: BackupStorageLocationSpec) -> str:
    """Return the address of a location, without its options."""
    storage = spec.object_storage
    url = spec.config.get("url", "")
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2] if parts.password else parts.netloc
    place = f"{parts.scheme}://{host}{parts.path}"
    return "/".join(part for part in (place, storage.bucket, storage.prefix) if part)


def split(url: str) -> SplitResult:
    """Split an address that may hold no password; what is wrong is not repeated.

    Raises:
        InvalidConfigError: It is none, or has a password or a ``#`` in it.
    """
    try:
        parts = urlsplit(url)
        password, _ = parts.password, parts.port
    except ValueError as exc:
        raise InvalidConfigError("the address of the location is none") from exc
    if not parts.scheme or "://" not in url:
        raise InvalidConfigError("the address of the location has no scheme")
    if password is not None:
        raise InvalidConfigError(
            "the address of the location has a password in it", hint=_ELSEWHERE
        )
    if parts.fragment:
        raise InvalidConfigError(
            "the address of the location has a '#' in it",
            hint="in the name of a directory it is written %23",
        )
    return parts


def _refuse_secrets(options: Mapping[str, str]) -> None:
    for key, text in options.items():
        if _SECRET.fullmatch(key) or _USER_AND_PASSWORD.search(text):
            raise InvalidConfigError(
                f"{key} of the location is a secret, or has one in it",
                hint=_ELSEWHERE,
            )


def _typed(text: str) -> Any:
    """Read an option: JSON where it looks so, else the text itself.

    A text that looks like JSON is written as JSON does it: ``"2222"``.
    """
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if text.startswith(_JSON_BEGINS):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _read_secrets(file: str) -> dict[str, Any]:
    """Return the options in a file of JSON, or of INI with one section.

    A list of JSON becomes a tuple, which pairs of user and password have to be.
    """
    if not file:
        return {}
    try:
        text = Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise InvalidConfigError(
            f"the credentials file {file} cannot be read: {type(exc).__name__}"
        ) from None
    options = _from_json(text) if text.lstrip().startswith("{") else _from_ini(text)
    if options is None:
        raise InvalidConfigError(
            f"the credentials file {file} is neither a JSON object nor INI with one "
            "section"
        )
    return {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in options.items()
    }


def _from_json(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _from_ini(text: str) -> dict[str, Any] | None:
    parser = configparser.ConfigParser(interpolation=None, default_section="")
    parser.optionxform = str  # type: ignore[assignment,method-assign] # case counts
    try:
        parser.read_string(text)
    except configparser.Error:
        return None
    if len(parser.sections()) != 1:
        return None
    # All text: a password may be digits.
    return dict(parser[parser.sections()[0]]) or None


def _texts(values: Iterable[Any]) -> Iterable[str]:
    for value in values:
        if isinstance(value, str) and value:
            yield value
        elif isinstance(value, Mapping):
            yield from _texts(value.values())
        elif isinstance(value, list | tuple):
            yield from _texts(value)


def _known_hosts(text: str) -> tuple[str, ...]:
    if not text:
        return ()
    if not Path(text).is_file():
        raise InvalidConfigError(f"knownHosts of the location: there is no file {text}")
    return (text,)


def _in_place(text: str) -> bool | None:
    if text in {"", "true", "false"}:
        return None if not text else text == "true"
    raise InvalidConfigError(
        f"writesInPlace of the location is {text!r}, not true or false"
    )


def _connections(text: str) -> int:
    if not text:
        return _CONNECTIONS
    if text.isdecimal() and 0 < int(text) <= _MOST_CONNECTIONS:
        return int(text)
    raise InvalidConfigError(
        f"connections of the location is {text!r}, not 1 to {_MOST_CONNECTIONS}"
    )
