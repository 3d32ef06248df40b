"""What S3's refusals mean, in words that say what to do: values only, no request.

Source: Amazon S3 API reference, "Error responses"; service authorization reference,
"Actions defined by Amazon S3".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
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
    {
        "PermanentRedirect",
        "AuthorizationHeaderMalformed",
        "301",
        "IllegalLocationConstraintException",
    }
)
_HINTS: Mapping[str, str] = {
    "ExpiredToken": "the credentials have expired: renew them",
    "InvalidToken": "the session token of the credentials is wrong",
    "InvalidAccessKeyId": "the server does not know the access key of the credentials",
    "SignatureDoesNotMatch": "the secret key of the credentials is wrong",
    "RequestTimeTooSkewed": "the clock of this machine is wrong: set it",
}
_NO_CREDENTIALS = "give them in the environment, ~/.aws/credentials or credentialsFile of the location"
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
    answered = next(filter(_answer, _causes(exc)), None)
    if answered is not None:
        reason += _missing_permission(answered)
        hint = hint or _answer_hint(_answer(answered))
    elif isinstance(exc, StoreAccessError):
        hint = hint or _local_hint(type(cause).__name__ for cause in _causes(exc))
    if _may_miss_path_style(exc, reached):
        hint = f"{hint}; {_PATH_STYLE}" if hint else _PATH_STYLE
    if (reason, hint) == (exc.reason, exc.hint):
        return exc
    return type(exc)(exc.key, reason, hint=hint)


def _answer(exc: BaseException) -> Mapping[str, Any]:
    """Return what the server answered, as botocore reads it, or nothing."""
    response = getattr(exc, "response", None)
    if isinstance(response, Mapping) and "Error" in response:
        return response
    return {}


def _missing_permission(exc: BaseException) -> str:
    code = str(_answer(exc)["Error"].get("Code") or "")
    operation = str(getattr(exc, "operation_name", "") or "")
    if code not in _REFUSED or not operation:
        return ""
    return f": s3:{_ACTIONS.get(operation, operation)} is not allowed"


def _answer_hint(answer: Mapping[str, Any]) -> str:
    code = str(answer["Error"].get("Code") or "")
    if code not in _ELSEWHERE:
        return _HINTS.get(code, "")
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    region = answer["Error"].get("Region") or headers.get("x-amz-bucket-region")
    where = f"the bucket is in {region}: " if region else ""
    return f"{where}set region in the location's config"


def _local_hint(names: Iterable[str]) -> str:
    """Return a hint for what failed before anything was sent."""
    said = " ".join(names)
    if "CredentialsError" in said:
        return _NO_CREDENTIALS
    return _CERTIFICATE if "SSLError" in said or "CertificateError" in said else ""


def _may_miss_path_style(exc: StoreError, reached: Reached) -> bool:
    """Tell whether ``bucket.host`` may be what cannot be reached."""
    if not reached.url or reached.path_style:
        return False
    names = {type(cause).__name__ for cause in _causes(exc)}
    unreachable = isinstance(exc, StoreUnavailableError) and any(
        "Connect" in name for name in names
    )
    return unreachable or "(NoSuchBucket)" in exc.reason


def _causes(exc: BaseException) -> Iterator[BaseException]:
    """Yield what an error was raised from, the nearest first."""
    cause = exc.__cause__
    while cause is not None:
        yield cause
        cause = cause.__cause__
