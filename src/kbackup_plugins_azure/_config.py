"""What a location's configuration says of Azure: read, checked, without any SDK.

Source: velero-plugin-for-microsoft-azure, "backupstoragelocation.md", and the package
``pkg/util/azure`` of Velero, which reads it.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import attrs

from kbackup.errors import InvalidConfigError
from kbackup.models import BackupStorageLocationSpec
from kbackup.stores import (
    Timeouts,
    check_known,
    read_boolean,
    read_file_name,
    read_url,
    spec_from_address,
)
from kbackup_plugins_azure._credentials import read_credentials

PROVIDER = "velero.io/azure"
SCHEMES = ("az", "azure", "abfs", "abfss")

_KNOWN = {
    "resourceGroup",
    "storageAccount",
    "storageAccountKeyEnvVar",
    "storageAccountSASTokenEnvVar",
    "storageAccountBlobEndpoint",
    "subscriptionId",
    "blockSizeInBytes",
    "storageAccountURI",
    "useAAD",
    "activeDirectoryAuthorityURI",
    "credentialsFile",
    "immutabilityMode",
    "immutabilityDays",
    "requestTimeout",
    "transferTimeout",
}
_ENDPOINTS = ("storageAccountURI", "storageAccountBlobEndpoint")
_MOST_DAYS = 146_000  # 400 years, says Azure
_MODES = {"": "", "unlocked": "Unlocked", "locked": "Locked"}
_BLOCK = 16 << 20  # Velero's 1 MiB is slow, and ends at 48 GiB
_MAX_BLOCK = 100 << 20  # the bound of Velero's plugin, which takes larger ones for it
_CONTAINER = re.compile(r"[a-z0-9](?!.*--)[a-z0-9-]{1,61}[a-z0-9]|\$root|\$web")
_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
# container@account.dfs.core.windows.net, as Hadoop writes an address.
_HADOOP = re.compile(r"([^@:]+)@([a-z0-9]+)\.(?:dfs|blob)\.[a-z0-9.]+")


@attrs.frozen(kw_only=True)
class Cloud:
    """The addresses of one of Azure's clouds.

    Attributes:
        blobs: What follows an account's name in the host of its blobs; empty: unknown.
        authority: Where identities are asked for tokens; empty: unknown.
        manager: The resource manager; empty: unknown.
    """

    blobs: str
    authority: str
    manager: str


_PUBLIC = Cloud(
    blobs="blob.core.windows.net",
    authority="https://login.microsoftonline.com",
    manager="https://management.azure.com",
)
_CHINA = Cloud(
    blobs="blob.core.chinacloudapi.cn",
    authority="https://login.chinacloudapi.cn",
    manager="https://management.chinacloudapi.cn",
)
_GOVERNMENT = Cloud(
    blobs="blob.core.usgovcloudapi.net",
    authority="https://login.microsoftonline.us",
    manager="https://management.usgovcloudapi.net",
)
_CLOUDS = {
    "": _PUBLIC,
    "AZURECLOUD": _PUBLIC,
    "AZUREPUBLICCLOUD": _PUBLIC,
    "AZURECHINACLOUD": _CHINA,
    "AZUREUSGOVERNMENT": _GOVERNMENT,
    "AZUREUSGOVERNMENTCLOUD": _GOVERNMENT,
}


@attrs.frozen(kw_only=True)
class AzureConfig:
    """How to reach a container.

    Attributes:
        url: Of the account's blobs.
        account_key: Base64; with it no identity is asked for.
        sas_token: A shared access signature, as a query without ``?``; with it neither
            a key nor an identity is asked for.
        key_source: Where the resource manager lists the keys of the account, for an
            identity that may read those and not the blobs; empty: it reads the blobs.
        manager: The resource manager.
        authority: Where identities are asked for tokens.
        identity: ``AZURE_...`` lines of the credentials file.
        has_file: Whether there is such a file; without one the environment counts.
        ca_cert: PEM, trusted beside the system's, as in Velero's plugin.
        block_size: Bytes of one part of an upload.
        immutability_mode: How objects are locked; empty: they cannot be.
        lock_for: How long the objects of a backup are locked; None: they are not.
        timeouts: Total times of the calls.
    """

    container: str
    account: str
    url: str
    account_key: str = attrs.field(default="", repr=False)
    sas_token: str = attrs.field(default="", repr=False)
    key_source: str = ""
    manager: str = ""
    authority: str = ""
    identity: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    has_file: bool = False
    ca_cert: str = attrs.field(default="", repr=False)
    block_size: int = _BLOCK
    immutability_mode: str = ""
    lock_for: timedelta | None = None
    timeouts: Timeouts = attrs.field(factory=Timeouts)


def read_config(config: Mapping[str, str]) -> AzureConfig:
    """Return what *config* says.

    Raises:
        InvalidConfigError: A key is unknown, a value has no meaning, container or
            account is missing, or the credentials are not there.
    """
    check_known(config, _KNOWN, PROVIDER)
    container, account = config.get("bucket", ""), config.get("storageAccount", "")
    _check_names(container, account)
    file = read_file_name(config, "credentialsFile", "credentials")
    identity = read_credentials(file) if file else {}
    cloud = read_cloud(config, identity)
    token = _sas_token(config, identity)
    key = "" if token else _account_key(config, identity)
    mode = _mode(config)
    return AzureConfig(
        container=container,
        account=account,
        url=_url(config) or _usual_url(account, cloud),
        account_key=key,
        sas_token=token,
        key_source="" if key or token else _key_source(config, identity, cloud),
        manager=cloud.manager,
        authority=cloud.authority,
        identity=identity,
        has_file=bool(file),
        ca_cert=config.get("caCert", ""),
        block_size=_block_size(config),
        immutability_mode=mode,
        lock_for=_lock_for(config.get("immutabilityDays", ""), mode),
        timeouts=Timeouts.from_config(config),
    )


def blob_spec(url: str) -> BackupStorageLocationSpec:
    """Return the location of ``az://container/prefix?storageAccount=...``.

    ``abfs://container@account.dfs.core.windows.net/prefix`` names both in its host.

    Raises:
        InvalidConfigError: It holds a user or a password, or a key that is unknown.
    """
    parts = urlsplit(url)
    hadoop = _HADOOP.fullmatch(parts.netloc)
    account = ""
    if hadoop and parts.scheme in {"abfs", "abfss"}:
        container, account = hadoop.groups()
        url = parts._replace(netloc=container).geturl()
    spec = spec_from_address(
        url,
        _KNOWN,
        PROVIDER,
        credentials="credentialsFile, or the variable that storageAccountKeyEnvVar names",
    )
    if not account:
        return spec
    if spec.config.get("storageAccount", account) != account:
        raise InvalidConfigError("the address of the location names two accounts")
    return attrs.evolve(spec, config={**spec.config, "storageAccount": account})


def _check_names(container: str, account: str) -> None:
    """Refuse what Azure would: there a name is 3 to 63 letters, and lower-case."""
    if not container:
        raise InvalidConfigError("a location in Azure needs a bucket: the container")
    if not _CONTAINER.fullmatch(container):
        raise InvalidConfigError(
            f"the bucket {container!r} of the location is no name of a container",
            hint="it is 3 to 63 lower-case letters, digits and single hyphens",
        )
    if not account:
        raise InvalidConfigError("a location in Azure needs a storageAccount")
    if not _ACCOUNT.fullmatch(account):
        raise InvalidConfigError(
            f"storageAccount of the location is {account!r}: "
            "it is 3 to 24 lower-case letters and digits"
        )


def read_cloud(config: Mapping[str, str], identity: Mapping[str, str]) -> Cloud:
    """Return the addresses of the cloud that the credentials file names."""
    name = identity.get("AZURE_CLOUD_NAME", "")
    cloud = _CLOUDS.get(name.upper(), Cloud(blobs="", authority="", manager=""))
    return Cloud(
        blobs=cloud.blobs,
        authority=read_url(config, "activeDirectoryAuthorityURI") or cloud.authority,
        manager=identity.get("AZURE_RESOURCE_MANAGER_ENDPOINT", "").rstrip("/")
        or cloud.manager,
    )


def _usual_url(account: str, cloud: Cloud) -> str:
    if not cloud.blobs:
        raise InvalidConfigError(
            "AZURE_CLOUD_NAME of the credentials file names a cloud of its own",
            hint="say where it is by storageAccountURI and activeDirectoryAuthorityURI",
        )
    return f"https://{account}.{cloud.blobs}"


def _url(config: Mapping[str, str]) -> str:
    """Read ``storageAccountURI``, or its newer name: where the blobs are."""
    names = [name for name in _ENDPOINTS if config.get(name)]
    urls = {_endpoint(config, name) for name in names}
    if len(urls) > 1:
        raise InvalidConfigError(f"{' and '.join(names)} of the location differ")
    return urls.pop() if urls else ""


def _endpoint(config: Mapping[str, str], name: str) -> str:
    """Read an address, which Velero's documents write without a scheme."""
    text = config[name]
    if "://" not in text:
        text = f"https://{text}"
    url = read_url({name: text}, name)
    if urlsplit(url).query:  # not repeated: it may be a signature
        raise InvalidConfigError(f"{name} of the location has a query")
    return url


