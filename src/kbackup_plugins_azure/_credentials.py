"""Who asks: the lines of Velero's credentials file, and the identity that they name.

Source: Velero, ``pkg/util/azure/credential.go``; the file is one of godotenv.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kbackup.errors import InvalidConfigError

_LINE = re.compile(
    r"""^[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_.]*)[ \t]*[=:][ \t]*
    (?: "(?P<double>(?:\\.|[^"\\])*)" | '(?P<single>[^']*)' | (?P<plain>[^\n]*) )""",
    re.MULTILINE | re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_MAX_FILE = 1 << 20
_KNOWN_AUTHORITIES = {
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.chinacloudapi.cn",
    "login.partner.microsoftonline.cn",
}
_TOKEN_TRIES = 3  # a token is asked for by the SDK, out of reach of our own retry


def read_credentials(path: str) -> Mapping[str, str]:
    """Return the lines ``NAME=value`` of a file; certificates may span several.

    References such as ``$NAME`` are not replaced: a secret may look like one.

    Raises:
        InvalidConfigError: It cannot be read, or is no such file.
    """
    try:
        with Path(path).open("rb") as file:
            text = file.read(_MAX_FILE + 1).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise InvalidConfigError(
            f"the credentials file {path} cannot be read: {type(exc).__name__}"
        ) from None  # the text of the error may repeat that of the file
    if len(text) > _MAX_FILE:
        raise InvalidConfigError(f"the credentials file {path} is too large")
    text = text.replace("\r\n", "\n")
    return {found["name"]: _value(found) for found in _LINE.finditer(text)}


def _value(found: re.Match[str]) -> str:
    if found["double"] is not None:
        return _ESCAPE.sub(
            lambda m: {"n": "\n", "r": "\r"}.get(m[1], m[1]), found["double"]
        )
    if found["single"] is not None:
        return found["single"]
    return found["plain"].partition(" #")[0].strip()


def check_identity(lines: Mapping[str, str]) -> None:
    """Refuse lines that name no whole identity.

    Raises:
        InvalidConfigError: One of its lines is missing, or it is a user's password.
    """
    has_secret = any(
        lines.get(f"AZURE_CLIENT_{name}")
        for name in ("SECRET", "CERTIFICATE", "CERTIFICATE_PATH")
    )
    if lines.get("AZURE_USERNAME") and not has_secret:
        raise InvalidConfigError(
            "the credentials file has AZURE_USERNAME: the SDK no longer signs in by the "
            "password of a user",
            hint="give AZURE_CLIENT_ID with AZURE_CLIENT_SECRET or a certificate",
        )
    wanted = ("AZURE_TENANT_ID", "AZURE_CLIENT_ID")
    missing = [name for name in wanted if not lines.get(name)]
    if missing and (has_secret or lines.get("AZURE_FEDERATED_TOKEN_FILE")):
        raise InvalidConfigError(
            f"the credentials file lacks {' and '.join(missing)}, without which its "
            "secret is nobody's"
        )


def identity_from(
    lines: Mapping[str, str], *, authority: str, has_file: bool, transport: Any
) -> Any:
    """Return what gets tokens: of azure-identity.

    The file names a secret, a certificate or a workload; else those are tried in turn
    that azure-identity finds by itself: of a file's ``AZURE_CLIENT_ID`` the workload's
    and the machine's, without a file also the environment and Azure's command line.
    """
    import azure.identity as kinds  # noqa: PLC0415 - the SDK, see the package

    common: dict[str, Any] = {
        "authority": authority,
        "transport": transport,
        "retry_total": _TOKEN_TRIES - 1,
    }
    if urlsplit(authority).hostname not in _KNOWN_AUTHORITIES:
        # Else the SDK asks the public cloud about it, which knows no private ones.
        common["disable_instance_discovery"] = True
    tenants = lines.get("AZURE_ADDITIONALLY_ALLOWED_TENANTS", "")
    if tenants:
        common["additionally_allowed_tenants"] = tenants.split(";")
    client = lines.get("AZURE_CLIENT_ID", "")
    who = {"tenant_id": lines.get("AZURE_TENANT_ID", ""), "client_id": client}
    if secret := lines.get("AZURE_CLIENT_SECRET"):
        return kinds.ClientSecretCredential(**who, client_secret=secret, **common)
    if certificate := _certificate(lines):
        return kinds.CertificateCredential(**who, **certificate, **common)
    if file := lines.get("AZURE_FEDERATED_TOKEN_FILE"):
        return kinds.WorkloadIdentityCredential(**who, token_file_path=file, **common)
    if client:
        common["managed_identity_client_id"] = client
        common["workload_identity_client_id"] = client
    if has_file:
        tools = ["environment", "cli", "developer_cli", "powershell", "broker"]
        tools += ["visual_studio_code"]
        common.update({f"exclude_{name}_credential": True for name in tools})
    common["exclude_shared_token_cache_credential"] = True  # a user's, of Windows
    return kinds.DefaultAzureCredential(**common)


def _certificate(lines: Mapping[str, str]) -> dict[str, Any]:
    path = lines.get("AZURE_CLIENT_CERTIFICATE_PATH")
    text = lines.get("AZURE_CLIENT_CERTIFICATE")
    if not (path or text):
        return {}
    named = {"certificate_data": text.encode()} if text else {"certificate_path": path}
    chain = lines.get("AZURE_CLIENT_SEND_CERTIFICATE_CHAIN", "").lower() in {
        "1",
        "true",
    }
    password = lines.get("AZURE_CLIENT_CERTIFICATE_PASSWORD") or None
    return {**named, "password": password, "send_certificate_chain": chain}
