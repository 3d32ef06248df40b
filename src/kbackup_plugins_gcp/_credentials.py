"""Who asks: credentials found at the first request, and renewed before they expire.

To look for them asks Google's metadata server, which a store does not do while it is
opened, and no request waits for longer than it may take in all.
"""

from __future__ import annotations

import json
import threading
from collections.abc import MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from kbackup.errors import (
    StoreAccessError,
    StoreUnavailableError,
    UnsupportedCapabilityError,
)
from kbackup.stores import bounded, translate_store_errors

# What may be done is for IAM to say; a narrower scope could not sign.
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
_MAX_REASON = 300
_NOT_RENEWED = (
    "the credentials may have been revoked or have expired, or the clock of this machine "
    "be wrong"
)
_IAM_REFUSED = "Error calling the IAM"  # google-auth has no class for it


class Identity(Protocol):
    """What a location's configuration says of who asks."""

    @property
    def credentials_file(self) -> str:
        """With it, credentials of the environment are not used."""
        ...

    @property
    def universe(self) -> str:
        """The domain of another cloud of Google's making, or empty."""
        ...

    @property
    def service_account(self) -> str:
        """Signs addresses where the credentials have no key of their own."""
        ...


class Credentials:
    """The credentials of one store, found by the first request.

    Shared by threads.

    Args:
        settings: Where they are looked for.
        anonymous: Ask without any, as emulators want it.
    """

    def __init__(self, settings: Identity, *, anonymous: bool) -> None:
        self._settings = settings
        self._anonymous = anonymous
        self._lock = threading.Lock()
        self._found: Any = None
        self._project = ""

    def prepare(self, key: str, seconds: float) -> None:
        """See to it that `apply` has a token that lasts for a few minutes.

        Raises:
            StoreAccessError: There are no credentials, or they are refused.
            StoreUnavailableError: Who renews them does not answer.
        """
        if self._anonymous or self._is_fresh():
            return
        if not self._lock.acquire(timeout=seconds):
            raise StoreUnavailableError(key, "the credentials are being renewed")
        try:
            if not self._is_fresh():
                with _credential_errors(key):
                    bounded(key, seconds, self._renew)
        finally:
            self._lock.release()

    def own_project(self, key: str, seconds: float) -> str:
        """Return the project that the credentials are of, or empty: they do not tell.

        Raises:
            StoreAccessError: There are no credentials, or they are refused.
            StoreUnavailableError: Who renews them does not answer.
        """
        self.prepare(key, seconds)
        return self._project

    def apply(self, headers: MutableMapping[str, str]) -> None:
        """Add the token to the headers of a request."""
        if self._found is not None:
            self._found.apply(headers)

    def refused(self) -> bool:
        """Forget a token that the server refused; tell whether there was one."""
        if self._found is None or self._found.token is None:
            return False
        self._found.token = None
        return True

    def sign_address(
        self, key: str, bucket: str, endpoint: str, ttl: Any, seconds: float
    ) -> str:
        """Sign an address of an object, with a key of ours or by IAM.

        Source: Cloud Storage, "V4 signing process"; IAM, ``signBlob``.

        Raises:
            UnsupportedCapabilityError: Nobody's name is known to sign with.
            StoreAccessError: IAM refuses to sign for us.
        """
        self.prepare(key, seconds)
        with _credential_errors(key):
            signed: str = bounded(key, seconds, self._sign, key, bucket, endpoint, ttl)
        return signed

    # --- inside -----------------------------------------------------------------------

    def _is_fresh(self) -> bool:
        # google-auth counts the last minutes of a token as its end already.
        return self._found is not None and bool(self._found.valid)

    def _renew(self) -> None:
        import requests  # noqa: PLC0415 - the SDK
        from google.auth.transport.requests import Request  # noqa: PLC0415 - the SDK

        with requests.Session() as session:
            if self._found is None:
                found = self._find(Request(session))
                if not found.valid:
                    found.refresh(Request(session))
                self._found = found
            else:
                self._found.refresh(Request(session))

    def _find(self, request: Any) -> Any:
        import google.auth  # noqa: PLC0415 - the SDK

        if self._settings.credentials_file:
            found = _from_file(self._settings.credentials_file)
            project = getattr(found, "project_id", None)
        else:
            found, project = google.auth.default(scopes=_SCOPES, request=request)
        self._project = project or ""
        universe = self._settings.universe
        if universe and hasattr(found, "with_universe_domain"):
            found = found.with_universe_domain(universe)
        return found

    def _sign(self, key: str, bucket: str, endpoint: str, ttl: Any) -> str:
        from google.cloud.storage import Client  # noqa: PLC0415 - the SDK

        signer = self._signer(key)
        # Neither project nor client is used for anything: the signature is made here.
        client = Client(project="unused", credentials=signer)
        blob = client.bucket(bucket).blob(key)
        return str(
            blob.generate_signed_url(
                version="v4",
                method="GET",
                expiration=ttl,
                api_access_endpoint=endpoint,
                credentials=signer,
            )
        )

    def _signer(self, key: str) -> Any:
        """Return credentials that can sign: ours, or ones whose key IAM holds."""
        from google.auth import credentials, iam  # noqa: PLC0415 - the SDK
        from google.auth.transport.requests import Request  # noqa: PLC0415 - the SDK
        from google.oauth2 import service_account  # noqa: PLC0415 - the SDK

        if isinstance(self._found, credentials.Signing):
            return self._found
        # A machine of Google's knows its account once it has a token.
        own = getattr(self._found, "service_account_email", None)
        account = self._settings.service_account or own
        if self._found is None or not account or "@" not in account:
            raise UnsupportedCapabilityError(
                key,
                "its credentials have no account that could sign an address",
                hint="name one in the location's config as serviceAccount",
            )
        signer = iam.Signer(Request(), self._found, account)
        return service_account.Credentials(
            signer=signer, service_account_email=account, token_uri=""
        )