def _sas_token(config: Mapping[str, str], identity: Mapping[str, str]) -> str:
    """Return the shared access signature that is named, if one is.

    Raises:
        InvalidConfigError: It is not there, is none, or an identity is asked for, too.
    """
    name = config.get("storageAccountSASTokenEnvVar", "")
    if not name:
        return ""
    if read_boolean(config, "useAAD"):
        raise InvalidConfigError(
            "the location has useAAD and storageAccountSASTokenEnvVar: who asks is "
            "either an identity or the holder of a signature"
        )
    token = _secret(identity, "storageAccountSASTokenEnvVar", name).strip().lstrip("?")
    if "sig" not in parse_qs(token):
        raise InvalidConfigError(f"{name} is no shared access signature: it has no sig")
    return token


def _secret(identity: Mapping[str, str], key: str, name: str) -> str:
    """Return what the file has under a name, or else the environment.

    Velero looks into its file only, which there comes from the environment.
    """
    found = identity.get(name) or os.environ.get(name, "")
    if not found:
        raise InvalidConfigError(
            f"{key} of the location names {name}, which neither the credentials file "
            "nor the environment has"
        )
    return found


def _account_key(config: Mapping[str, str], identity: Mapping[str, str]) -> str:
    """Return the account's key, if one is given.

    Raises:
        InvalidConfigError: It is named and not there, or is no Base64.
    """
    name = config.get("storageAccountKeyEnvVar", "")
    if name:
        key = _secret(identity, "storageAccountKeyEnvVar", name)
    elif read_boolean(config, "useAAD"):
        key = ""
    else:
        name = "AZURE_STORAGE_ACCOUNT_ACCESS_KEY"
        key = identity.get(name) or identity.get("AZURE_STORAGE_KEY", "")
    try:
        base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidConfigError(f"{name} is no key of an account: no Base64") from None
    return key


