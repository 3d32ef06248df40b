"""Which proxy is used, what it learns, and what becomes of it: as with kubectl."""

import base64
import logging
import ssl
import sys
from email import message_from_string
from types import ModuleType

import pytest
from urllib3.util.ssl_ import create_urllib3_context

from kbackup.cluster import Cluster
from kbackup.cluster._configuration import find_source
from kbackup.errors import (
    ClusterError,
    ExecError,
    ForbiddenError,
    InvalidConfigError,
)

from .conftest import FOUND, PODS, status

SECRET = "s3cr3t"
NOWHERE = "http://127.0.0.1:1"
FAR = "http://cluster.test"


@pytest.fixture
def behind_proxy(tunnel, write_kubeconfig, pki):
    """A kubeconfig of the server with TLS that is reached by a tunnel alone."""
    how = {
        "proxy-url": tunnel.url,
        "tls-server-name": "127.0.0.1",
        "certificate-authority": str(pki / "ca.crt"),
    }
    return write_kubeconfig("https://cluster.test:6443", {"token": "t"}, **how)


@pytest.fixture
def host_configuration():
    """Return a function that makes a host application's own configuration."""
    from kubernetes.client import Configuration  # noqa: PLC0415 - slow

    def make(host, **settings):
        configuration = Configuration(host=host)
        for name, value in settings.items():
            setattr(configuration, name, value)
        return configuration

    return make


# --- through it -----------------------------------------------------------------------


def test_proxy_for_http(server, write_kubeconfig):
    """Plain HTTP is sent to the proxy with the server's whole address."""
    server.script(FOUND)
    path = write_kubeconfig(
        "http://cluster.test:8080/below", {"token": "t"}, **{"proxy-url": server.url}
    )

    with Cluster.connect(path) as cluster:
        cluster.get(PODS, "a", "x")

    (request,) = server.requests
    assert request.headers["Host"] == "cluster.test:8080"
    assert request.path == "/below/api/v1/namespaces/x/pods/a"


def test_proxy_for_https(https_server, tunnel, behind_proxy):
    """HTTPS goes through a tunnel, which is made once and never sees the token."""
    with Cluster.connect(behind_proxy) as cluster:
        cluster.get(PODS, "a", "x")
        cluster.get(PODS, "a", "x")

    (asked,) = tunnel.asked
    assert asked.startswith("CONNECT cluster.test:6443 ")
    assert "Bearer" not in asked
    assert [r.token for r in https_server.requests] == ["t", "t"]


@pytest.fixture(params=["of this Python", "of Python 3.13"])
def _checks(request, monkeypatch):
    """How urllib3 checks certificates: from Python 3.13 on, strictly."""
    if request.param == "of this Python":
        return

    def make(**more):
        context = create_urllib3_context(**more)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr("urllib3.connection.create_urllib3_context", make)
    ours = "kbackup.cluster._connections.create_urllib3_context"
    monkeypatch.setattr(ours, make)


@pytest.fixture
def tls_tunnel(https_server, tls_context, tunnel_to):
    """A proxy with TLS in front of the server with TLS."""
    return tunnel_to(https_server, tls_context)


@pytest.mark.usefixtures("_checks")
def test_a_tunnel_with_tls(https_server, tls_tunnel, write_kubeconfig, pki):
    """A proxy's certificate is checked by the cluster's CA, and as the server's is."""
    how = {"proxy-url": tls_tunnel.url, "tls-server-name": "127.0.0.1"}
    ca = {"certificate-authority": str(pki / "ca.crt")}
    url = "https://cluster.test:6443"
    unknown = write_kubeconfig(url, {"token": "t"}, name="unknown", **how)
    known = write_kubeconfig(url, {"token": "t"}, name="known", **how, **ca)

    refused = pytest.raises(ClusterError, match=r"proxy.*certificate verify failed")
    with Cluster.connect(unknown) as cluster, refused:
        cluster.get(PODS, "a", "x")
    with Cluster.connect(known) as cluster:
        cluster.get(PODS, "a", "x")

    (asked,) = tls_tunnel.asked
    assert asked.startswith("CONNECT cluster.test:6443 ")
    assert len(https_server.requests) == 1


