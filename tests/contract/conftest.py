"""Servers on loopback ports, for as long as the tests run."""

from __future__ import annotations

import json
import logging
import os
import shutil
import uuid

import pytest
from botocore.session import Session
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from azurite import KEY, KEY_VARIABLE, azurite_program, running_azurite
from filesystem_servers import PASSWORD, USER, running_ftp, running_webdav
from gcs_emulator import running_gcs
from moto_s3 import SECRET, SignedAddresses, running_s3
from sftp_server import running_sftp

pytest.register_assert_rewrite("round_trip", "opened_store", "fault_matrix")

from certificates import self_signed  # noqa: E402 - as above
from fault_matrix import HIDDEN_HOST, PrivateTLS  # noqa: E402

GCS_ACCOUNT = "backup@project.iam.gserviceaccount.com"


@pytest.fixture(scope="session")
def s3_server():
    """Run moto's S3 for all tests of a process; signed addresses are looked at."""
    with running_s3(SignedAddresses) as server:
        yield server


@pytest.fixture
def s3_credentials(monkeypatch):
    """Give the environment the credentials that moto takes: any."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def s3_client(s3_server, s3_credentials):
    """Speak plain S3 to the server, to look at what is there."""
    client = Session().create_client(
        "s3", endpoint_url=s3_server.url, region_name="us-east-1"
    )
    yield client
    client.close()


@pytest.fixture
def bucket_maker(s3_client):
    """Make buckets with options of their own; each call returns the name of one."""

    def make(**options):
        name = f"bucket-{uuid.uuid4()}"
        s3_client.create_bucket(Bucket=name, **options)
        return name

    return make


@pytest.fixture
def s3_bucket(bucket_maker):
    """Make an empty bucket of its own for each test."""
    return bucket_maker()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A directory with a certificate that nobody knows, and its key, for 127.0.0.1."""
    where = tmp_path_factory.mktemp("tls")
    pem = self_signed(where / "key.pem", "127.0.0.1")
    (where / "cert.pem").write_text(pem)
    return where


@pytest.fixture(scope="session")
def azurite(real_home, tmp_path_factory):
    """Run Azurite for all tests of a process."""
    program = azurite_program(real_home)
    if program is None:
        reason = "azurite-blob is not installed"
        if os.environ.get("KBACKUP_REQUIRE_REAL"):
            pytest.fail(reason)
        pytest.skip(reason)
    with running_azurite(program, tmp_path_factory.mktemp("azurite")) as server:
        yield server


@pytest.fixture
def azure_key(monkeypatch):
    """Give the environment the key that Azurite takes."""
    monkeypatch.setenv(KEY_VARIABLE, KEY)


@pytest.fixture
def blob_service(azurite, azure_key):
    """Speak to Azurite by the SDK alone, to look at what is there."""
    with azurite.client() as service:
        yield service


@pytest.fixture
def container(blob_service):
    """Make an empty container of its own for each test."""
    name = f"container-{uuid.uuid4()}"
    blob_service.create_container(name)
    return name


@pytest.fixture(scope="session")
def gcs_emulator():
    """Run the emulator of Cloud Storage for all tests of a process."""
    with running_gcs() as server:
        yield server


@pytest.fixture
def gcs_server(gcs_emulator):
    """The emulator, with nothing left of what another test asked or told it."""
    gcs_emulator.requests.clear()
    gcs_emulator.answers.clear()
    gcs_emulator.page = 1000
    gcs_emulator.signer = None
    return gcs_emulator


@pytest.fixture
def gcs_bucket(gcs_server):
    """Make an empty bucket of its own for each test."""
    name = f"bucket-{uuid.uuid4()}"
    gcs_server.storage.create_bucket(name, {"name": name})
    return name


@pytest.fixture(scope="session")
def google_key():
    """The PEM of a key that opens nothing."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


@pytest.fixture
def key_file(tmp_path, gcs_server, google_key):
    """The key file of a service account, which gets its tokens from the emulator."""
    info = {
        "type": "service_account",
        "client_email": GCS_ACCOUNT,
        "private_key": google_key,
        "private_key_id": "1",
        "token_uri": f"{gcs_server.url}/token",
    }
    key = serialization.load_pem_private_key(google_key.encode(), None)
    gcs_server.signer = key.public_key()
    path = tmp_path / "key.json"
    path.write_text(json.dumps(info))
    return str(path)


@pytest.fixture(scope="session")
def private_tls(tmp_path_factory):
    """A certificate for loopback and a hidden host that no public authority knows."""
    directory = tmp_path_factory.mktemp("private-tls")
    files = [directory / "server.pem", directory / "other.pem"]
    certificates = [self_signed(file, "127.0.0.1", HIDDEN_HOST) for file in files]
    return PrivateTLS(files[0], *certificates)


@pytest.fixture(scope="session")
def sshd():
    """Where OpenSSH's server is."""
    program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        if os.environ.get("KBACKUP_REQUIRE_REAL"):
            pytest.fail("sshd is not installed")
        pytest.skip("sshd is not installed")
    return program


@pytest.fixture(scope="session")
def sftp_server(sshd, tmp_path_factory):
    """Run OpenSSH's server for all tests of a process."""
    with running_sftp(sshd, tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
def sftp_config(sftp_server, tmp_path):
    """What a store on the server is opened with; its directory is not there yet."""
    return sftp_server.config(tmp_path / "there/store")


@pytest.fixture(scope="session")
def ftp_port(tmp_path_factory):
    """Run an FTP server for all tests of a process."""
    with running_ftp(tmp_path_factory.mktemp("ftp")) as port:
        yield port


@pytest.fixture
def ftp_config(ftp_port, tmp_path):
    """What a store on the server is opened with; its password is in a file."""
    secrets = tmp_path / "secrets.ini"
    secrets.write_text(f"[ftp]\npassword = {PASSWORD}\n")
    address = f"ftp://{USER}@127.0.0.1:{ftp_port}/{uuid.uuid4()}/prod"
    return {"url": address, "credentialsFile": str(secrets)}


@pytest.fixture
def webdav_server(tmp_path):
    """Run a WebDAV server over a directory, for whoever has the password."""
    (tmp_path / "dav").mkdir()
    with running_webdav(tmp_path / "dav", {USER: {"password": PASSWORD}}) as server:
        yield server


@pytest.fixture
def webdav_config(webdav_server, tmp_path):
    """What a store on the server is opened with; its password is in a file."""
    secrets = tmp_path / "secrets.json"
    secrets.write_text(json.dumps({"auth": [USER, PASSWORD]}))
    return {
        "url": "webdav://backups/prod",
        "base_url": webdav_server.url,
        "credentialsFile": str(secrets),
    }


@pytest.fixture
def all_logs(caplog):
    """Everything that is logged while a test runs, by anybody: a function of its text."""
    caplog.set_level(logging.NOTSET)
    caplog.handler.setLevel(logging.NOTSET)
    return lambda: caplog.text
