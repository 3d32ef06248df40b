"""Every error of the system, of fsspec and of the SDKs becomes one of ours."""

from __future__ import annotations

import errno
import inspect
import os
import socket
import ssl

import aiohttp.client_exceptions
import azure.core.exceptions
import azure.storage.blob
import botocore.exceptions
import fsspec.exceptions
import pytest
import requests
import urllib3

from kbackup.errors import (
    InvalidConfigError,
    ObjectExistsError,
    ObjectNotFoundError,
    StoreAccessError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)
from kbackup.stores import translate_store_errors
from kbackup.stores._errors import ERRORS_BY_CLASS, translated


def classes_of(module):
    """The exceptions that a module defines."""
    return [
        value
        for _, value in inspect.getmembers(module, inspect.isclass)
        if issubclass(value, Exception)
        and not issubclass(value, Warning)
        and value.__module__ == module.__name__
    ]


@pytest.mark.parametrize(
    "foreign",
    [
        *classes_of(botocore.exceptions),
        *classes_of(fsspec.exceptions),
        *classes_of(aiohttp.client_exceptions),
        OSError,
        *OSError.__subclasses__(),
    ],
    ids=lambda cls: f"{cls.__module__}.{cls.__name__}",
)
def test_every_class_is_mapped(foreign):
    """Each exception class of the libraries below has a mapping, itself or a parent."""
    names = [f"{c.__module__}.{c.__qualname__}" for c in foreign.__mro__]

    assert any(name in ERRORS_BY_CLASS for name in names)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOENT, ObjectNotFoundError),
        (errno.EEXIST, ObjectExistsError),
        (errno.ENOSPC, StoreFullError),
        (errno.EDQUOT, StoreFullError),
        (errno.EROFS, StoreAccessError),
        (errno.EACCES, StoreAccessError),
        (errno.EPERM, StoreAccessError),
        (errno.ENOTDIR, StoreAccessError),
        (errno.ESTALE, StoreUnavailableError),
        (errno.ECONNREFUSED, StoreUnavailableError),
        (errno.EIO, StoreError),
        (errno.ENAMETOOLONG, StoreError),
    ],
    ids=lambda value: errno.errorcode.get(value) if isinstance(value, int) else None,
)
def test_numbers_of_the_system(number, expected):
    """An OSError is told by its number, and its path is not repeated."""
    exc = OSError(number, os.strerror(number), "/some/path")

    error = translated("backups/b/x", exc)

    assert type(error) is expected
    assert error.key == "backups/b/x"
    assert error.reason == os.strerror(number)


def client_error(code, status=400):
    """An answer of S3, as botocore raises it."""
    return botocore.exceptions.ClientError(
        {
            "Error": {"Code": code, "Message": f"about {code}"},
            "ResponseMetadata": {"HTTPStatusCode": status},
        },
        "PutObject",
    )


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("NoSuchKey", 404, ObjectNotFoundError),
        ("404", 404, ObjectNotFoundError),
        ("PreconditionFailed", 412, ObjectExistsError),
        ("ConditionalRequestConflict", 409, StoreUnavailableError),
        ("AccessDenied", 403, StoreAccessError),
        ("SignatureDoesNotMatch", 403, StoreAccessError),
        ("SomethingNew", 403, StoreAccessError),
        ("SlowDown", 503, StoreUnavailableError),
        ("SomethingNew", 500, StoreUnavailableError),
        ("XMinioStorageFull", 507, StoreFullError),
        ("SomethingNew", 400, StoreError),
    ],
)
def test_answers_of_s3(code, status, expected):
    """An answer of S3 is told by its code, else by its status."""
    assert type(translated("k", client_error(code, status))) is expected


def test_the_cause_of_an_s3fs_error_counts():
    """A missing bucket is no missing object, though s3fs raises the same for both."""
    outer = FileNotFoundError("The specified bucket does not exist")
    outer.__cause__ = client_error("NoSuchBucket", 404)

    error = translated("backups/b/x", outer)

    assert isinstance(error, StoreAccessError)
    assert "NoSuchBucket" in str(error)


def test_a_missing_bucket_is_named():
    """A bucket that is not there is told as that, by name, and not as a refusal."""
    exc = client_error("NoSuchBucket", 404)
    exc.response["Error"]["BucketName"] = "backups"

    error = translated("", exc)

    assert str(error) == "store: there is no such bucket: backups (NoSuchBucket)"
    assert "mend its name" in error.hint
    assert isinstance(error, StoreAccessError)  # trying again does not help


