"""Which proxy a server is asked through, and as whom: what kubectl would do.

Called by `_configuration` for kubeconfigs and for Pods; the object of a host application
says it itself. `_connections` tells of a proxy that cannot be used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit
from urllib.request import getproxies_environment

from urllib3 import make_headers
from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

from kbackup.errors import InvalidConfigError

_PORTS = {"http": 80, "https": 443}
_SOCKS = ("socks5", "socks5h")  # to Go the same: the proxy looks up the name
_FORMS = (
    "A proxy is written as http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT."
)
_NEEDS_PYSOCKS = "SOCKS needs the package PySocks."


def set_proxy(configuration: Any, proxy_url: str | None, named: str = "") -> None:
    """Use the cluster's own proxy as it stands, or else that of the environment.

    The client heeds the former since version 37; of the latter, versions before it take
    one for another scheme, or overlook servers that need none. None sends a login.

    Args:
        configuration: Of the client; is changed.
        proxy_url: The cluster's own.
        named: Where that stands, for an error.

    Raises:
        InvalidConfigError: It is no proxy.
    """
    configuration.no_proxy = None  # heeded here
    configuration.proxy = configuration.proxy_headers = None
    proxy = proxy_url
    if not proxy:
        named, proxy = _proxy_of_environment(configuration.host)
    if proxy:
        try:
            configuration.proxy, configuration.proxy_headers = _split_login(proxy)
        except InvalidConfigError as exc:
            raise InvalidConfigError(f"{named}: {exc}", hint=exc.hint) from None


def _proxy_of_environment(server: str) -> tuple[str, str | None]:
    """Choose as Go does, but that variables in lower case win, and count in CGI.

    Source: golang.org/x/net/http/httpproxy.

    Returns:
        The variable's name in capitals, and the proxy.
    """
    try:
        url = urlsplit(server)
        port = url.port or _PORTS.get(url.scheme, 0)
    except ValueError:  # told when the connections are made
        return "", None
    found = getproxies_environment()
    proxy = found.get(url.scheme) if url.scheme in _PORTS else None
    if not proxy or _is_direct(url.hostname or "", port, found.get("no", "")):
        return "", None
    name = f"{url.scheme}_proxy".upper()
    return name, proxy if "://" in proxy else f"http://{proxy}"


def _is_direct(host: str, port: int, no_proxy: str) -> bool:
    """Whether the environment's proxy is not for *host*."""
    rules = [rule.strip().lower() for rule in no_proxy.split(",")]
    if host == "localhost" or "*" in rules:
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return any(_is_domain_of(rule, host, port) for rule in rules)
    return (
        address.is_loopback
        or not {f"{host}:{port}", f"[{host}]:{port}"}.isdisjoint(rules)
        or any(address in network for network in _networks(rules))
    )


def _networks(rules: Sequence[str]) -> Iterator[IPv4Network | IPv6Network]:
    for rule in rules:
        with suppress(ValueError):
            yield ip_network(rule, strict=False)


def _is_domain_of(rule: str, host: str, port: int) -> bool:
    """Whether *rule* is, say, ``example.com``, ``.example.com:443``, ``*.example.com``."""
    name, _, its_port = rule.partition(":")
    if not name or its_port not in {"", str(port)}:
        return False
    name = name.removeprefix("*") if name.startswith("*.") else name
    is_below = host.endswith(name if name.startswith(".") else f".{name}")
    return is_below or host == name


def _split_login(proxy: str) -> tuple[str, Mapping[str, str] | None]:
    """Return the proxy's address and the headers that say to it who calls."""
    url = _parse(proxy)
    if url is None or not url.host or url.scheme not in {*_PORTS, *_SOCKS}:
        raise unusable_proxy(proxy)
    if url.scheme in _SOCKS:
        require_socks(proxy)
        # For urllib3 the login of SOCKS belongs to the address.
        return url._replace(scheme="socks5h").url, None
    if url.auth is None:
        return url.url, None
    name, _, password = url.auth.partition(":")
    login = unquote_to_bytes(f"{name}:{password}").decode("latin-1")  # as it is encoded
    return url._replace(auth=None).url, make_headers(proxy_basic_auth=login)


def require_socks(proxy: str) -> None:
    """Refuse a proxy that speaks SOCKS where the package for it is missing.

    Asked here, as not every version of the kubernetes client says so itself.
    """
    url = _parse(proxy)
    if url is not None and url.scheme in _SOCKS and find_spec("socks") is None:
        raise unusable_proxy(proxy, hint=_NEEDS_PYSOCKS)


def unusable_proxy(proxy: str, *, hint: str = _FORMS) -> InvalidConfigError:
    """Return the error that names a proxy, but not its login: raise it ``from None``."""
    url = _parse(proxy)
    if url is None or not url.host:  # what of it is a password cannot be told
        told = "the proxy cannot be used: it is given by what is no URL of a host"
        return InvalidConfigError(told, hint=hint)
    named = Url(scheme=url.scheme, host=url.host, port=url.port).url
    return InvalidConfigError(f"the proxy {named} cannot be used", hint=hint)


def _parse(proxy: str) -> Url | None:
    try:
        return parse_url(proxy)
    except LocationParseError:
        return None
