"""Who asks: the credentials file of Velero and the identities of the SDK."""

from __future__ import annotations

import subprocess
import time

import azure.identity as identities
import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline.transport import RequestsTransport

from kbackup.errors import InvalidConfigError
from kbackup_plugins_azure import open_blob_store
from kbackup_plugins_azure._account import BlobAccount
from kbackup_plugins_azure._config import read_config
from kbackup_plugins_azure._credentials import identity_from, read_credentials

WHO = {"AZURE_TENANT_ID": "tenant", "AZURE_CLIENT_ID": "client"}
BASE = {"bucket": "backups", "storageAccount": "account", "useAAD": "true"}


def test_the_lines_of_a_file(tmp_path):
    """A file is read as godotenv reads it, but for references, which are kept."""
    file = tmp_path / "credentials"
    file.write_bytes(
        b"\xef\xbb\xbf# a comment\r\n"
        b"AZURE_TENANT_ID=tenant\r\n"
        b"  export AZURE_CLIENT_ID = 'the client'\n"
        b"AZURE_CLIENT_SECRET=a$b~c=d#e # said behind it\n"
        b'QUOTED="a \\"b\\"\\nc"\n'
        b'MANY="one\ntwo\n"\n'
        b"\n"
        b"EMPTY=\n"
        b"YAML: too\n"
    )

    assert read_credentials(str(file)) == {
        "AZURE_TENANT_ID": "tenant",
        "AZURE_CLIENT_ID": "the client",
        "AZURE_CLIENT_SECRET": "a$b~c=d#e",
        "QUOTED": 'a "b"\nc',
        "MANY": "one\ntwo\n",
        "EMPTY": "",
        "YAML": "too",
    }


@pytest.mark.parametrize("content", [b"\xff\xfe secret", b"x" * (2 << 20)], ids=len)
def test_what_is_no_such_file(tmp_path, content):
    """What is no text, or is too large, is refused without a word of it."""
    file = tmp_path / "credentials"
    file.write_bytes(content)

    with pytest.raises(InvalidConfigError, match="credentials file") as caught:
        read_credentials(str(file))

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("AZURE_CLIENT_SECRET=hidden\nAZURE_CLIENT_ID=c\n", "lacks AZURE_TENANT_ID"),
        ("AZURE_CLIENT_CERTIFICATE_PATH=/x\n", "AZURE_TENANT_ID and AZURE_CLIENT_ID"),
        ("AZURE_USERNAME=u\nAZURE_PASSWORD=hidden\n", "AZURE_USERNAME"),
    ],
)
def test_half_an_identity(tmp_path, lines, words):
    """What cannot sign in is told when the location is opened."""
    file = tmp_path / "credentials"
    file.write_text(lines)

    with pytest.raises(InvalidConfigError, match=words) as caught:
        open_blob_store(BASE | {"credentialsFile": str(file)})

    assert "hidden" not in str(caught.value)


@pytest.fixture
def chosen(monkeypatch):
    """A function: the kind of identity that lines mean, and what it is made with."""
    made = []
    for name in (
        "ClientSecretCredential",
        "CertificateCredential",
        "WorkloadIdentityCredential",
        "DefaultAzureCredential",
    ):

        def make(_name=name, **options):
            made.append((_name, options))

        monkeypatch.setattr(identities, name, make)

    def choose(lines, *, has_file=True, authority="https://login.microsoftonline.com"):
        identity_from(
            lines, authority=authority, has_file=has_file, transport="transport"
        )
        kind, options = made.pop()
        assert options.pop("authority") == authority
        assert options.pop("transport") == "transport"
        assert options.pop("retry_total") == 2
        return kind, options

    return choose


def test_a_secret(chosen):
    """A client's secret signs in, also in the tenants that are allowed beside its own."""
    more = {
        "AZURE_CLIENT_SECRET": "s",
        "AZURE_ADDITIONALLY_ALLOWED_TENANTS": "one;two",
    }

    kind, options = chosen(WHO | more)

    assert kind == "ClientSecretCredential"
    assert options == {
        "tenant_id": "tenant",
        "client_id": "client",
        "client_secret": "s",
        "additionally_allowed_tenants": ["one", "two"],
    }


def test_an_authority_of_its_own(chosen):
    """Microsoft's is not asked about one that it cannot know, and is about its own."""
    lines = WHO | {"AZURE_CLIENT_SECRET": "s"}

    _, private = chosen(lines, authority="https://login.example.com/adfs")
    _, china = chosen(lines, authority="https://login.chinacloudapi.cn")

    assert private["disable_instance_discovery"] is True
    assert "disable_instance_discovery" not in china