def _key_source(
    config: Mapping[str, str], identity: Mapping[str, str], cloud: Cloud
) -> str:
    """Return where the account's keys are listed; empty: they are not to be.

    Velero asks for a key wherever ``useAAD`` is not true, and so fails where it does not
    know the group: there the identity itself reads the blobs.
    """
    subscription = config.get("subscriptionId") or identity.get("AZURE_SUBSCRIPTION_ID")
    group = config.get("resourceGroup") or identity.get("AZURE_RESOURCE_GROUP")
    if read_boolean(config, "useAAD") or (not config.get("useAAD") and not group):
        return ""
    if not (subscription and group and cloud.manager):
        raise InvalidConfigError(
            "without useAAD the key of the storage account is asked for, which needs "
            "resourceGroup and subscriptionId",
            hint="useAAD=true lets the identity itself read the container; "
            "storageAccountKeyEnvVar names a key",
        )
    return (
        f"{cloud.manager}/subscriptions/{subscription}/resourceGroups/{group}/providers"
        f"/Microsoft.Storage/storageAccounts/{config['storageAccount']}/listKeys"
    )


def _block_size(config: Mapping[str, str]) -> int:
    text = config.get("blockSizeInBytes", "")
    if not text:
        return _BLOCK
    if not re.fullmatch(r"[0-9]{1,18}", text) or int(text) == 0:
        raise InvalidConfigError(
            f"blockSizeInBytes of the location is {text!r}, not a number above zero"
        )
    return min(int(text), _MAX_BLOCK)


def _mode(config: Mapping[str, str]) -> str:
    text = config.get("immutabilityMode", "")
    if text.lower() not in _MODES:
        raise InvalidConfigError(
            f"immutabilityMode of the location is {text!r}: "
            "it can be unlocked or locked"
        )
    return _MODES[text.lower()]


def _lock_for(text: str, mode: str) -> timedelta | None:
    """Return how long the objects of a backup are locked; None: they are not."""
    if not text:
        return None
    if not mode:
        raise InvalidConfigError(
            "the location has immutabilityDays and no immutabilityMode",
            hint="a lock is unlocked (who has the right may shorten it) or locked",
        )
    if not re.fullmatch(r"[0-9]{1,6}", text) or not 0 < int(text) <= _MOST_DAYS:
        raise InvalidConfigError(
            f"immutabilityDays of the location is {text[:20]!r}: "
            f"it can be 1 to {_MOST_DAYS}"
        )
    return timedelta(days=int(text))
