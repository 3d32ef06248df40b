"""Errors of the operating system, of fsspec and of the SDKs below it, made ours.

The one place where they are translated: whatever touches a store, a provider's own code
included, does so inside `translate_store_errors`. Neither fsspec nor an SDK is imported
for it: classes are known by their names, so that a store in a directory starts fast.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kbackup.errors import (
    KBackupError,
    ObjectExistsError,
    ObjectNotFoundError,
    StoreAccessError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)


class _NoBucketError(StoreAccessError):
    """A `StoreAccessError` in the words that fit: nobody is refused."""

    fact = "there is no such bucket"


_MAX_REASON = 300  # some servers answer with a whole page of HTML

ERRORS_BY_ERRNO: Mapping[int, type[StoreError]] = {
    errno.ENOENT: ObjectNotFoundError,
    errno.EEXIST: ObjectExistsError,
    errno.ENOSPC: StoreFullError,
    errno.EDQUOT: StoreFullError,
    errno.EFBIG: StoreFullError,  # FAT32 ends at 4 GiB
    errno.EROFS: StoreAccessError,
    errno.EACCES: StoreAccessError,
    errno.EPERM: StoreAccessError,
    errno.ELOOP: StoreAccessError,  # O_NOFOLLOW met a symbolic link
    errno.ENOTDIR: StoreAccessError,
    errno.EISDIR: StoreAccessError,
    errno.EBUSY: StoreUnavailableError,  # s3fs: SlowDown, ServiceUnavailable
    errno.EAGAIN: StoreUnavailableError,
    errno.EMFILE: StoreUnavailableError,
    errno.ENFILE: StoreUnavailableError,
    errno.ESTALE: StoreUnavailableError,  # an NFS server was restarted
    errno.ETIMEDOUT: StoreUnavailableError,
    errno.ECONNREFUSED: StoreUnavailableError,
    errno.ECONNRESET: StoreUnavailableError,
    errno.ECONNABORTED: StoreUnavailableError,
    errno.EPIPE: StoreUnavailableError,
    errno.EHOSTDOWN: StoreUnavailableError,
    errno.EHOSTUNREACH: StoreUnavailableError,
    errno.ENETDOWN: StoreUnavailableError,
    errno.ENETUNREACH: StoreUnavailableError,
    errno.ENOTCONN: StoreUnavailableError,
    # Not on every platform; s3fs uses it for a server's own failure (HTTP 500).
    getattr(errno, "EREMOTEIO", 121): StoreUnavailableError,
}

# What a server says of itself counts more than what s3fs makes of it: it turns a
# missing bucket into the same FileNotFoundError as a missing object.
# Source: Amazon S3 API reference, "Error responses".
ERRORS_BY_CODE: Mapping[str, type[StoreError]] = {
    "NoSuchKey": ObjectNotFoundError,
    "NoSuchVersion": ObjectNotFoundError,
    "NoSuchUpload": ObjectNotFoundError,
    "404": ObjectNotFoundError,  # HEAD has no body, so no code but the status
    "NoSuchBucket": _NoBucketError,
    "PreconditionFailed": ObjectExistsError,
    "412": ObjectExistsError,
    "ConditionalRequestConflict": StoreUnavailableError,  # try again, says S3
    "OperationAborted": StoreUnavailableError,
    "409": StoreUnavailableError,
    "AccessDenied": StoreAccessError,
    "AccountProblem": StoreAccessError,
    "AllAccessDisabled": StoreAccessError,
    "AuthorizationHeaderMalformed": StoreAccessError,
    "ExpiredToken": StoreAccessError,
    "InvalidAccessKeyId": StoreAccessError,
    "InvalidToken": StoreAccessError,
    "MethodNotAllowed": StoreAccessError,
    "PermanentRedirect": StoreAccessError,  # the wrong region
    "RequestTimeTooSkewed": StoreAccessError,
    "SignatureDoesNotMatch": StoreAccessError,
    "301": StoreAccessError,
    "401": StoreAccessError,
    "403": StoreAccessError,
    "405": StoreAccessError,
    "EntityTooLarge": StoreFullError,
    "QuotaExceeded": StoreFullError,
    "XMinioStorageFull": StoreFullError,
    "507": StoreFullError,
    "InternalError": StoreUnavailableError,
    "RequestTimeout": StoreUnavailableError,
    "ServiceUnavailable": StoreUnavailableError,
    "SlowDown": StoreUnavailableError,
    "Throttling": StoreUnavailableError,
    "ThrottlingException": StoreUnavailableError,
    "TooManyRequests": StoreUnavailableError,
    "408": StoreUnavailableError,
    "410": StoreUnavailableError,  # an upload that the server gave up
    "429": StoreUnavailableError,
    "500": StoreUnavailableError,
    "502": StoreUnavailableError,
    "503": StoreUnavailableError,
    "504": StoreUnavailableError,
}

# Azure's names; HTTP statuses are as above. A 409 says of itself only that it is one.
# Source: Azure Storage REST API, "Common REST API error codes", "Blob service error
# codes".
ERRORS_BY_AZURE_CODE: Mapping[str, type[StoreError]] = {
    "BlobNotFound": ObjectNotFoundError,
    "ContainerNotFound": _NoBucketError,
    "ContainerBeingDeleted": StoreUnavailableError,
    "BlobAlreadyExists": ObjectExistsError,
    "ConditionNotMet": ObjectExistsError,
    "TargetConditionNotMet": ObjectExistsError,
    "InvalidBlockList": StoreUnavailableError,  # another upload of the key was faster
    "BlobArchived": StoreAccessError,
    "BlobImmutableDueToPolicy": StoreAccessError,
    "BlobImmutableDueToLegalHold": StoreAccessError,
    "LeaseIdMissing": StoreAccessError,
    "ContainerDisabled": StoreAccessError,
    "InvalidAuthenticationInfo": StoreAccessError,
    "NoAuthenticationInformation": StoreAccessError,
    "PublicAccessNotPermitted": StoreAccessError,
    "RequestBodyTooLarge": StoreFullError,
    "ServerBusy": StoreUnavailableError,
    "OperationTimedOut": StoreUnavailableError,
    "409": StoreError,
}
_ROLE = "the role Storage Blob Data Contributor on the container is what it takes"
HINTS_BY_AZURE_CODE: Mapping[str, str] = {
    "ContainerNotFound": "make the container, or mend the bucket or the storageAccount "
    "of the location",
    "AuthorizationPermissionMismatch": _ROLE,
    "AuthorizationFailure": f"{_ROLE}, and a network that the account's firewall lets in",
    "AuthenticationFailed": "the key of the account may have been replaced, the token "
    "be over, or this machine's clock be wrong",
    "InvalidAuthenticationInfo": "the token may have expired or be of another tenant",
    "KeyBasedAuthenticationNotPermitted": "the account takes no keys: useAAD=true lets "
    "an identity ask",
    "InvalidBlobOrBlock": "another program left blocks of an unfinished upload there; "
    "Azure removes them after a week",
}
_NO_AZURE_IDENTITY = (
    "name a file in the location's config as credentialsFile, or a key by "
    "storageAccountKeyEnvVar; without them the environment, the machine or az login has "
    "to have an identity"
)
_AN_OBJECT = re.compile(r"<[\w.]+ object at 0x[0-9a-f]+>")
_AZURE_REFUSAL = "azure.core.exceptions.ClientAuthenticationError"
_CERTIFICATE_REFUSED = "ssl.SSLCertVerificationError"
_CERTIFICATE = (
    "name the authority in objectStorage.caCert of the location, unless the server "
    "is another one than is meant"
)

# Classes by full name, looked up along the method resolution order.
ERRORS_BY_CLASS: Mapping[str, type[StoreError]] = {
    "builtins.FileNotFoundError": ObjectNotFoundError,
    "builtins.FileExistsError": ObjectExistsError,
    "builtins.PermissionError": StoreAccessError,
    "builtins.IsADirectoryError": StoreAccessError,
    "builtins.NotADirectoryError": StoreAccessError,
    "builtins.TimeoutError": StoreUnavailableError,
    "builtins.ConnectionError": StoreUnavailableError,
    "builtins.EOFError": StoreUnavailableError,
    "builtins.OSError": StoreError,
    "fsspec.exceptions.FSTimeoutError": StoreUnavailableError,
    "fsspec.exceptions.BlocksizeMismatchError": StoreError,
    "aiohttp.client_exceptions.ClientConnectionError": StoreUnavailableError,
    "aiohttp.client_exceptions.ClientPayloadError": StoreUnavailableError,
    "aiohttp.client_exceptions.ClientSSLError": StoreAccessError,  # as below
    "aiohttp.client_exceptions.ClientError": StoreError,
    "aiohttp.client_exceptions.WSMessageTypeError": StoreError,
    "azure.core.exceptions.ClientAuthenticationError": StoreAccessError,
    "azure.core.exceptions.ServiceRequestError": StoreUnavailableError,
    "azure.core.exceptions.ServiceResponseError": StoreUnavailableError,
    "azure.core.exceptions.IncompleteReadError": StoreUnavailableError,
    "azure.core.exceptions.AzureError": StoreError,
    "google.auth.exceptions.TransportError": StoreUnavailableError,
    "google.auth.exceptions.GoogleAuthError": StoreAccessError,
    "botocore.exceptions.HTTPClientError": StoreUnavailableError,
    "botocore.exceptions.ConnectionError": StoreUnavailableError,
    "botocore.exceptions.IncompleteReadError": StoreUnavailableError,
    "botocore.exceptions.ResponseStreamingError": StoreUnavailableError,
    "botocore.exceptions.ChecksumError": StoreUnavailableError,
    "botocore.exceptions.FlexibleChecksumError": StoreUnavailableError,
    "botocore.exceptions.NoCredentialsError": StoreAccessError,
    "botocore.exceptions.PartialCredentialsError": StoreAccessError,
    "botocore.exceptions.CredentialRetrievalError": StoreAccessError,
    "botocore.exceptions.ProfileNotFound": StoreAccessError,
    "botocore.exceptions.NoRegionError": StoreAccessError,
    "botocore.exceptions.SSOError": StoreAccessError,
    "botocore.exceptions.TokenRetrievalError": StoreAccessError,
    "botocore.exceptions.SSLError": StoreAccessError,  # a certificate does not heal
    "botocore.exceptions.ProxyConnectionError": StoreUnavailableError,
    "botocore.exceptions.ClientError": StoreError,
    "botocore.exceptions.BotoCoreError": StoreError,
    "botocore.exceptions.MissingServiceIdError": StoreError,
    "botocore.exceptions.UndefinedModelAttributeError": StoreError,
    "botocore.parsers.ResponseParserError": StoreUnavailableError,
    "http.client.HTTPException": StoreUnavailableError,
    "urllib3.exceptions.SSLError": StoreAccessError,
    "urllib3.exceptions.HTTPError": StoreUnavailableError,
    "requests.exceptions.SSLError": StoreAccessError,
    "requests.exceptions.Timeout": StoreUnavailableError,
    "requests.exceptions.ConnectionError": StoreUnavailableError,
    "requests.exceptions.ChunkedEncodingError": StoreUnavailableError,
    "requests.exceptions.ContentDecodingError": StoreUnavailableError,
    "requests.exceptions.RequestException": StoreError,
    "paramiko.ssh_exception.AuthenticationException": StoreAccessError,
    "paramiko.ssh_exception.BadHostKeyException": StoreAccessError,
    "paramiko.ssh_exception.NoValidConnectionsError": StoreUnavailableError,
    "paramiko.ssh_exception.SSHException": StoreUnavailableError,
    "ftplib.error_perm": StoreAccessError,
    "ftplib.Error": StoreUnavailableError,
    "httpx.TransportError": StoreUnavailableError,
    "webdav4.client.ForbiddenOperation": StoreAccessError,
    "webdav4.client.InsufficientStorage": StoreFullError,
    "webdav4.client.BadGatewayError": StoreUnavailableError,
    "webdav4.client.ResourceLocked": StoreUnavailableError,
}


@contextmanager
def translate_store_errors(key: str) -> Iterator[None]:
    """Raise our errors for whatever a store raises, with the original as the cause.

    Args:
        key: The object it is about; empty for the store as a whole.
    """
    try:
        yield
    except KBackupError:
        raise
    except Exception as exc:
        raise translated(key, exc) from exc


def translated(key: str, exc: BaseException) -> StoreError:
    """Return our error for a foreign one; what is not known is a plain `StoreError`."""
    reason = _reason(exc)
    if type(exc).__module__.startswith("azure."):
        return _translated_azure(key, exc)
    if (response := _response(exc)) is not None:
        code, status, bucket = response
        known = ERRORS_BY_CODE.get(code) or ERRORS_BY_CODE.get(status)
        if known is _NoBucketError:
            hint = "make the bucket, or mend its name or region in the location"
            return known(key, f"{bucket or reason} ({code})", hint=hint)
        return (known or StoreError)(key, f"{reason} ({code or status})")
    if _refuses_certificate(exc):  # whatever its number
        return StoreAccessError(key, reason, hint=_CERTIFICATE)
    if isinstance(exc, OSError) and exc.errno and exc.errno in ERRORS_BY_ERRNO:
        return ERRORS_BY_ERRNO[exc.errno](key, reason)
    return _by_class(exc)(key, reason)


def _translated_azure(key: str, exc: BaseException) -> StoreError:
    """Return our error for one of Azure's SDK, whose text goes on for lines."""
    inner = getattr(exc, "inner_exception", None)
    text = _last_attempt(inner) or str(getattr(exc, "message", None) or exc)
    reason = " ".join(text.partition("\n")[0].split())[:_MAX_REASON]
    reason = reason or type(exc).__name__
    given = getattr(exc, "error_code", None) or ""  # text, or a member of an enum
    code = str(getattr(given, "value", given))
    status = str(getattr(exc, "status_code", None) or "")
    if _refuses_certificate(inner):
        return StoreAccessError(key, reason, hint=_CERTIFICATE)  # that does not heal
    known = ERRORS_BY_AZURE_CODE.get(code)
    if known is None and _AZURE_REFUSAL not in _class_names(exc):
        known = ERRORS_BY_AZURE_CODE.get(status) or ERRORS_BY_CODE.get(status)
    told = f"{reason} ({code or status})" if code or status else reason
    hint = HINTS_BY_AZURE_CODE.get(code, "")
    known = known or _by_class(exc)
    if known is StoreError and not status and inner is not None:
        known = _by_class(inner)  # a body that broke off, after three tries
    if _AZURE_REFUSAL in _class_names(exc) and not status:  # nothing was sent
        hint = _NO_AZURE_IDENTITY
    return known(key, told, hint=hint)


