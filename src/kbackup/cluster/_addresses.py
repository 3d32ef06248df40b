"""The address of an API server, held to what can be connected to.

Asked before the client is, which would fail as if the login or the pool were at fault.
"""

from __future__ import annotations

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from kbackup.errors import InvalidConfigError


def require_url(server: str, where: str = "") -> None:
    """Refuse an address that names no host.

    Args:
        server: The address.
        where: What the message begins with, such as ``kubeconfig /a: ``.

    Raises:
        InvalidConfigError: It names none.
    """
    try:
        if parse_url(server).host:
            return
    except LocationParseError:
        pass
    shown = server.rpartition("@")[2]  # a password may stand before
    raise InvalidConfigError(
        f"{where}the server address {shown!r} is not a URL",
        hint="It is written such as https://10.0.0.1:6443 or https://[::1]:6443.",
    )