@pytest.mark.usefixtures("_checks")
def test_a_proxy_with_tls(https_server, write_kubeconfig, pki, monkeypatch):
    """So is that of a proxy before plain HTTP, by the CAs of this machine."""
    path = write_kubeconfig(FAR, {"token": "t"}, **{"proxy-url": https_server.url})

    refused = pytest.raises(ClusterError, match=r"proxy.*certificate verify failed")
    with Cluster.connect(path) as cluster, refused:
        cluster.get(PODS, "a", "x")
    monkeypatch.setenv("SSL_CERT_FILE", str(pki / "ca.crt"))
    # Whom an older kubernetes client asks for them.
    monkeypatch.setattr("certifi.where", lambda: str(pki / "ca.crt"))
    with Cluster.connect(path) as cluster:
        cluster.get(PODS, "a", "x")

    assert len(https_server.requests) == 1


def test_exec_through_a_proxy(https_server, tunnel, behind_proxy):
    """A command goes through the tunnel and the same checks of the certificate."""
    https_server.script(status(403))

    with Cluster.connect(behind_proxy) as cluster, pytest.raises(ForbiddenError):
        cluster.exec("x", "p", ["true"])

    assert tunnel.asked[0].startswith("CONNECT cluster.test:6443 ")
    assert https_server.requests[0].headers["Host"] == "cluster.test:6443"


def test_exec_through_a_proxy_for_http(server, write_kubeconfig):
    """A proxy that makes no tunnel is told; the command is not sent."""
    path = write_kubeconfig(
        "http://cluster.test:8080", {"token": SECRET}, **{"proxy-url": server.url}
    )

    with Cluster.connect(path) as cluster, pytest.raises(ExecError) as e:
        cluster.exec("x", "p", ["true"])

    assert SECRET not in str(e.value)
    assert server.requests == []


# --- which ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "environment"),
    [
        (FAR, {"HTTP_PROXY": "here", "HTTPS_PROXY": NOWHERE, "ALL_PROXY": NOWHERE}),
        (FAR, {"http_proxy": "here", "NO_PROXY": "other.test"}),
        ("here", {"HTTP_PROXY": NOWHERE}),
    ],
    ids=["of the scheme", "in lower case", "this machine"],
)
def test_proxy_of_the_environment(
    server, write_kubeconfig, monkeypatch, url, environment
):
    """The proxy of the environment is the one that kubectl would take, or none."""
    server.script(FOUND)
    for name, value in environment.items():
        monkeypatch.setenv(name, server.url if value == "here" else value)
    path = write_kubeconfig(server.url if url == "here" else url, {"token": "t"})

    with Cluster.connect(path) as cluster:
        cluster.get(PODS, "a", "x")

    assert len(server.requests) == 1


def chosen(path=None):
    """Return the proxy that is used for a kubeconfig's server, and its headers."""
    configuration, _ = find_source(path, None).load()
    assert configuration.no_proxy is None
    return configuration.proxy, configuration.proxy_headers


PROXY, OTHER = "http://proxy.test:3128", "http://other.test:3128"


@pytest.mark.parametrize(
    ("url", "environment", "proxy"),
    [
        ("https://cluster.test", {"HTTPS_PROXY": PROXY, "HTTP_PROXY": OTHER}, PROXY),
        ("https://cluster.test", {"HTTP_PROXY": OTHER}, None),
        ("https://cluster.test", {"ALL_PROXY": OTHER, "all_proxy": OTHER}, None),
        (FAR, {"HTTP_PROXY": OTHER, "REQUEST_METHOD": "GET"}, None),
        (FAR, {"HTTP_PROXY": "proxy.test:3128"}, PROXY),
    ],
    ids=["https", "other-scheme", "all", "in-cgi", "no-scheme"],
)
def test_variables(write_kubeconfig, monkeypatch, url, environment, proxy):
    """Of the environment's proxies only the one for the server's scheme is used."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert chosen(write_kubeconfig(url, {"token": "t"})) == (proxy, None)


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "127.9.9.9:6443", "[::1]:6443"]
)
def test_this_machine(write_kubeconfig, monkeypatch, host):
    """A server on this machine is asked directly whatever the environment says."""
    monkeypatch.setenv("HTTPS_PROXY", PROXY)

    assert chosen(write_kubeconfig(f"https://{host}", {"token": "t"})) == (None, None)


@pytest.mark.parametrize(
    ("host", "no_proxy", "is_direct"),
    [
        ("a.example.com", "example.com", True),
        ("a.example.com", ".example.com", True),
        ("a.example.com", "*.example.com", True),
        ("A.Example.com", "x.test, eXample.com", True),
        ("example.com", "example.com", True),
        ("an-example.com", "example.com,*example.com", False),
        ("example.com", ".example.com", False),
        ("a.example.com:6443", "*.example.com:6443", True),
        ("example.com", "a.example.com", False),
        ("example.com:6443", "example.com:6443", True),
        ("example.com:6443", "example.com:443", False),
        ("example.com", "example.com:443", True),
        ("example.com", "x.test,*", True),
        ("example.com", "x.test,,:443", False),
        ("example.com", "", False),
        ("10.1.2.3:6443", "10.0.0.0/8", True),
        ("10.1.2.3:6443", "192.168.0.0/16,10.1.2.3", True),
        ("10.1.2.3:6443", "10.1.2.3:6443", True),
        ("10.1.2.3:6443", "2.3,.2.3", False),
        ("10.1.2.3:6443", "10.1.2.30,10.1.0.0/24,10.1.2.3:443", False),
        ("[fd00::7]:6443", "fd00::/8", True),
        ("[fd00::7]:6443", "[fd00::7]:6443", True),
        ("[fd00::7]:6443", "10.0.0.0/8,fd00::8", False),
    ],
)
def test_no_proxy(write_kubeconfig, monkeypatch, host, no_proxy, is_direct):
    """NO_PROXY names domains, addresses, networks and ports that need no proxy."""
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", no_proxy)

    found = chosen(write_kubeconfig(f"https://{host}", {"token": "t"}))

    assert found == (None if is_direct else PROXY, None)


@pytest.mark.parametrize("url", [FAR, "http://127.0.0.1:1"], ids=["far", "near"])
def test_a_cluster_s_own_proxy(server, write_kubeconfig, monkeypatch, url):
    """A kubeconfig's proxy is used whatever the environment says, as by kubectl."""
    server.script(FOUND)
    monkeypatch.setenv("HTTP_PROXY", NOWHERE)
    monkeypatch.setenv("NO_PROXY", "cluster.test")
    path = write_kubeconfig(url, {"token": "t"}, **{"proxy-url": server.url})

    with Cluster.connect(path) as cluster:
        cluster.get(PODS, "a", "x")

    assert len(server.requests) == 1


