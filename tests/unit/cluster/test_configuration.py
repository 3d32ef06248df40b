"""Where a cluster is and how one gets there: Pods, names, odd kubeconfigs."""

import base64
import json
import logging
import ssl

import pytest
from google.auth.exceptions import DefaultCredentialsError

from kbackup.cluster import Cluster
from kbackup.errors import (
    ClusterUnreachableError,
    ExecError,
    InvalidConfigError,
    UnauthorizedError,
)

from .conftest import FOUND, PODS, status

SECRET = "s3cr3t-t0ken"


# --- in a Pod -------------------------------------------------------------------------


def test_in_cluster(https_server, in_a_pod):
    """In a Pod its service account is used, and its token read again when refused."""
    with Cluster.connect() as cluster:
        cluster.get(PODS, "a", "x")
        in_a_pod.write_text("two\n")
        https_server.script(status(401), FOUND)
        cluster.get(PODS, "a", "x")

        assert cluster.server == https_server.url
        assert cluster.context == ""
    sent = [r.headers["Authorization"].lower() for r in https_server.requests]
    assert sent == ["bearer one", "bearer one", "bearer two"]


def test_in_cluster_without_token(in_a_pod):
    """A Pod without a service account's token is told so."""
    in_a_pod.unlink()

    with pytest.raises(InvalidConfigError, match="in-cluster configuration"):
        Cluster.connect()


def test_a_kubeconfig_wins(server, write_kubeconfig, in_a_pod, monkeypatch):
    """``$KUBECONFIG`` counts in a Pod, too."""
    assert in_a_pod.exists()
    path = write_kubeconfig(server.url, {"token": "t"})
    monkeypatch.setenv("KUBECONFIG", str(path))

    with Cluster.connect() as cluster:
        assert cluster.server == server.url


# --- names ----------------------------------------------------------------------------


def test_names_in_certificates(https_server, write_kubeconfig, pki):
    """A certificate must be for the server's name, or for ``tls-server-name``."""
    url = https_server.url.replace("127.0.0.1", "localhost")
    ca = {"certificate-authority": str(pki / "ca.crt")}
    plain = write_kubeconfig(url, {"token": "t"}, name="plain", **ca)
    named = write_kubeconfig(
        *(url, {"token": "t"}), name="named", **ca, **{"tls-server-name": "127.0.0.1"}
    )

    with Cluster.connect(plain) as cluster, pytest.raises(ClusterUnreachableError):
        cluster.get(PODS, "a", "x")
    with Cluster.connect(named) as cluster:
        cluster.get(PODS, "a", "x")

    assert len(https_server.requests) == 1


def test_unknown_authority(https_server, write_kubeconfig):
    """A certificate that nobody vouches for is refused, for commands too."""
    path = write_kubeconfig(https_server.url, {"token": "t"})

    with Cluster.connect(path) as cluster:
        with pytest.raises(ClusterUnreachableError, match="TLS"):
            cluster.get(PODS, "a", "x")
        with pytest.raises(ExecError, match="TLS"):
            cluster.exec("x", "p", ["true"])

    assert https_server.requests == []


def test_a_client_certificate_is_loaded_for_one_connection(
    tls_server, write_kubeconfig, pki, monkeypatch
):
    """What a connection reads while it is made, no other one's making replaces."""
    loaded = []
    load = ssl.SSLContext.load_cert_chain

    def noting(context, *arguments, **more):
        loaded.append(context)
        return load(context, *arguments, **more)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", noting)
    user = {"client-certificate": f"{pki}/ann.crt", "client-key": f"{pki}/ann.key"}
    ca = {"certificate-authority": f"{pki}/ca.crt"}
    tls_server.script(FOUND)

    with Cluster.connect(write_kubeconfig(tls_server.url, user, **ca)) as cluster:
        cluster.get(PODS, "a", "x")
        with pytest.raises(ExecError):  # a second connection, of which no stream comes
            cluster.exec("x", "p", ["true"])

    assert len(loaded) >= 2
    assert len(set(map(id, loaded))) == len(loaded)


