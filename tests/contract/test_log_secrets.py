"""With every logger at DEBUG no key, token, signature or password is in the log."""

from __future__ import annotations

import base64
import io
import json
import logging
import re
from datetime import timedelta
from functools import partial
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.session import Session
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from azurite import KEY
from filesystem_servers import PASSWORD
from kbackup.errors import StoreError
from kbackup.stores import redact_logs
from kbackup_plugins_aws import open_ebs_snapshotter, open_s3_store
from kbackup_plugins_aws._logs import keep_secrets_out_of_logs
from kbackup_plugins_azure import open_blob_store
from kbackup_plugins_fsspec import open_filesystem_store
from kbackup_plugins_gcp import open_gcs_store

CUSTOMER_KEY = b"0123456789abcdef0123456789abcdef"
SIGNATURE = re.compile(r"(?i)signature=[0-9a-f]{16}|Signature:\n[0-9a-f]{16}")


def use(store, source):
    """Do with a store what a backup and a restore do."""
    store.put("backups/b/x", b"content", create=True)
    store.put("backups/b/large", source)
    store.get("backups/b/x", target := io.BytesIO())
    assert target.getvalue() == b"content"
    assert len(list(store.list(""))) == 2
    store.delete("backups/b/x")
    with pytest.raises(StoreError):
        store.stat("backups/b/x")


@pytest.fixture
def large(tmp_path):
    """A file that goes up in parts."""
    path = tmp_path / "large"
    path.write_bytes(b"x" * (17 << 20))
    return path


def query_of(url, name):
    """A value in the query of an address."""
    return parse_qs(urlsplit(url).query)[name][0]


# --- S3 and EC2 -----------------------------------------------------------------------


@pytest.fixture
def secrets_of_s3(s3_credentials, monkeypatch):
    """A secret key and a token of a session, in the environment."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-secret-key")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "the-session-token")
    return ["the-secret-key", "the-session-token"]


def test_s3(all_logs, s3_server, s3_bucket, secrets_of_s3, large):
    """Neither the credentials, the customer's key nor a signature shows."""
    file = large.with_name("key")
    file.write_bytes(CUSTOMER_KEY)
    encrypting = s3_server.config(s3_bucket, customerKeyEncryptionFile=str(file))

    store = open_s3_store(encrypting)
    use(store, large)
    store.close()
    store = open_s3_store(s3_server.config(s3_bucket))
    url = store.signed_url("backups/b/large", timedelta(minutes=5))
    store.close()

    said = all_logs()
    assert "botocore" in said
    assert "PutObject" in said
    secrets = [*secrets_of_s3, base64.b64encode(CUSTOMER_KEY).decode()]
    assert [each for each in secrets if each in said] == []
    assert query_of(url, "X-Amz-Signature") not in said
    assert SIGNATURE.search(said) is None


def test_answers_of_sts(all_logs):
    """What STS answers, and the metadata of a machine, shows no credentials."""
    keep_secrets_out_of_logs()
    xml = "<SecretAccessKey>the-key</SecretAccessKey><SessionToken>the-token</SessionToken>"
    document = {"SecretAccessKey": "the-key", "Token": "the-token", "Code": "Success"}

    logging.getLogger("botocore.parsers").debug("Response body:\n%s", xml)
    logging.getLogger("botocore.utils").debug("%s", json.dumps(document).encode())
    logging.getLogger("aiobotocore.parsers").debug("Response body:\n%s", xml.encode())

    assert "the-" not in all_logs()
    assert "Success" in all_logs()


@pytest.fixture
def ec2_address(s3_server, s3_credentials):
    """Where an EC2 answers."""
    return s3_server.url


def test_ec2(all_logs, ec2_address, secrets_of_s3):
    """A snapshotter's requests show neither the credentials nor a signature."""
    snapshotter = open_ebs_snapshotter({"region": "us-east-1", "ec2Url": ec2_address})

    with pytest.raises(Exception, match="vol-0123456789abcdef0"):
        snapshotter.describe("vol-0123456789abcdef0", "")
    snapshotter.close()

    said = all_logs()
    assert "DescribeVolumes" in said
    assert [each for each in secrets_of_s3 if each in said] == []
    assert SIGNATURE.search(said) is None


# --- Cloud Storage --------------------------------------------------------------------