def _from_file(path: str) -> Any:
    """Return the credentials in a file; what it holds gets into no error."""
    from google.auth import aws, identity_pool  # noqa: PLC0415 - the SDK
    from google.oauth2 import credentials, service_account  # noqa: PLC0415 - the SDK

    try:
        info = json.loads(Path(path).read_bytes())
        kind = info["type"]
        if kind == "service_account":
            return service_account.Credentials.from_service_account_info(
                info, scopes=_SCOPES
            )
        if kind == "authorized_user":
            return credentials.Credentials.from_authorized_user_info(
                info, scopes=_SCOPES
            )
        if kind == "external_account":
            is_aws = info.get("subject_token_type") == (
                "urn:ietf:params:aws:token-type:aws4_request"
            )
            maker = aws if is_aws else identity_pool
            return maker.Credentials.from_info(info, scopes=_SCOPES)
    except (json.JSONDecodeError, UnicodeDecodeError):
        fault = "it is no JSON"
    except (ValueError, KeyError, TypeError, AttributeError):
        fault = "something in it is missing, or has no meaning"
    except OSError as exc:
        fault = exc.strerror or type(exc).__name__
    else:
        fault = "it is of another type"
    raise StoreAccessError(
        "",
        f"the credentials file {path} cannot be used: {fault}",
        hint="it is the JSON of a service_account, an authorized_user or an "
        "external_account",
    )


@contextmanager
def _credential_errors(key: str) -> Any:
    """Raise our errors for those of google-auth; tell what passes from what does not."""
    from google.auth import exceptions  # noqa: PLC0415 - the SDK

    with translate_store_errors(key):
        try:
            yield
        except exceptions.DefaultCredentialsError as exc:
            raise StoreAccessError(
                key,
                "there are no credentials for Google Cloud",
                hint="name a file in the location's config as credentialsFile, or run "
                "gcloud auth application-default login",
            ) from exc
        except exceptions.TransportError as exc:
            if not str(exc).startswith(_IAM_REFUSED):
                raise
            raise StoreAccessError(
                key,
                "IAM does not sign for the account",
                hint="grant roles/iam.serviceAccountTokenCreator on it",
            ) from exc
        except exceptions.GoogleAuthError as exc:
            if exc.retryable:
                raise StoreUnavailableError(key, str(exc)) from exc
            if not isinstance(exc, exceptions.RefreshError):
                raise
            # The rest of its arguments is the server's whole answer.
            reason = str(exc.args[0]) if exc.args else type(exc).__name__
            raise StoreAccessError(
                key, reason[:_MAX_REASON], hint=_NOT_RENEWED
            ) from exc