# --- kubeconfigs ----------------------------------------------------------------------


def json_web_token(**claims):
    """Return an unsigned token of this shape."""
    parts = ({"alg": "none"}, claims)
    texts = [base64.urlsafe_b64encode(json.dumps(p).encode()).decode() for p in parts]
    return ".".join([*(text.rstrip("=") for text in texts), "sig"])


GCP = {"access-token": "t", "expiry": "2999-01-01T00:00:00Z"}
OIDC = {"id-token": json_web_token(exp=32503680000)}


@pytest.mark.parametrize(
    ("name", "config", "token"),
    [("gcp", GCP, "t"), ("oidc", OIDC, OIDC["id-token"])],
)
def test_auth_providers(server, write_kubeconfig, name, config, token):
    """The tokens of the auth providers that the client knows are used."""
    user = {"auth-provider": {"name": name, "config": config}}
    server.script(FOUND)

    with Cluster.connect(write_kubeconfig(server.url, user)) as cluster:
        cluster.get(PODS, "a", "x")

    assert server.requests[0].token == token


def test_an_oidc_token_that_ended(server, write_kubeconfig, monkeypatch):
    """A token of OIDC that has ended is made anew by its issuer."""
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")  # the issuer is here
    config = {
        "id-token": json_web_token(exp=1),
        "refresh-token": SECRET,
        "client-id": "kbackup",
        "client-secret": SECRET,
        "idp-issuer-url": server.url,
    }
    token = {"id_token": OIDC["id-token"], "access_token": "t", "token_type": "bearer"}
    server.script(
        (200, {}, {"token_endpoint": f"{server.url}/token"}), (200, {}, token), FOUND
    )
    user = {"auth-provider": {"name": "oidc", "config": config}}

    with Cluster.connect(write_kubeconfig(server.url, user)) as cluster:
        cluster.get(PODS, "a", "x")

    assert [request.method for request in server.requests] == ["GET", "POST", "GET"]
    assert server.requests[-1].token == OIDC["id-token"]


def no_credentials(**_):
    """Say what google-auth says of a machine that is not Google's."""
    raise DefaultCredentialsError("none")


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("openstack", {"access-token": SECRET}),
        ("oidc", {"id-token": SECRET}),
        ("gcp", {"access-token": SECRET, "expiry": "2001-01-01T00:00:00Z"}),
    ],
    ids=["unknown", "malformed", "ended"],
)
def test_auth_providers_without_token(
    server, write_kubeconfig, monkeypatch, name, config
):
    """A provider that gives no token is an error, not a caller without a name."""
    monkeypatch.setattr("google.auth.default", no_credentials)  # it asks the network
    user = {"auth-provider": {"name": name, "config": config}}

    with pytest.raises(InvalidConfigError) as caught:
        Cluster.connect(write_kubeconfig(server.url, user))

    assert SECRET not in f"{caught.value}{caught.value.__cause__}"


@pytest.mark.parametrize(
    "server",
    [
        "https://[::1",
        f"https://u:{SECRET}@[::1",
        "https://a:99999",
        "https://a:b",
        "https://",
    ],
)
def test_a_server_that_is_no_url(write_kubeconfig, server):
    """An address that is mistyped is called so, and the login not blamed."""
    path = write_kubeconfig(server, {"token": "t"})
    shown = server.rpartition("@")[2]

    with pytest.raises(InvalidConfigError) as caught:
        Cluster.connect(path)

    told = f"kubeconfig {path}: the server address '{shown}' is not a URL"
    assert str(caught.value) == told
    assert "https://[::1]:6443" in caught.value.hint


