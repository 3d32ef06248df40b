"""Who calls, over time: plugins, token files, certificates that change."""

import json
import stat
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from kbackup.cluster import Cluster
from kbackup.errors import InvalidConfigError, UnauthorizedError
from kbackup.models import APIResource

from .conftest import status

PODS = APIResource(group="", version="v1", resource="pods", kind="Pod", namespaced=True)
FOUND = (200, {}, {"metadata": {"name": "a"}})


@pytest.fixture
def plugin(tmp_path):
    """Return a function that makes a user with an exec plugin; it counts its starts.

    Its n-th start prints the n-th of the statuses, the last one for ever.
    """
    starts = tmp_path / "starts"
    starts.write_text("")

    def make(*statuses):
        answers = tmp_path / "answers.json"
        answers.write_text(json.dumps(statuses))
        script = tmp_path / "plugin"
        script.write_text(
            f"#!{sys.executable}\n"
            "import json\n"
            f"with open({str(starts)!r}, 'a') as f: f.write('x')\n"
            f"count = len(open({str(starts)!r}).read())\n"
            f"answers = json.load(open({str(answers)!r}))\n"
            "status = answers[min(count, len(answers)) - 1]\n"
            "api = 'client.authentication.k8s.io/v1'\n"
            "kind = 'ExecCredential'\n"
            "print(json.dumps(dict(apiVersion=api, kind=kind, status=status)))\n"
        )
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        api = "client.authentication.k8s.io/v1"
        return {"exec": {"apiVersion": api, "command": str(script)}}

    make.starts = lambda: len(starts.read_text())
    return make


def ends(seconds):
    """Return a timestamp so many seconds from now."""
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
def later(monkeypatch):
    """Return a function that lets so many seconds pass for who looks after logins."""
    real, passed = time.monotonic, [0.0]
    clock = SimpleNamespace(monotonic=lambda: real() + passed[0])
    monkeypatch.setattr("kbackup.cluster._auth.time", clock)

    def let_pass(seconds):
        passed[0] += seconds

    return let_pass


def only(*tokens):
    """Return an answering function that knows just these tokens."""
    return lambda request: FOUND if request.token in tokens else status(401)


def test_plugin_starts_once(server, write_kubeconfig, plugin):
    """Eighty requests with a token near its end start the plugin once, not 80 times."""
    user = plugin({"token": "one", "expirationTimestamp": ends(200)})
    server.answer = only("one")

    with Cluster.connect(write_kubeconfig(server.url, user)) as cluster:
        threads = [
            threading.Thread(
                target=lambda: [cluster.get(PODS, "a", "x") for _ in range(10)]
            )
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert len(server.requests) == 80
    assert plugin.starts() == 1


def test_token_refused_in_the_middle(server, write_kubeconfig, plugin):
    """A token that stops to work is made anew once, and no request fails."""
    user = plugin({"token": "one"}, {"token": "two"})
    server.answer = only("one")

    with Cluster.connect(write_kubeconfig(server.url, user)) as cluster:
        cluster.get(PODS, "a", "x")
        server.answer = only("two")
        threads = [
            threading.Thread(target=cluster.get, args=(PODS, "a", "x"))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        cluster.get(PODS, "a", "x")

    assert plugin.starts() == 2
    assert server.requests[-1].token == "two"


def test_token_expires(server, write_kubeconfig, plugin, later):
    """A token whose time is over is replaced before the server refuses it."""
    user = plugin({"token": "one", "expirationTimestamp": ends(3600)}, {"token": "two"})
    server.answer = only("one", "two")

    with Cluster.connect(write_kubeconfig(server.url, user)) as cluster:
        cluster.get(PODS, "a", "x")
        later(3601)
        cluster.get(PODS, "a", "x")

    assert [r.token for r in server.requests] == ["one", "two"]
    assert plugin.starts() == 2


def test_a_plugin_that_fails_while_the_token_still_works(
    server, write_kubeconfig, plugin, later
):
    """It is started again every ten seconds at most, and no request fails meanwhile."""
    good = {"token": "one", "expirationTimestamp": ends(3600)}
    user = plugin(good, {"expirationTimestamp": ends(3600)})
    server.answer = only("one")

    with Cluster.connect(write_kubeconfig(server.url, user)) as cluster:
        later(3550)
        for _ in range(5):
            cluster.get(PODS, "a", "x")
        starts = plugin.starts()
        later(10)
        cluster.get(PODS, "a", "x")

    assert starts == 2
    assert plugin.starts() == 3
    assert {r.token for r in server.requests} == {"one"}


def test_refused_for_good(server, write_kubeconfig, plugin):
    """A caller whom the server never knows starts the plugin twice, not each time."""
    user = plugin({"token": "bad"})
    server.answer = only("good")

    with Cluster.connect(write_kubeconfig(server.url, user)) as cluster:
        for _ in range(5):
            with pytest.raises(UnauthorizedError):
                cluster.get(PODS, "a", "x")

    assert plugin.starts() == 2


def test_plugin_fails(server, write_kubeconfig):
    """A plugin that cannot be run is named when connecting."""
    api = "client.authentication.k8s.io/v1"
    user = {"exec": {"apiVersion": api, "command": "/nowhere/login"}}

    with pytest.raises(InvalidConfigError, match="/nowhere/login"):
        Cluster.connect(write_kubeconfig(server.url, user))


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [],
        "text",
        None,
        {"clientCertificateData": "x"},
        {"token": ["x"]},
        {"token": "s3cret", "expirationTimestamp": "soon"},
        {"token": "s3cret", "expirationTimestamp": 1700000000},
    ],
    ids=str,
)
def test_plugin_that_answers_nonsense(server, write_kubeconfig, plugin, answer):
    """A login plugin whose answer cannot be used is named; its secrets are not."""
    path = write_kubeconfig(server.url, plugin(answer))

    with pytest.raises(InvalidConfigError, match="login plugin") as caught:
        Cluster.connect(path)

    assert "s3cret" not in f"{caught.value}{caught.value.__cause__}"
    assert server.requests == []