def _last_attempt(exc: BaseException | None) -> str:
    """Return why urllib3 gave up; its own text has the whole address of the request."""
    for each in _chain(exc):
        if "urllib3.exceptions.MaxRetryError" in _class_names(each):
            given = getattr(each, "reason", None)
            return _with_server(given) if given is not None else ""
    return ""


def _refuses_certificate(exc: BaseException | None) -> bool:
    return any(_CERTIFICATE_REFUSED in _class_names(each) for each in _chain(exc))


def _by_class(exc: BaseException) -> type[StoreError]:
    names = (ERRORS_BY_CLASS.get(name) for name in _class_names(exc))
    return next((known for known in names if known), StoreError)


def _chain(exc: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what it was raised for."""
    while exc is not None:
        yield exc
        exc = exc.__cause__ or exc.__context__


def _class_names(exc: object) -> list[str]:
    return [f"{each.__module__}.{each.__qualname__}" for each in type(exc).__mro__]


def _response(exc: BaseException) -> tuple[str, str, str] | None:
    """Return code, HTTP status and bucket of an answer, of *exc* or of its cause."""
    for candidate in (exc, exc.__cause__):
        response: Any = getattr(candidate, "response", None)
        if isinstance(response, Mapping) and "Error" in response:
            code = str(response["Error"].get("Code") or "")
            bucket = str(response["Error"].get("BucketName") or "")
            metadata = response.get("ResponseMetadata") or {}
            return code, str(metadata.get("HTTPStatusCode") or ""), bucket
        if status := getattr(response, "status_code", None):  # httpx, below webdav4
            return "", str(status), ""
    return None


def _with_server(exc: BaseException) -> str:
    """Say in words what happened; an older urllib3 names a connection as an object."""
    connection = getattr(exc, "conn", None)
    place = f"{getattr(connection, 'host', '')}:{getattr(connection, 'port', '')}"
    return _AN_OBJECT.sub(place, _reason(exc))


def _reason(exc: BaseException) -> str:
    """Say in words what happened; the name of the class where it says nothing."""
    # Without the path that an OSError shows: the object is named by its key.
    said = exc.strerror if isinstance(exc, OSError) else None
    text = str(said or exc)
    return " ".join(text.split())[:_MAX_REASON] or type(exc).__name__