@pytest.mark.parametrize("user", [{"token": "t"}, {"exec": {"command": "true"}}])
def test_a_cluster_that_is_not_there(server, write_kubeconfig, user):
    """A context that names no cluster of the file is told, also before a plugin runs."""
    path = write_kubeconfig(server.url, user)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"clusters": []}))

    with pytest.raises(InvalidConfigError, match=f"^kubeconfig {path}: "):
        Cluster.connect(path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"users": []}, "no user u"),
        ({"users": [{"name": "other", "user": {}}]}, "no user u"),
        ({"clusters": []}, "config"),
        ({"current-context": ""}, "no current context"),
        ({"contexts": []}, "has no contexts"),
        ({"contexts": [], "current-context": ""}, "has no contexts"),
    ],
)
def test_incomplete_kubeconfigs(server, write_kubeconfig, change, words):
    """A kubeconfig that lacks what its context names is an error that says so."""
    path = write_kubeconfig(server.url, {"token": "t"})
    path.write_text(json.dumps(json.loads(path.read_text()) | change))

    with pytest.raises(InvalidConfigError, match=words):
        Cluster.connect(path)


@pytest.mark.parametrize(
    "user",
    [
        {"client-certificate": "/nowhere.crt", "client-key": "/nowhere.key"},
        {"token": f"{SECRET}\nX-More: 1"},
        {"token": f"{SECRET}é"},
    ],
    ids=["files", "two-lines", "no-ascii"],
)
def test_unusable_logins(write_kubeconfig, user):
    """A login that cannot be used is an error that quotes nothing of it."""
    path = write_kubeconfig("https://127.0.0.1:1", user)

    with pytest.raises(InvalidConfigError) as caught:
        Cluster.connect(path)

    assert SECRET not in f"{caught.value!r}{caught.value}{caught.value.__cause__}"


def test_unusable_certificate(https_server, write_kubeconfig, pki):
    """A client certificate that is none is told when it is used, without its key."""
    text = base64.b64encode(SECRET.encode()).decode()
    user = {"client-certificate-data": text, "client-key-data": text}
    ca = {"certificate-authority": str(pki / "ca.crt")}
    path = write_kubeconfig(https_server.url, user, **ca)

    with (
        Cluster.connect(path) as cluster,
        pytest.raises(ClusterUnreachableError) as caught,
    ):
        cluster.get(PODS, "a", "x")

    assert SECRET not in f"{caught.value!r}{caught.value}{caught.value.__cause__}"
    assert https_server.requests == []


@pytest.mark.parametrize("name", ["a\r\nX-More: 1", "é"])
def test_unusable_user(server, write_kubeconfig, name):
    """A user whose name fits into no header is refused."""
    path = write_kubeconfig(server.url, {"token": "t"})

    with pytest.raises(InvalidConfigError, match="header"):
        Cluster.connect(path, as_user=name)


# --- what must not be seen ------------------------------------------------------------


@pytest.mark.parametrize(
    "user",
    [{"token": SECRET}, {"username": "u", "password": SECRET}],
    ids=["token", "password"],
)
def test_logins_are_not_seen(server, write_kubeconfig, user, caplog):
    """No repr, no error and no log of any library shows the login."""
    caplog.set_level(logging.DEBUG)
    basic = base64.b64encode(f"u:{SECRET}".encode()).decode()
    server.script(status(401))
    seen = []

    with Cluster.connect(write_kubeconfig(server.url, user)) as cluster:
        transport = cluster._shared.transport
        login = transport.authorization.current()
        seen += [cluster, transport, login, login.credentials, cluster.reader()]
        for ask in (
            lambda: cluster.get(PODS, "a", "x"),
            lambda: cluster.exec("x", "p", ["true"]),
            lambda: list(cluster.list(PODS)),
        ):
            with pytest.raises(UnauthorizedError) as caught:
                ask()
            error = caught.value
            seen += [error, error.__cause__, error.body, error.hint, str(error)]

    assert server.requests[0].headers["Authorization"] in {
        f"Bearer {SECRET}",
        f"Basic {basic}",
    }
    text = caplog.text + repr(seen)
    assert SECRET not in text
    assert basic not in text
