"""As whom the store in Cloud Storage asks, and in whose name it signs."""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from kbackup.errors import StoreAccessError, UnsupportedCapabilityError
from kbackup_plugins_gcp import open_gcs_store

ACCOUNT = "backup@project.iam.gserviceaccount.com"


def read(store, key):
    """Read a whole object."""
    target = io.BytesIO()
    store.get(key, target)
    return target.getvalue()


def test_a_token_for_many_requests(opened, key_file, gcs_server):
    """Threads that ask at once share one token, and every request has it."""
    before = gcs_server.tokens
    store = opened(credentialsFile=key_file)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: store.put(f"backups/b/{n}", b"x"), range(32)))

    assert gcs_server.tokens == before + 1
    tokens = {request.headers["authorization"] for request in gcs_server.requests}
    assert tokens == {f"Bearer token-{before + 1}"}


def test_workload_identity_federation(opened, gcs_server, tmp_path):
    """The token of another identity provider is exchanged for one of Google's."""
    subject, path = tmp_path / "subject", tmp_path / "federation.json"
    subject.write_text("their-token")
    info = {
        "type": "external_account",
        "audience": "//iam.googleapis.com/projects/1/locations/global/x",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{gcs_server.url}/token",
        "credential_source": {"file": str(subject)},
    }
    path.write_text(json.dumps(info))
    store = opened(credentialsFile=str(path))

    store.put("backups/b/x", b"x")

    token = gcs_server.requests[0].headers["authorization"]
    assert token == f"Bearer token-{gcs_server.tokens}"


def test_a_refused_token_is_renewed_once(opened, key_file, gcs_server):
    """A token that expired before its time is replaced, and the request sent again."""
    store = opened(credentialsFile=key_file)
    store.put("backups/b/x", b"x")
    before = gcs_server.tokens
    gcs_server.refuse(401, "authError", "Invalid Credentials")

    assert read(store, "backups/b/x") == b"x"

    assert gcs_server.tokens == before + 1


def test_a_refused_account(opened, key_file, gcs_server):
    """Who is refused with a new token, too, is told so."""
    store = opened(credentialsFile=key_file)
    gcs_server.refuse(401, "authError", "Invalid Credentials", times=2)

    with pytest.raises(StoreAccessError, match="Invalid Credentials"):
        store.stat("backups/b/x")

    assert len(gcs_server.requests) == 2


def test_no_credentials(gcs_bucket, monkeypatch):
    """Without credentials the error is about access, and comes at the first call."""
    monkeypatch.setattr(
        "google.auth.compute_engine._metadata.is_on_gce", lambda request: False
    )
    store = open_gcs_store({"bucket": gcs_bucket})

    with pytest.raises(StoreAccessError, match="no credentials") as caught:
        store.stat("backups/b/x")

    assert "credentialsFile" in caught.value.hint
    store.close()


def test_a_key_file_that_is_none(opened, tmp_path):
    """A file that holds something else is named; what it holds is not repeated."""
    file = tmp_path / "key.json"
    for text, fault in (
        ("the-secret", "it is no JSON"),
        ('{"type": "service_account", "private_key": "the-secret"}', "is missing"),
        ('{"type": "the-secret"}', "of another type"),
    ):
        file.write_text(text)
        store = opened(credentialsFile=str(file))

        with pytest.raises(StoreAccessError, match=rf"key\.json .*{fault}") as caught:
            store.stat("backups/b/x")

        chain = [caught.value, caught.value.__cause__, caught.value.__context__]
        assert "the-secret" not in repr([(each, vars(each)) for each in chain if each])


def test_a_plain_server_is_sent_no_token_unasked(store, gcs_server, monkeypatch):
    """Over plain HTTP only credentials go that the location itself names."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/not/there")

    store.put("backups/b/x", b"x")

    assert "authorization" not in gcs_server.requests[0].headers


# --- signed addresses -----------------------------------------------------------------


def test_an_address_signed_with_a_key(opened, key_file, gcs_server, gcs_bucket):
    """A key file signs without asking anybody; the address is of the location's server."""
    store = opened(credentialsFile=key_file)

    url = store.signed_url("backups/b/ü x", timedelta(minutes=10))

    parts, query = urlsplit(url), parse_qs(urlsplit(url).query)
    assert url.startswith(gcs_server.url)
    assert parts.path == f"/{gcs_bucket}/backups/b/%C3%BC%20x"
    assert query["X-Goog-Algorithm"] == ["GOOG4-RSA-SHA256"]
    assert query["X-Goog-Expires"] == ["600"]
    assert query["X-Goog-Credential"][0].startswith(f"{ACCOUNT}/")


@pytest.fixture
def user_file(tmp_path, monkeypatch, gcs_server):
    """Credentials without a key to sign with, refreshed by the emulator."""
    info = {"type": "authorized_user", "client_id": "c", "client_secret": "s"}
    path = tmp_path / "user.json"
    path.write_text(json.dumps({**info, "refresh_token": "r"}))
    monkeypatch.setattr(
        "google.oauth2.credentials._GOOGLE_OAUTH2_TOKEN_ENDPOINT",
        f"{gcs_server.url}/token",
    )
    return str(path)


def test_an_address_signed_by_iam(opened, user_file, gcs_server, monkeypatch):
    """Without a key IAM is asked to sign for the account that the location names."""
    store = opened(credentialsFile=user_file, serviceAccount=ACCOUNT)
    monkeypatch.setattr(
        "google.auth.iam._IAM_SIGN_ENDPOINT", gcs_server.url + "/v1/{}:signBlob"
    )
    gcs_server.answers.append((200, b'{"keyId": "1", "signedBlob": "AAEC"}'))

    url = store.signed_url("backups/b/x", timedelta(minutes=10))

    [request] = gcs_server.requests
    assert request.path == f"/v1/{ACCOUNT}:signBlob"
    assert "payload" in json.loads(request.body)
    assert parse_qs(urlsplit(url).query)["X-Goog-Signature"] == ["000102"]


def test_iam_that_does_not_sign(opened, user_file, gcs_server, monkeypatch):
    """A refusal of IAM says which role is missing."""
    store = opened(credentialsFile=user_file, serviceAccount=ACCOUNT)
    monkeypatch.setattr(
        "google.auth.iam._IAM_SIGN_ENDPOINT", gcs_server.url + "/v1/{}:signBlob"
    )
    gcs_server.refuse(403, "forbidden", "no permission")

    with pytest.raises(StoreAccessError, match="IAM") as caught:
        store.signed_url("backups/b/x", timedelta(minutes=10))

    assert "serviceAccountTokenCreator" in caught.value.hint


def test_nobody_to_sign(opened, user_file):
    """Without a key and an account the error tells the config that is missing."""
    store = opened(credentialsFile=user_file)

    with pytest.raises(UnsupportedCapabilityError) as caught:
        store.signed_url("backups/b/x", timedelta(minutes=10))
    with pytest.raises(UnsupportedCapabilityError, match="7 days"):
        store.signed_url("backups/b/x", timedelta(days=8))

    assert "serviceAccount" in caught.value.hint