def test_a_pod_on_this_machine(https_server, in_a_pod, monkeypatch):
    """In a Pod, too, a server on the same machine is asked without the proxy."""
    monkeypatch.setenv("HTTPS_PROXY", NOWHERE)

    with Cluster.connect() as cluster:
        cluster.get(PODS, "a", "x")

    assert len(https_server.requests) == 1
    assert in_a_pod.exists()


@pytest.mark.parametrize(
    ("no_proxy", "proxy"), [("10.0.0.0/8", None), ("10.1.0.0/16", PROXY)]
)
@pytest.mark.usefixtures("in_a_pod")
def test_a_pod_behind_a_proxy(monkeypatch, no_proxy, proxy):
    """A Pod's environment has a proxy for the API server, or says that it needs none."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", no_proxy)

    assert chosen() == (proxy, None)


# --- what a host application says itself ----------------------------------------------


def test_a_host_needs_no_proxy(server, host_configuration):
    """A server that needs no proxy by its host's configuration is asked without it."""
    server.script(FOUND)
    configuration = host_configuration(
        server.url, proxy=NOWHERE, no_proxy="other.test,127.0.0.1"
    )

    with Cluster.from_configuration(configuration) as cluster:
        cluster.get(PODS, "a", "x")

    assert len(server.requests) == 1


def test_a_host_s_own_proxy(server, host_configuration, monkeypatch):
    """A host's proxy and its headers are used as given, and stay as they are."""
    monkeypatch.setenv("HTTP_PROXY", NOWHERE)
    monkeypatch.setenv("NO_PROXY", "*")
    server.script(FOUND)
    headers = {"Proxy-Authorization": "Negotiate x"}
    configuration = host_configuration(
        FAR, proxy=server.url, proxy_headers=headers, no_proxy="other.test"
    )
    before = dict(vars(configuration))

    with Cluster.from_configuration(configuration) as cluster:
        cluster.get(PODS, "a", "x")

    assert server.requests[0].headers["Proxy-Authorization"] == "Negotiate x"
    assert vars(configuration) == before
    assert configuration.proxy_headers is headers
    assert headers == {"Proxy-Authorization": "Negotiate x"}


# --- logins ---------------------------------------------------------------------------


def with_login(url, login):
    """Return a proxy's address with a login before its host."""
    return url.replace("://", f"://{login}@")


def headers_of(head):
    """Return the headers of a request's head."""
    return message_from_string(head.partition("\r\n")[2])


def basic(login):
    """Return the header's value for a login."""
    return f"Basic {base64.b64encode(login.encode()).decode()}"


LOGINS = pytest.mark.parametrize(
    ("login", "sent"),
    [
        ("ann:s3cr3t", "ann:s3cr3t"),
        ("ann:p%40ss%2F%3A", "ann:p@ss/:"),
        ("ann:gr%C3%BCn", "ann:grün"),
        ("ann:zł", "ann:zł"),
        ("ann", "ann:"),
    ],
)


