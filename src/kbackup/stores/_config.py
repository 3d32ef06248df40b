"""What the configurations of all providers have in common: how keys and values are read.

Called by the provider packages. Values are text, as in Velero's objects; a message
names the key and repeats no value that may be a secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from kbackup.errors import InvalidConfigError
from kbackup.models import BackupStorageLocationSpec, ObjectStorage

_INJECTED = {"bucket", "prefix", "caCert"}  # beside the location's own config


def check_known(config: Mapping[str, str], known: Iterable[str], provider: str) -> None:
    """Refuse keys that a provider does not know.

    A key of Velero's plugin that cannot be honoured must not be passed over: data would
    be stored otherwise than was asked.

    Args:
        config: As `ObjectStoreFactory.open` gets it.
        known: The keys of the location's own config.
        provider: For the message.

    Raises:
        InvalidConfigError: There are some; the hint tells what may be meant.
    """
    names = sorted(known)
    unknown = sorted(config.keys() - _INJECTED - set(names))
    if unknown:
        raise InvalidConfigError(
            f"{provider} does not know the config of the location: {', '.join(unknown)}",
            hint=f"{_meant(unknown, names)}known are: {', '.join(names)}",
        )


def spec_from_address(
    url: str, known: Iterable[str], provider: str, *, credentials: str
) -> BackupStorageLocationSpec:
    """Return the location of ``scheme://bucket/prefix?key=value``.

    Args:
        url: The address.
        known: The keys that its query may have.
        provider: Whose address it is.
        credentials: Where credentials belong instead, for the hint.

    Raises:
        InvalidConfigError: It holds a user or a password, a key that is unknown or
            there twice, or a fragment.
    """
    parts = urlsplit(url)
    if "@" in parts.netloc:  # not repeated: it may be a password
        raise InvalidConfigError(
            "the address of the location has a user in it",
            hint=f"credentials belong into {credentials}",
        )
    names = sorted(known)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    config = dict(pairs)
    if parts.fragment:
        raise InvalidConfigError(
            "the address of the location has a '#' in it", hint="write %23 for it"
        )
    if unknown := sorted(config.keys() - set(names)):  # may be pieces of a secret
        raise InvalidConfigError(
            "the address of the location has a key that is unknown; "
            f"known are: {', '.join(names)}",
            hint=_meant(unknown, names).removesuffix("; "),
        )
    if len(config) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = ", ".join(key for key in config if keys.count(key) > 1)
        raise InvalidConfigError(f"the address of the location has {twice} twice")
    return BackupStorageLocationSpec(
        provider=provider,
        config=config,
        object_storage=ObjectStorage(
            bucket=unquote(parts.netloc), prefix=unquote(parts.path).strip("/")
        ),
    )


def read_boolean(config: Mapping[str, str], key: str) -> bool:
    """Read what Go's ParseBool reads, in the spellings that people use; else raise."""
    text = config.get(key, "").lower()
    if text in {"", "false", "f", "0"}:
        return False
    if text in {"true", "t", "1"}:
        return True
    raise InvalidConfigError(f"{key} of the location is {text!r}, not true or false")


def read_url(config: Mapping[str, str], key: str) -> str:
    """Return the address of a server, without a slash at its end; empty: none is given.

    Raises:
        InvalidConfigError: It has no scheme or host, or a user.
    """
    text = config.get(key, "")
    if not text:
        return ""
    parts = urlsplit(text)
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or "@" in parts.netloc
    ):
        raise InvalidConfigError(
            f"{key} of the location is no address http://host or https://host"
        )
    return text.rstrip("/")


def read_file_name(config: Mapping[str, str], key: str, what: str) -> str:
    """Return the path of a file that is there; empty: none is given.

    Args:
        config: Where it is read.
        key: Its key.
        what: What the file holds, for the message.

    Raises:
        InvalidConfigError: It is not there.
    """
    path = config.get(key, "")
    if path and not Path(path).is_file():
        raise InvalidConfigError(f"the {what} file {path} is not there")
    return path


def _meant(unknown: Iterable[str], known: Iterable[str]) -> str:
    """Return which keys may be meant, mostly in another case, as text before more."""
    from difflib import get_close_matches  # noqa: PLC0415 - for slips of the pen only

    by_lower = {key.lower(): key for key in known}
    near = (get_close_matches(key.lower(), by_lower, n=1) for key in unknown)
    names = ", ".join(dict.fromkeys(by_lower[found] for each in near for found in each))
    return f"{names} may be meant; " if names else ""
