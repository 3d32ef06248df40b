"""From the configuration of a location to its store; fsspec is imported here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from kbackup.errors import InvalidConfigError, PluginLoadError, UnknownLocationError
from kbackup.models import BackupStorageLocationSpec
from kbackup.plugins import Capability
from kbackup_plugins_fsspec._config import (
    PROVIDER,
    FilesystemConfig,
    read_config,
    spec_of,
    split,
)
from kbackup_plugins_fsspec._connections import Connections
from kbackup_plugins_fsspec._filesystems import (
    ELSEWHERE,
    MANNERS,
    NO_STORES,
    PACKAGES,
    UNKNOWN,
    Manners,
)
from kbackup_plugins_fsspec._in_place import InPlaceStore
from kbackup_plugins_fsspec._sftp import open_sftp
from kbackup_plugins_fsspec._store import FilesystemStore

_SFTP = {"sftp", "ssh"}
_NO_OPTION = re.compile(r".* got an unexpected keyword argument '(\w+)'")
_CHAIN = "::"  # fsspec's sign for one filesystem over another


def filesystem_spec(url: str) -> BackupStorageLocationSpec:
    """Return the location of an address, if fsspec knows its scheme.

    Raises:
        UnknownLocationError: It does not.
        InvalidConfigError: Another provider is for such addresses, or it is none for a
            store; see also `spec_of`.
    """
    if _CHAIN in url.partition("?")[0]:
        raise InvalidConfigError(
            f"the address of the location has {_CHAIN!r} in it: chains of filesystems "
            "are no stores"
        )
    _require_known(split(url).scheme)
    return spec_of(url)


def open_filesystem_store(config: Mapping[str, str]) -> FilesystemStore:
    """Return the store that *config* means; the network is not touched yet.

    Args:
        config: With ``url``, and the filesystem's own options; see ``docs/plugins``.

    Raises:
        InvalidConfigError: A value has no meaning.
        PluginLoadError: What speaks the protocol is not installed.
    """
    settings = read_config(config)
    _require_known(settings.scheme)
    implementation = _implementation(settings.scheme)
    manners = MANNERS.get(settings.scheme, UNKNOWN)
    in_place = manners.in_place if settings.in_place is None else settings.in_place
    if in_place:
        _require_move(settings.scheme, implementation, manners)
    kind = InPlaceStore if in_place else FilesystemStore
    options = _options(implementation, settings)
    return kind(
        Connections(
            partial(_connect, settings, options),
            manners.close,
            most=settings.connections,
        ),
        _root(implementation, settings),
        address=settings.url,
        manners=manners,
        capabilities=frozenset({Capability.RANGE} if manners.has_ranges else ()),
        timeouts=settings.timeouts,
    )


def _require_known(scheme: str) -> None:
    import fsspec  # noqa: F401, PLC0415 - a tenth of a second; it reads entry points
    from fsspec.registry import known_implementations, registry  # noqa: PLC0415

    if provider := ELSEWHERE.get(scheme):
        raise InvalidConfigError(
            f"addresses {scheme}:// are not for {PROVIDER}",
            hint=f"{provider} is for them: kbackup plugin get tells what is installed",
        )
    if scheme in NO_STORES:
        raise InvalidConfigError(f"what {scheme}:// stands for cannot be a store")
    if scheme not in known_implementations and scheme not in registry:
        raise UnknownLocationError(
            f"fsspec does not know addresses {scheme}://",
            hint="fsspec knows sftp://, ftp://, smb://, webdav:// and others",
        )


def _implementation(scheme: str) -> Any:
    """Return the filesystem's class.

    Raises:
        PluginLoadError: It cannot be imported.
    """
    from fsspec.registry import (  # noqa: PLC0415 - as above
        get_filesystem_class,
        known_implementations,
    )

    try:
        return get_filesystem_class(scheme)
    except ImportError as exc:
        known = known_implementations.get(scheme, {})
        package = str(known.get("class", "")).partition(".")[0].replace("_", "-")
        raise PluginLoadError(
            f"{PROVIDER} needs more for {scheme}://: {known.get('err') or exc}",
            plugin=PROVIDER,
            hint=f"pip install {PACKAGES.get(scheme, package)}",
        ) from exc


def _require_move(scheme: str, implementation: Any, manners: Manners) -> None:
    """Refuse a filesystem that can give no file another name: fsspec's own mv copies."""
    from fsspec.spec import AbstractFileSystem  # noqa: PLC0415 - as above

    if manners.moves_itself or implementation.mv is not AbstractFileSystem.mv:
        return
    raise InvalidConfigError(
        f"the filesystem of {scheme}:// cannot rename, so readers would see what is "
        "being written",
        hint="if it is an object store, which puts a file whole or not at all, say "
        "writesInPlace: false",
    )


def _options(implementation: Any, settings: FilesystemConfig) -> dict[str, Any]:
    told = dict(implementation._get_kwargs_from_urls(settings.url))  # noqa: SLF001 - fsspec's way
    told.pop("path", None)
    return {**told, **settings.options}


def _root(implementation: Any, settings: FilesystemConfig) -> str:
    return str(implementation._strip_protocol(settings.url))  # noqa: SLF001 - as above


def _connect(settings: FilesystemConfig, options: Mapping[str, Any]) -> Any:
    """Make a filesystem; what it says of its options may show none of the secrets."""
    import fsspec  # noqa: PLC0415 - as above

    try:
        if settings.scheme in _SFTP:
            return open_sftp(
                options,
                known_hosts=settings.known_hosts,
                seconds=settings.timeouts.for_request(),
            )
        return fsspec.filesystem(settings.scheme, **options, skip_instance_cache=True)
    except (TypeError, ValueError) as exc:
        reason = _NO_OPTION.sub(r"it has no option \1", str(exc))
        for secret in settings.secrets:
            reason = reason.replace(secret, "***")
        raise InvalidConfigError(
            f"the filesystem of {settings.scheme}:// refuses its options: {reason}",
            hint="they are in the address's query, the location's config and "
            "credentialsFile",
        ) from None