@LOGINS
def test_login_for_https(https_server, tunnel, behind_proxy, login, sent):
    """The login in a proxy's address is sent to the proxy, and to nobody else."""
    text = behind_proxy.read_text()
    behind_proxy.write_text(text.replace(tunnel.url, with_login(tunnel.url, login)))

    with Cluster.connect(behind_proxy) as cluster:
        cluster.get(PODS, "a", "x")

    (asked,) = tunnel.asked
    assert headers_of(asked)["Proxy-Authorization"] == basic(sent)
    assert "proxy-authorization" not in https_server.requests[0].headers


@LOGINS
def test_login_for_http(server, write_kubeconfig, monkeypatch, login, sent):
    """So is that of the environment's proxy, which needs no scheme before it."""
    server.script(FOUND)
    address = server.url.removeprefix("http://")
    monkeypatch.setenv("HTTP_PROXY", f"{login}@{address}")

    with Cluster.connect(write_kubeconfig(FAR, {"token": "t"})) as cluster:
        cluster.get(PODS, "a", "x")

    assert server.requests[0].headers["proxy-authorization"] == basic(sent)


def test_login_for_a_command(server, tunnel_to, write_kubeconfig):
    """A proxy learns the login also where a command goes through it to plain HTTP."""
    server.script(status(403))
    tunnel = tunnel_to(server)
    proxy = {"proxy-url": with_login(tunnel.url, f"ann:{SECRET}")}

    with (
        Cluster.connect(write_kubeconfig(FAR, {"token": "t"}, **proxy)) as cluster,
        pytest.raises(ForbiddenError),
    ):
        cluster.exec("x", "p", ["true"])

    (asked,) = tunnel.asked
    assert asked.startswith("CONNECT cluster.test:80 ")
    assert headers_of(asked)["Proxy-Authorization"] == basic(f"ann:{SECRET}")


def test_a_login_that_a_proxy_refuses(tunnel, behind_proxy):
    """That a proxy wants another login is told in its own words."""
    tunnel.refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"

    with (
        Cluster.connect(behind_proxy) as cluster,
        pytest.raises(ClusterError, match="407 Proxy Authentication Required"),
    ):
        cluster.get(PODS, "a", "x")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_logins_are_not_seen(server, tunnel_to, write_kubeconfig, caplog, scheme):
    """No repr, no error and no log of any library shows a proxy's login."""
    caplog.set_level(logging.DEBUG)
    server.script((407, {}, b"who are you?"))
    tunnel = tunnel_to(server)
    tunnel.refusal = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"
    proxy = tunnel.url if scheme == "https" else server.url
    path = write_kubeconfig(
        *(f"{scheme}://cluster.test", {"token": "t"}),
        **{"proxy-url": with_login(proxy, f"ann:{SECRET}%21")},
    )
    seen = []

    with Cluster.connect(path) as cluster:
        transport = cluster._shared.transport
        login = transport.authorization.current()
        seen += [cluster, transport, login, login.configuration.proxy]
        for ask in (
            lambda: cluster.get(PODS, "a", "x"),
            lambda: cluster.exec("x", "p", ["true"]),
        ):
            with pytest.raises(ClusterError) as caught:
                ask()
            error = caught.value
            while error is not None:
                seen += [error, str(error), vars(error)]
                error = error.__cause__ or error.__context__

    sent = basic(f"ann:{SECRET}!")
    told = [headers_of(asked)["Proxy-Authorization"] for asked in tunnel.asked]
    assert sent in [
        *told,
        *(r.headers.get("proxy-authorization") for r in server.requests),
    ]
    text = caplog.text + repr(seen)
    assert SECRET not in text
    assert sent.removeprefix("Basic ") not in text


