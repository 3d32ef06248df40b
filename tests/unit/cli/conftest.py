"""A simulated cluster with the sample shop, a directory, and the command line."""

import signal
from datetime import timedelta

import attrs
import pytest

from kbackup.cli._app import run
from kbackup.repository import ScryptParameters
from kbackup.testing import SimulatedCluster, load_sample_shop

REPOSITORY_PASSWORD = "correct horse"
SECRET_VALUES = ("bm90LWEtcmVhbC1rZXk=", "not-a-real-key")


@attrs.frozen
class Ended:
    """How a command ended.

    Attributes:
        code: The exit code.
        out: What it printed on stdout.
        err: What it said on stderr.
    """

    code: int
    out: str
    err: str

    @property
    def next(self):
        """The last line of what it said: the command that goes on."""
        return self.err.strip().splitlines()[-1]


@pytest.fixture(autouse=True)
def fixture_a_terminal_that_can_go():
    """SIGHUP means something, also where the tests themselves are to outlive theirs."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture(name="simulated")
def fixture_simulated():
    """A cluster with the sample shop in it."""
    with SimulatedCluster() as simulated:
        with simulated.connect() as cluster:
            load_sample_shop(cluster)
        yield simulated


@pytest.fixture(name="directory")
def fixture_directory(tmp_path):
    """Where the backups go."""
    return tmp_path / "store"


@pytest.fixture(name="offline")
def fixture_offline(directory, monkeypatch, capsys):
    """The command line with a location and without a cluster."""
    monkeypatch.setenv("KBACKUP_LOCATION", str(directory))

    def call(*arguments):
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Ended(code, out, err)

    return call


@pytest.fixture(name="kbackup")
def fixture_kbackup(offline, simulated, monkeypatch, tmp_path):
    """The command line with a location and a cluster."""
    kubeconfig = simulated.kubeconfig(tmp_path / "kubeconfig")
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    return offline


@pytest.fixture(name="backed_up")
def fixture_backed_up(kbackup):
    """The command line after ``backup create shop-1``."""
    done = kbackup("backup", "create", "shop-1", "--include-namespaces", "shop")
    assert done.code == 0, done.err
    return kbackup


@pytest.fixture(name="restored")
def fixture_restored(backed_up):
    """The command line after the shop was restored as shop-copy."""
    done = backed_up(
        *("restore", "create", "copy-1", "--from-backup", "shop-1", "--yes"),
        *("--namespace-mappings", "shop:shop-copy"),
    )
    assert done.code == 0, done.err
    return backed_up


@pytest.fixture
def hooked_pod():
    """A Pod of the shop that is frozen before it is backed up, and thawed afterwards."""
    annotations = {
        "pre.hook.backup.velero.io/command": "freeze",
        "post.hook.backup.velero.io/command": "thaw",
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "db", "namespace": "shop", "annotations": annotations},
        "spec": {"containers": [{"name": "main", "image": "i"}]},
    }


@pytest.fixture(name="cheap_keys")
def fixture_cheap_keys(monkeypatch):
    """Passwords cost nothing to try, and locks are not waited for."""
    cheap = ScryptParameters(n=2, r=1, p=1)
    for module in ("_repository", "_keyring"):
        monkeypatch.setattr(f"kbackup.repository.{module}.calibrated", lambda: cheap)
    monkeypatch.setattr("kbackup.repository._locks._SETTLES", timedelta(0))


@pytest.fixture(name="repo")
def fixture_repo(cheap_keys, tmp_path, monkeypatch, capsys):
    """``kbackup repo`` in an empty directory, with a repository ``r`` and its password."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KBACKUP_REPOSITORY", "r")
    monkeypatch.setenv("KBACKUP_REPO_PASSWORD", REPOSITORY_PASSWORD)

    def call(*arguments):
        capsys.readouterr()
        code = run(["repo", *map(str, arguments)])
        out, err = capsys.readouterr()
        return Ended(code, out, err)

    done = call("init")
    assert done.code == 0, done.err
    return call


@pytest.fixture(name="saved")
def fixture_saved(repo, tmp_path):
    """The same after two backups of the directory ``src``, the first with tags."""
    (tmp_path / "src" / "sub").mkdir(parents=True)
    (tmp_path / "src" / "file").write_text("hello")
    (tmp_path / "src" / "sub" / "other").write_text("there")
    for options in (("--tag", "a,b"), ("--host", "elsewhere")):
        done = repo("backup", "src", *options)
        assert done.code == 0, done.err
    return repo
