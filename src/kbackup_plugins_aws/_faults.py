"""What S3's refusals mean, in words that say what to do: values only, no request.

Source: Amazon S3 API reference, "Error responses"; service authorization reference,
"Actions defined by Amazon S3".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from kbackup.errors import StoreAccessError, StoreError, StoreUnavailableError

# The permission that a request needs, where it is not named as the request.
_ACTIONS: Mapping[str, str] = {
    "HeadObject": "GetObject",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "ListObjectsV2": "ListBucket",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListParts": "ListMultipartUploadParts",
}
_REFUSED = frozenset({"AccessDenied", "403", "AllAccessDisabled"})
_ELSEWHERE = frozenset(
    {"PermanentRedirect", "AuthorizationHeaderMalformed", "301", "IllegalLocationConstraintException"}
)
_HINTS: Mapping[str, str] = {
    "ExpiredToken": "the credentials have expired: renew them",
    "InvalidToken": "the session token of the credentials is wrong",
    "InvalidAccessKeyId": "the server does not know the access key of the credentials",
    "SignatureDoesNotMatch": "the secret key of the credentials is wrong",
    "RequestTimeTooSkewed": "the clock of this machine is wrong: set it",
}
_NO_CREDENTIALS = (
    "give them in the environment, ~/.aws/credentials or credentialsFile of the location"
)
_CERTIFICATE = (
    "name the authority in objectStorage.caCert of the location; an address http:// is "
    "for a server without TLS"
)
_PATH_STYLE = "s3ForcePathStyle: true may be missing in the location's config"


@attrs.frozen(kw_only=True)
class Reached:
    """How a server is reached.

    Attributes:
        url: Of a server other than Amazon's, or empty.
        path_style: Whether the bucket is a part of the path.
    """

    url: str = ""
    path_style: bool = False


def explained(exc: StoreError, reached: Reached) -> StoreError:
    """Return *exc* with the permission that was missing, or a hint; else itself."""
    reason, hint = exc.reason, exc.hint
    for cause in _causes(exc):
        name = type(cause).__name__
        response = getattr(cause, "response", None)
        if isinstance(response, Mapping) and "Error" in response:
            code = str(response["Error"].get("Code") or "")
            action = str(getattr(cause, "operation_name", "") or "")
            if code in _REFUSED and action:
                reason = f"{reason}: s3:{_ACTIONS.get(action, action)} is not allowed"
            hint = hint or _hint(code, response)
            break
        if isinstance(exc, StoreAccessError):
            if "CredentialsError" in name:
                hint = hint or _NO_CREDENTIALS
            elif name == "SSLError":
                hint = hint or _CERTIFICATE
    if _may_miss_path_style(exc, reached):
        hint = f"{hint}; {_PATH_STYLE}" if hint else _PATH_STYLE
    if (reason, hint) == (exc.reason, exc.hint):
        return exc
    return type(exc)(exc.key, reason, hint=hint)


def _may_miss_path_style(exc: StoreError, reached: Reached) -> bool:
    """Tell whether ``bucket.host`` may be what cannot be reached."""
    if not reached.url or reached.path_style:
        return False
    names = {type(cause).__name__ for cause in _causes(exc)}
    unreachable = isinstance(exc, StoreUnavailableError) and any(
        "Connect" in name for name in names
    )
    return unreachable or "(NoSuchBucket)" in exc.reason


def _hint(code: str, response: Mapping[str, Any]) -> str:
    if code in _ELSEWHERE:
        headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        region = response["Error"].get("Region") or headers.get("x-amz-bucket-region")
        is_in = f"the bucket is in {region}: " if region else ""
        return f"{is_in}set region in the location's config"
    return _HINTS.get(code, "")


def _causes(exc: BaseException) -> Iterator[BaseException]:
    """Yield what an error was raised from, the nearest first."""
    cause = exc.__cause__
    while cause is not None:
        yield cause
        cause = cause.__cause__