def test_gcs_with_a_key(all_logs, gcs_server, gcs_bucket, tmp_path, large):
    """Neither the private key, the token nor a signature shows."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    file = tmp_path / "key.json"
    info = {"type": "service_account", "client_email": "a@example.com"}
    info |= {"private_key": pem, "token_uri": f"{gcs_server.url}/token"}
    file.write_text(json.dumps(info))

    store = open_gcs_store(gcs_server.config(gcs_bucket, credentialsFile=str(file)))
    use(store, large)
    url = store.signed_url("backups/b/large", timedelta(minutes=5))
    store.close()

    said = all_logs()
    assert "urllib3" in said
    sent = {each.headers.get("authorization") for each in gcs_server.requests}
    assert sent == {f"Bearer token-{gcs_server.tokens}"}
    assert f"token-{gcs_server.tokens}" not in said
    assert pem.splitlines()[1] not in said
    assert query_of(url, "X-Goog-Signature") not in said
    # Whoever knows the address of an upload may go on with it, without a token.
    assert set(re.findall(r"upload_id=b?([^&\s]+)", said)) == {"***"}


def test_gcs_signed_by_iam(all_logs, gcs_server, gcs_bucket, tmp_path, monkeypatch):
    """Neither what renews a token nor what IAM signs shows."""
    file = tmp_path / "user.json"
    info = {"type": "authorized_user", "client_id": "c", "client_secret": "the-secret"}
    file.write_text(json.dumps({**info, "refresh_token": "the-refresh-token"}))
    monkeypatch.setattr(
        "google.oauth2.credentials._GOOGLE_OAUTH2_TOKEN_ENDPOINT",
        f"{gcs_server.url}/token",
    )
    monkeypatch.setattr(
        "google.auth.iam._IAM_SIGN_ENDPOINT", gcs_server.url + "/v1/{}:signBlob"
    )
    gcs_server.answers.append((200, b'{"keyId": "1", "signedBlob": "c2lnbmVkLWI="}'))
    config = {"credentialsFile": str(file), "serviceAccount": "a@example.com"}

    store = open_gcs_store(gcs_server.config(gcs_bucket, **config))
    url = store.signed_url("backups/b/x", timedelta(minutes=5))
    store.close()

    said = all_logs()
    assert "signBlob" in said
    shown = [
        "the-secret",
        "the-refresh-token",
        "c2lnbmVk",
        f"token-{gcs_server.tokens}",
    ]
    assert [each for each in shown if each in said] == []
    assert query_of(url, "X-Goog-Signature") not in said


# --- Azure ----------------------------------------------------------------------------


def test_azure_with_a_key(all_logs, azurite, container, large):
    """Neither the account's key, a request's signature nor one of an address shows."""
    store = open_blob_store(azurite.config(container))
    use(store, large)
    url = store.signed_url("backups/b/large", timedelta(minutes=5))
    store.close()

    said = all_logs()
    assert "azure.core" in said
    assert KEY not in said
    assert "SharedKey devstoreaccount1:" not in said
    assert query_of(url, "sig") not in said


# --- filesystems ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ftp", "webdav"])
def test_passwords_of_servers(all_logs, request, kind, tmp_path):
    """A password that a file names shows nowhere, nor does what is sent of it."""
    config = request.getfixturevalue(f"{kind}_config")
    source = tmp_path / "source"
    source.write_bytes(b"x" * 100_000)

    store = open_filesystem_store(config)
    use(store, source)
    store.close()

    said = all_logs()
    assert PASSWORD not in said
    assert base64.b64encode(f"kb:{PASSWORD}".encode()).decode() not in said


def test_a_password_of_sftp(all_logs, sftp_config, tmp_path):
    """A password that an SSH server refuses is not in what paramiko logs of it."""
    del sftp_config["key_filename"]
    secrets = tmp_path / "secrets.json"
    secrets.write_text(json.dumps({"password": PASSWORD}))

    store = open_filesystem_store({**sftp_config, "credentialsFile": str(secrets)})
    with pytest.raises(StoreError):
        store.stat("backups/b/x")
    store.close()

    said = all_logs()
    assert "paramiko" in said
    assert PASSWORD not in said


# --- what rewrites them ---------------------------------------------------------------


def test_only_what_is_named_is_rewritten(all_logs):
    """A record without a secret stays as it was made, its arguments included."""
    redact_logs(["kbackup-test.redacted"], ["x-secret"])
    logger = logging.getLogger("kbackup-test.redacted")
    seen = []
    handler = logging.Handler()
    handler.emit = seen.append
    logger.addHandler(handler)

    logger.debug("%s and %d", "plain", 3)
    logger.debug("headers %s", {"X-Secret": b"abc/+=", "other": "kept"})
    logger.debug("x-secret:abc/+=\nx-secret-md5:kept")
    logger.debug("?x-secret=abc&more=kept")
    logger.removeHandler(handler)

    assert (seen[0].msg, seen[0].args) == ("%s and %d", ("plain", 3))
    assert [record.getMessage() for record in seen[1:]] == [
        "headers {'X-Secret': b'***', 'other': 'kept'}",
        "x-secret:***\nx-secret-md5:kept",
        "?x-secret=***&more=kept",
    ]


def test_a_filter_for_each_logger_once(s3_server, s3_bucket, s3_credentials):
    """However many stores are opened, a logger has one filter; its level stays."""
    logger = logging.getLogger("botocore.endpoint")
    level, root = logger.level, list(logging.getLogger().filters)

    for _ in range(3):
        open_s3_store(s3_server.config(s3_bucket)).close()

    ours = [each for each in logger.filters if "Redaction" in type(each).__name__]
    assert len(ours) == 1
    assert (logger.level, logging.getLogger().filters) == (level, root)


def test_sessions_of_others_are_cleaned_too(all_logs, s3_client, s3_bucket):
    """The filter is of the process: what the host itself does with botocore is cleaned."""
    keep_secrets_out_of_logs()
    session = Session()
    session.set_credentials("key", "secret", "the-session-token")
    client = session.create_client(
        "s3", endpoint_url=s3_client.meta.endpoint_url, region_name="us-east-1"
    )
    ask = partial(client.list_objects_v2, Bucket=s3_bucket)
    ask()
    client.close()

    assert "the-session-token" not in all_logs()


def test_no_letter_of_a_secret_is_left(all_logs):
    """A secret that begins like a literal of bytes is hidden from its first letter on."""
    redact_logs(["kbackup-test.first-letter"], ["sig"])

    logging.getLogger("kbackup-test.first-letter").debug("?sig=Bcd%2F&more=kept")

    assert "?sig=***&more=kept" in all_logs()
