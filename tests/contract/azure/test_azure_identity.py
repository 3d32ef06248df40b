"""The store in Azure over TLS, asked by an identity: Azurite reads the tokens."""

from __future__ import annotations

import base64
import json
import time
import uuid
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from azure.core.credentials import AccessToken

from azurite import ACCOUNT, KEY, azurite_program, running_azurite
from kbackup.errors import StoreAccessError, UnsupportedCapabilityError
from kbackup_plugins_azure import open_blob_store


def _part(document):
    text = json.dumps(document).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def token_for(audience, *, seconds=3600):
    """A token as Azure's, whose signature Azurite does not look at."""
    now = int(time.time())
    claims = {
        "aud": audience,
        "iss": "https://sts.windows.net/00000000-0000-0000-0000-000000000000/",
        "iat": now - 60,
        "nbf": now - 60,
        "exp": now + seconds,
        "oid": "11111111-1111-1111-1111-111111111111",
        "tid": "00000000-0000-0000-0000-000000000000",
    }
    return f"{_part({'alg': 'RS256', 'typ': 'JWT'})}.{_part(claims)}.c2lnbmVk"


class Identity:
    """Hands out tokens and counts what it is asked for."""

    def __init__(self, **options):
        self.options = options
        self.scopes = []

    def get_token(self, *scopes, **_):
        """Return a token for a while."""
        self.scopes += scopes
        token = token_for("https://storage.azure.com", **self.options)
        return AccessToken(token, int(time.time()) + 3600)

    def close(self):
        """Do nothing."""


@pytest.fixture(scope="module")
def secure(azurite, real_home, certificate, tmp_path_factory):
    """Another Azurite, over TLS, that takes tokens."""
    options = ["--oauth", "basic"]
    options += ["--cert", str(certificate / "cert.pem")]
    options += ["--key", str(certificate / "key.pem")]
    program = azurite_program(real_home)
    with running_azurite(program, tmp_path_factory.mktemp("s"), *options) as server:
        yield server


@pytest.fixture
def config(secure, certificate, monkeypatch):
    """What a store is opened with that is asked by an identity; a container is there."""
    monkeypatch.setenv("AZURITE_ACCOUNT_KEY", KEY)
    name = f"container-{uuid.uuid4()}"
    with secure.client(connection_verify=str(certificate / "cert.pem")) as service:
        service.create_container(name)
    return {
        "bucket": name,
        "storageAccount": ACCOUNT,
        "storageAccountURI": f"{secure.url}/{ACCOUNT}",
        "useAAD": "true",
        "caCert": (certificate / "cert.pem").read_text(),
    }


@pytest.fixture
def opened(config, monkeypatch):
    """A function that opens a store for an identity."""
    stores = []

    def open_for(identity, **more):
        store = open_blob_store({**config, **more})
        monkeypatch.setattr(store._account, "_make_identity", lambda: identity)
        stores.append(store)
        return store

    yield open_for
    for store in stores:
        store.close()


def test_an_identity_reads_and_writes(opened):
    """With useAAD each request carries a token for Azure's storage, over TLS."""
    identity = Identity()
    store = opened(identity)

    store.put("backups/b/x", b"x", create=True)

    assert [info.key for info in store.list("")] == ["backups/b/x"]
    assert identity.scopes == ["https://storage.azure.com/.default"]


def test_an_unknown_certificate(config, opened):
    """Without its certificate the server is not trusted; to try again does not help."""
    store = opened(Identity(), caCert="")

    with pytest.raises(StoreAccessError, match="certificate") as caught:
        store.stat("backups/b/x")

    assert not caught.value.retryable


def test_a_token_that_is_over(opened):
    """An expired token is a refusal, and the token is not repeated."""
    store = opened(Identity(seconds=-30))

    with pytest.raises(StoreAccessError) as caught:
        store.stat("backups/b/x")

    assert "eyJ" not in f"{caught.value!r} {caught.value.__cause__}"


def test_no_log_shows_a_token(opened, all_logs):
    """With every logger at DEBUG neither a token nor the key that is lent shows."""
    store = opened(Identity())

    store.put("backups/b/x", b"x")
    url = store.signed_url("backups/b/x", timedelta(hours=1))

    said = all_logs()
    assert "azure.core" in said
    assert "eyJ" not in said
    assert parse_qs(urlsplit(url).query)["sig"][0] not in said


def test_a_lent_key_signs(opened, requests_of):
    """What an identity signs, it signs by a key that Azure lends for that time.

    Azurite lends one, but knows what is signed for older versions of the service only.
    """
    store = opened(Identity())
    store.put("backups/b/x", b"x")
    requests_of.clear()

    url = store.signed_url("backups/b/x", timedelta(hours=1))

    ((method, asked, _),) = requests_of
    assert (method, asked) == ("POST", "comp=userdelegationkey")
    query = parse_qs(urlsplit(url).query)
    assert query["sp"] == ["r"]
    assert query["spr"] == ["https"]
    assert query["sr"] == ["b"]
    assert query["skoid"]
    assert query["sig"]


def test_an_identity_signs_for_a_week(opened):
    """A time that Azure lends no key for is refused, not cut."""
    store = opened(Identity())

    with pytest.raises(UnsupportedCapabilityError, match="7 days"):
        store.signed_url("backups/b/x", timedelta(days=7))