def test_certificates(chosen):
    """A certificate comes from a file or from the lines themselves."""
    name = "AZURE_CLIENT_CERTIFICATE"
    chain = {"AZURE_CLIENT_SEND_CERTIFICATE_CHAIN": "1", f"{name}_PASSWORD": "p"}

    kind, of_file = chosen(WHO | chain | {f"{name}_PATH": "/pem"})
    _, of_lines = chosen(WHO | {name: "PEM"})

    assert kind == "CertificateCredential"
    assert of_file["certificate_path"] == "/pem"
    assert (of_file["password"], of_file["send_certificate_chain"]) == ("p", True)
    assert of_lines["certificate_data"] == b"PEM"
    assert (of_lines["password"], of_lines["send_certificate_chain"]) == (None, False)


def test_a_workload(chosen):
    """The file may say where the token of a workload is."""
    kind, options = chosen(WHO | {"AZURE_FEDERATED_TOKEN_FILE": "/token"})

    assert kind == "WorkloadIdentityCredential"
    assert options["token_file_path"] == "/token"


def test_what_azure_finds_by_itself(chosen):
    """Without a secret the SDK's own chain is asked; a file rules out what is a user's."""
    kind, of_file = chosen({"AZURE_CLIENT_ID": "client"})
    _, without = chosen({}, has_file=False)

    assert kind == "DefaultAzureCredential"
    assert of_file["managed_identity_client_id"] == "client"
    assert of_file["workload_identity_client_id"] == "client"
    assert of_file["exclude_environment_credential"] is True
    assert of_file["exclude_cli_credential"] is True
    assert of_file["exclude_broker_credential"] is True
    assert of_file["exclude_visual_studio_code_credential"] is True
    assert "exclude_environment_credential" not in without
    assert "managed_identity_client_id" not in without


def test_the_sdk_takes_what_it_is_given(tmp_path):
    """Each kind of identity can be made of its lines by the SDK that is installed."""
    program = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=client"
    command = [*program.split(), "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    pem = (tmp_path / "key.pem").read_text() + (tmp_path / "cert.pem").read_text()

    for more in (
        {"AZURE_CLIENT_SECRET": "s", "AZURE_ADDITIONALLY_ALLOWED_TENANTS": "*"},
        {"AZURE_CLIENT_CERTIFICATE": pem},
        {"AZURE_FEDERATED_TOKEN_FILE": "/token"},
        {},
    ):
        made = identity_from(
            WHO | more,
            authority="https://login.microsoftonline.us",
            has_file=True,
            transport=None,
        )
        made.close()


class _Answer:
    """What the resource manager answers."""

    def __init__(self, status, keys):
        self.status_code = status
        self.reason = "reason"
        self.keys = keys

    def json(self):
        """The body."""
        return {"keys": self.keys}


class _Identity:
    scopes = ()

    def get_token(self, *scopes):
        """Return a token."""
        self.scopes = scopes
        return AccessToken("token", int(time.time()) + 600)

    def close(self):
        """Do nothing."""


@pytest.fixture
def ask_for_key(monkeypatch):
    """A function: given an answer, what the account makes of it, and what was asked."""

    def ask(answer):
        sent = []

        def send(self, request, **options):
            """Write the request down and answer it."""
            sent.append(request)
            return answer

        monkeypatch.setattr(RequestsTransport, "send", send)
        config = BASE | {"useAAD": "false", "resourceGroup": "g", "subscriptionId": "s"}
        account = BlobAccount(read_config(config))
        identity = _Identity()
        monkeypatch.setattr(account, "_make_identity", lambda: identity)
        try:
            return account.account_key(), sent, identity
        finally:
            account.close()

    return ask


def test_the_resource_manager_is_asked_for_the_key(ask_for_key):
    """The first key with full permissions signs; it is asked for by the identity."""
    keys = [
        {"permissions": "Read", "value": "cmVhZA=="},
        {"permissions": "FULL", "value": "ZnVsbA=="},
    ]

    key, (request,), identity = ask_for_key(_Answer(200, keys))

    assert key == "ZnVsbA=="
    assert request.method == "POST"
    assert request.url.startswith("https://management.azure.com/subscriptions/s/")
    assert "api-version=2023-05-01" in request.url
    assert request.headers["Authorization"] == "Bearer token"
    assert identity.scopes == ("https://management.azure.com/.default",)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (_Answer(403, []), HttpResponseError),
        (_Answer(200, [{"permissions": "Read", "value": "x"}]), PermissionError),
    ],
    ids=["refused", "read-only"],
)
def test_no_key_of_the_account(ask_for_key, answer, error):
    """Where there is no key for us there is an error, and no other way is taken."""
    with pytest.raises(error):
        ask_for_key(answer)