def test_token_whose_end_has_no_zone(server, write_kubeconfig, plugin):
    """A time without a zone is one in UTC."""
    end = ends(3600).removesuffix("Z")
    user = plugin({"token": "one", "expirationTimestamp": end})
    server.answer = only("one")

    with Cluster.connect(write_kubeconfig(server.url, user)) as cluster:
        cluster.get(PODS, "a", "x")

    assert plugin.starts() == 1


def test_token_file_changes(server, write_kubeconfig, tmp_path):
    """A token file that was rotated is read again after a 401, newline and all."""
    token = tmp_path / "token"
    token.write_text("one\n")
    path = write_kubeconfig(server.url, {"tokenFile": str(token)})
    server.answer = only("one")

    with Cluster.connect(path) as cluster:
        cluster.get(PODS, "a", "x")
        token.write_text("two\n")
        server.answer = only("two")
        cluster.get(PODS, "a", "x")

    assert [r.token for r in server.requests] == ["one", "one", "two"]


def test_token_file_ages(server, write_kubeconfig, tmp_path, later):
    """A token file is read again by age, before the old token is refused."""
    token = tmp_path / "token"
    token.write_text("one")
    path = write_kubeconfig(server.url, {"tokenFile": str(token)})
    server.answer = only("one", "two")

    with Cluster.connect(path) as cluster:
        cluster.get(PODS, "a", "x")
        token.write_text("two")
        later(3600)
        cluster.get(PODS, "a", "x")

    assert [r.token for r in server.requests] == ["one", "two"]


def test_certificates_of_a_plugin(tls_server, pki, write_kubeconfig, plugin):
    """A new certificate from a plugin is used on new connections."""

    def certificate(name):
        return {
            "clientCertificateData": (pki / f"{name}.crt").read_text(),
            "clientKeyData": (pki / f"{name}.key").read_text(),
        }

    user = plugin(certificate("ann"), certificate("bob"))
    path = write_kubeconfig(
        tls_server.url, user, **{"certificate-authority": str(pki / "ca.crt")}
    )
    tls_server.script(FOUND, status(401), FOUND)

    with Cluster.connect(path) as cluster:
        cluster.get(PODS, "a", "x")
        first = cluster._shared.transport._pool
        cluster.get(PODS, "a", "x")

        assert cluster._shared.transport._pool is not first
    assert plugin.starts() == 2
    assert len(tls_server.requests) == 3


def test_host_configuration(server):
    """A host's own configuration is used, its hook asked once and after a 401."""
    from kubernetes.client import Configuration  # noqa: PLC0415 - slow

    asked = []

    def hook(configuration):
        asked.append(1)
        configuration.api_key["BearerToken"] = f"Bearer t{len(asked)}"

    configuration = Configuration(host=server.url)
    configuration.refresh_api_key_hook = hook
    server.answer = only("t1")

    with Cluster.from_configuration(configuration) as cluster:
        for _ in range(5):
            cluster.get(PODS, "a", "x")
        server.answer = only("t2")
        cluster.get(PODS, "a", "x")

    assert len(asked) == 2


def test_missing_file(tmp_path):
    """A kubeconfig that is not there is named."""
    with pytest.raises(InvalidConfigError, match="nothing-here does not exist"):
        Cluster.connect(tmp_path / "nothing-here")


def test_missing_context(server, write_kubeconfig):
    """An unknown context is named, with those that there are."""
    path = write_kubeconfig(server.url, {"token": "t"})

    with pytest.raises(InvalidConfigError, match="no context there") as caught:
        Cluster.connect(path, context="there")

    assert "here" in caught.value.hint


def test_nothing_configured():
    """Without any configuration the error says where it looked."""
    with pytest.raises(InvalidConfigError, match=r"\.kube/config"):
        Cluster.connect()


def test_several_documents_are_no_kubeconfig(tmp_path):
    """Manifests given as a kubeconfig are told as what they are, with the line."""
    path = tmp_path / "app.yaml"
    path.write_text("kind: Secret\nstringData: {a: hunter2}\n---\nkind: ConfigMap\n")

    with pytest.raises(
        InvalidConfigError, match=r"several documents, line 3"
    ) as caught:
        Cluster.connect(path)

    assert "it is no kubeconfig" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_broken_kubeconfig(tmp_path):
    """A kubeconfig that is no YAML is an error that quotes nothing of it."""
    path = tmp_path / "config"
    path.write_text("users: [{token: hunter2\n  : :")

    with pytest.raises(InvalidConfigError) as caught:
        Cluster.connect(path)

    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