# --- what is no proxy -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("proxy", "named"),
    [
        (f"http://ann:{SECRET}@proxy.test:99999", "the proxy cannot be used"),
        (f"http://ann:{SECRET}/1@proxy.test", "the proxy cannot be used"),
        (f"http://ann:{SECRET}@", "the proxy cannot be used"),
        (f"ann:{SECRET}@proxy.test:3128", "the proxy cannot be used"),
        ("proxy.test:3128", "the proxy proxy.test:3128 cannot be used"),
        ("proxy:3128", "the proxy cannot be used"),
        (f"ftp://ann:{SECRET}@proxy.test:21", "the proxy ftp://proxy.test:21 cannot"),
        (f"socks4://ann:{SECRET}@proxy.test", "the proxy socks4://proxy.test cannot"),
    ],
    ids=[
        "port",
        "path",
        "no-host",
        "login-first",
        "no-scheme",
        "short",
        "ftp",
        "socks4",
    ],
)
def test_what_is_no_proxy(write_kubeconfig, proxy, named):
    """What is no address of a proxy is told, not the server, and without its login."""
    path = write_kubeconfig(FAR, {"token": "t"}, **{"proxy-url": proxy})

    with pytest.raises(InvalidConfigError, match=f"{path}: proxy-url: {named}") as e:
        Cluster.connect(path)

    assert is_untold(e.value)
    assert "socks5://HOST:PORT" in e.value.hint


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy"])
def test_an_unusable_proxy_of_the_environment(write_kubeconfig, monkeypatch, name):
    """So it is where the environment has it, and the variable is named."""
    monkeypatch.setenv(name, f"socks4://ann:{SECRET}@proxy.test:1080")

    with pytest.raises(
        InvalidConfigError, match=r"^HTTP_PROXY: the proxy socks4://proxy\.test:1080 "
    ) as caught:
        Cluster.connect(write_kubeconfig(FAR, {"token": "t"}))

    assert is_untold(caught.value)
    assert "socks5://HOST:PORT" in caught.value.hint


@pytest.mark.parametrize("proxy", ["http://{}@proxy.test:99999", "ftp://{}@proxy.test"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_host_s_unusable_proxy(host_configuration, proxy, scheme):
    """So it is where a host application gave it."""
    configuration = host_configuration(
        f"{scheme}://cluster.test", proxy=proxy.format(f"ann:{SECRET}")
    )

    with pytest.raises(InvalidConfigError, match="the proxy") as caught:
        Cluster.from_configuration(configuration)

    assert is_untold(caught.value)


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_socks(write_kubeconfig, monkeypatch, scheme):
    """By either name a SOCKS proxy is given the server's name, as by kubectl."""
    monkeypatch.setitem(sys.modules, "socks", ModuleType("socks"))
    monkeypatch.setattr(sys.modules["socks"], "__spec__", object())
    monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://ann:pw@proxy.test:1080")

    found = chosen(write_kubeconfig("https://cluster.test", {"token": "t"}))

    assert found == ("socks5h://ann:pw@proxy.test:1080", None)


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_socks_without_its_package(write_kubeconfig, monkeypatch, scheme):
    """A proxy that speaks SOCKS is refused where the package for it is missing."""
    monkeypatch.setitem(sys.modules, "socks", None)
    proxy = {"proxy-url": f"{scheme}://ann:{SECRET}@proxy.test:1080"}
    path = write_kubeconfig(FAR, {"token": "t"}, **proxy)

    with pytest.raises(
        InvalidConfigError, match=rf"proxy-url: the proxy {scheme}://proxy\.test:1080 "
    ) as caught:
        Cluster.connect(path)

    assert "PySocks" in caught.value.hint
    assert is_untold(caught.value)


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.DependencyWarning")
def test_a_host_s_socks_without_its_package(host_configuration, monkeypatch):
    """So it is where a host application gave it."""
    monkeypatch.setitem(sys.modules, "socks", None)
    monkeypatch.delitem(sys.modules, "urllib3.contrib.socks", raising=False)
    proxy = f"socks5h://ann:{SECRET}@proxy.test:1080"

    with pytest.raises(InvalidConfigError, match="the proxy socks5h") as caught:
        Cluster.from_configuration(host_configuration(FAR, proxy=proxy))

    assert "PySocks" in caught.value.hint
    assert is_untold(caught.value)


def is_untold(error):
    """Whether neither an error nor what is printed as its cause tells the secret."""
    cause = error.__cause__ or (not error.__suppress_context__ and error.__context__)
    return SECRET not in f"{error!r}{error}{error.hint}{cause!r}"


def test_a_wrong_server_behind_a_proxy(host_configuration):
    """A server's address that is none is told itself, also where it has a proxy."""
    configuration = host_configuration(FAR, proxy=PROXY)
    configuration.host = "https://[::1"

    with pytest.raises(InvalidConfigError, match=r"'https://\[::1' is not a URL"):
        Cluster.from_configuration(configuration)


def test_a_wrong_server_and_the_environment(write_kubeconfig, monkeypatch):
    """Nor is the environment's proxy asked about a server whose address is none."""
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    path = write_kubeconfig("https://cluster.test:x", {"token": "t"})

    with pytest.raises(InvalidConfigError, match=r"cluster\.test:x' is not a URL"):
        Cluster.connect(path)