@pytest.mark.parametrize(
    ("exc", "expected"),
    [
        (TimeoutError(), StoreUnavailableError),
        (fsspec.exceptions.FSTimeoutError(), StoreUnavailableError),
        (
            botocore.exceptions.EndpointConnectionError(endpoint_url="http://x"),
            StoreUnavailableError,
        ),
        (botocore.exceptions.NoCredentialsError(), StoreAccessError),
        (botocore.exceptions.ProfileNotFound(profile="x"), StoreAccessError),
        (
            botocore.exceptions.SSLError(endpoint_url="https://x", error="bad"),
            StoreAccessError,
        ),
        (ValueError("what is this"), StoreError),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_errors(exc, expected):
    """Connections may heal, credentials and certificates do not."""
    assert type(translated("k", exc)) is expected


def test_the_original_is_the_cause():
    """The context manager keeps what happened as the cause."""
    with pytest.raises(ObjectNotFoundError) as caught, translate_store_errors("k"):
        raise FileNotFoundError(errno.ENOENT, "gone")

    assert isinstance(caught.value.__cause__, FileNotFoundError)


def test_our_own_errors_pass():
    """An error that is ours already is not wrapped again."""
    ours = InvalidConfigError("ours")

    with pytest.raises(InvalidConfigError) as caught, translate_store_errors("k"):
        raise ours

    assert caught.value is ours


def test_a_page_of_html_is_cut():
    """An answer of many lines becomes one short reason."""
    error = translated("k", ValueError("<html>\n" * 1000))

    assert len(error.reason) <= 300
    assert "\n" not in error.reason


def azure_error(code, status, kind=azure.core.exceptions.HttpResponseError):
    """An answer of Azure's blobs, as their SDK raises it."""
    exc = kind(f"about {code}\nRequestId:1\nTime:now\nErrorCode:{code}")
    exc.status_code, exc.error_code = status, code
    return exc


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("BlobNotFound", 404, ObjectNotFoundError),
        ("ContainerNotFound", 404, StoreAccessError),
        ("ContainerBeingDeleted", 409, StoreUnavailableError),
        ("BlobAlreadyExists", 409, ObjectExistsError),
        ("ConditionNotMet", 412, ObjectExistsError),
        ("BlobImmutableDueToPolicy", 409, StoreAccessError),
        ("InvalidBlockList", 400, StoreUnavailableError),
        ("AuthenticationFailed", 403, StoreAccessError),
        ("AuthorizationPermissionMismatch", 403, StoreAccessError),
        ("InvalidAuthenticationInfo", 401, StoreAccessError),
        ("ServerBusy", 503, StoreUnavailableError),
        ("SomethingNew", 429, StoreUnavailableError),
        ("SomethingNew", 500, StoreUnavailableError),
        ("SomethingNew", 409, StoreError),
        ("InvalidRange", 416, StoreError),
        (None, 404, ObjectNotFoundError),
    ],
)
def test_answers_of_azure(code, status, expected):
    """An answer of Azure is told by its code, else by its status; in one line."""
    error = translated("k", azure_error(code, status))

    assert isinstance(error, expected)
    assert error.retryable == (expected is StoreUnavailableError)
    assert error.reason == f"about {code} ({code or status})"


def test_a_missing_container_is_no_refusal():
    """A container that is not there is told as that, with what helps."""
    error = translated("", azure_error("ContainerNotFound", 404))

    assert str(error).startswith("store: there is no such bucket: about")
    assert "storageAccount" in error.hint


def test_codes_of_azure_may_be_members_of_an_enum():
    """The SDK gives its codes as members of an enum, whose values count."""
    code = azure.storage.blob.StorageErrorCode.BLOB_NOT_FOUND

    error = translated("k", azure_error(code, 404))

    assert isinstance(error, ObjectNotFoundError)
    assert error.reason.endswith("(BlobNotFound)")


@pytest.mark.parametrize("status", [400, 401, None])
def test_no_token_is_a_refusal(status):
    """An identity that gets no token is refused, whatever the answer was."""
    kind = azure.core.exceptions.ClientAuthenticationError
    exc = azure_error(None, status, kind)

    assert type(translated("k", exc)) is StoreAccessError


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        (ConnectionRefusedError(), StoreUnavailableError),
        (ssl.SSLEOFError(), StoreUnavailableError),
        (ssl.SSLCertVerificationError(), StoreAccessError),
    ],
    ids=["refused", "broken", "certificate"],
)
def test_connections_to_azure(inner, expected):
    """A connection may come; a certificate that is not trusted stays so."""
    refused = requests.exceptions.SSLError()
    refused.__context__ = urllib3.exceptions.MaxRetryError(None, "/", None)
    refused.__context__.__cause__ = inner
    exc = azure.core.exceptions.ServiceRequestError("no connection", error=refused)

    assert type(translated("k", exc)) is expected


def test_a_body_of_azure_that_breaks_off():
    """What the SDK gives up to read, without a status, may be read another time."""
    broken = azure.core.exceptions.IncompleteReadError("3 bytes read")
    exc = azure.core.exceptions.HttpResponseError(broken, error=broken)

    assert translated("k", exc).retryable


def test_azure_that_cannot_be_reached():
    """Why there is no connection is said, without the request's address, which may be signed."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/c/x?sig=hunter2"
        with pytest.raises(requests.ConnectionError) as refused:
            requests.get(url, timeout=30)
    given = azure.core.exceptions.ServiceRequestError(
        str(refused.value), error=refused.value
    )

    error = translated("k", given)

    assert isinstance(error, StoreUnavailableError)
    assert "Connection refused" in error.reason
    assert "127.0.0.1" in error.reason
    assert "Max retries" not in error.reason
    assert "hunter2" not in str(error)
