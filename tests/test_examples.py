"""The examples, the notebook and the README's code do what they say."""

import ast
import asyncio
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kbackup import BackupEngine, BackupSpec, BackupStore, Cluster, RestoreEngine
from kbackup.repository import Repository, ScryptParameters
from kbackup.testing import SimulatedCluster, load_sample_shop

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"


def start(script, *arguments, answer="", **environment):
    """Run an example to its end."""
    return subprocess.run(
        [sys.executable, EXAMPLES / script, *arguments],
        env={**os.environ, **environment},
        input=answer,
        capture_output=True,
        text=True,
        check=False,
    )


def run(script, *arguments, **how):
    """Run an example and return what it printed."""
    done = start(script, *arguments, **how)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(name="simulated")
def fixture_simulated():
    """A cluster with the sample shop in it."""
    with SimulatedCluster() as simulated:
        with simulated.connect() as cluster:
            load_sample_shop(cluster)
        yield simulated


@pytest.fixture(name="kubeconfig")
def fixture_kubeconfig(simulated, tmp_path):
    """The way to that cluster."""
    return str(simulated.kubeconfig(tmp_path / "kubeconfig"))


@pytest.fixture(name="location")
def fixture_location(simulated, tmp_path):
    """A directory that holds backup shop-1 of the shop."""
    with (
        simulated.connect() as cluster,
        BackupStore.open(tmp_path / "store") as store,
    ):
        spec = BackupSpec(included_namespaces=["shop"])
        BackupEngine(cluster, store).run("shop-1", spec)
    return tmp_path / "store"


def test_embed_a_backup(kubeconfig, tmp_path):
    """The first example backs up a namespace into a directory."""
    printed = run(
        "01-embed-a-backup/backup.py", "shop", tmp_path / "b", KUBECONFIG=kubeconfig
    )

    assert re.search(r"^shop-\d{14}: Completed$", printed, re.MULTILINE)
    warning = "  warning: 1 volume has no data in this backup: shop/orders\n"
    assert warning in printed
    assert "velero:" not in printed
    assert len(list((tmp_path / "b/backups").iterdir())) == 1


def test_embed_a_backup_tries_itself():
    """Without arguments the first example needs no cluster."""
    assert ": Completed" in run("01-embed-a-backup/backup.py")


def test_restore_elsewhere(kubeconfig, location, simulated):
    """The second example shows the plan, asks, and makes a copy."""
    printed = run(
        "02-restore-elsewhere/restore.py",
        *(location, "shop-1", "shop", "copy"),
        answer="y\n",
        KUBECONFIG=kubeconfig,
    )

    assert "shop-1-as-copy: Completed" in printed
    assert len(simulated.objects("deployments.apps", "copy")) == 1


def test_restore_elsewhere_tries_itself():
    """Without arguments the second example needs no cluster."""
    assert "as-shop-copy: Completed" in run("02-restore-elsewhere/restore.py")


def test_read_a_backup(location):
    """The example that reads a backup counts by namespace and type, without cluster."""
    rows = [
        line.split()
        for line in run("06-read-a-backup/read.py", location, "shop-1").splitlines()
    ]

    assert ["shop", "pods", "2"] in rows
    assert ["-", "namespaces", "1"] in rows


READ_A_REPOSITORY = "05-read-a-repository/read_repository.py"


def require_read(printed):
    """Look whether all steps of the example that reads a repository were taken."""
    assert printed.startswith("Made a repository to read in ")
    for line in (
        r"[0-9a-f]{8} 2026-05-02T02:00:00Z backup=shop-2 ns=shop pod=db-0 volume=data",
        r"file      15 config/shop\.conf",
        r"02 May: invoices\.sql",
        r"currency = EUR",
        r"M    /orders\.sql",
        r"1 file restored, 0 problems",
        r"INSERT INTO orders VALUES \(1\);",
        r"It is whole",
    ):
        assert re.search(f"^{line}$", printed, re.MULTILINE), line


def test_read_a_repository(tmp_path):
    """The example that reads a repository makes one, reads it, and leaves nothing."""
    require_read(run(READ_A_REPOSITORY, TMPDIR=str(tmp_path)))

    assert list(tmp_path.iterdir()) == []


def test_read_a_repository_cell_by_cell(capsys):
    """Its cells run one by one, as in a notebook, inside a running event loop."""
    cells = (EXAMPLES / READ_A_REPOSITORY).read_text().split("\n# %%")

    asyncio.run(run_cells(f"#{cell}" for cell in cells[1:]))

    assert len(cells) == 11
    require_read(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("script", "arguments", "missing"),
    [
        ("01-embed-a-backup/backup.py", ["shop"], "directory"),
        ("02-restore-elsewhere/restore.py", ["b", "shop-1", "shop"], "target"),
        ("06-read-a-backup/read.py", [], "location, backup"),
    ],
    ids=["backup", "restore", "read"],
)
def test_forgotten_arguments_are_wrong_use(script, arguments, missing):
    """An example that is given too little names what is missing and does nothing."""
    done = start(script, *arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert f"the following arguments are required: {missing}" in done.stderr


@pytest.mark.parametrize(
    ("script", "names"),
    [
        ("02-restore-elsewhere/restore.py", ["shop-2", "shop", "copy"]),
        ("06-read-a-backup/read.py", ["shop-2"]),
    ],
    ids=["restore", "read"],
)
def test_backup_that_is_not_there_is_said(kubeconfig, location, script, names):
    """A wrong name of a backup is a message with a hint, and no traceback."""
    done = start(script, location, *names, KUBECONFIG=kubeconfig)

    assert (done.returncode, done.stdout) == (1, "")
    said = done.stderr.splitlines()
    assert said[0].startswith("Error: ")
    assert "shop-2" in said[0]
    assert all(line.startswith("Hint: ") for line in said[1:])


def test_cluster_that_is_not_there_is_said(tmp_path):
    """Without a way to a cluster the first example says so, and backs up nothing."""
    absent = tmp_path / "absent"

    done = start(
        "01-embed-a-backup/backup.py", "shop", tmp_path, KUBECONFIG=str(absent)
    )

    assert done.returncode == 2
    assert done.stderr.startswith("Error: ")
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "path", sorted(EXAMPLES.glob("notebooks/*.ipynb")), ids=lambda path: path.stem
)
def test_notebook(path, capsys):
    """Every cell of a notebook runs, in order, inside a running event loop."""
    cells = [
        "".join(cell["source"])
        for cell in json.loads(path.read_text())["cells"]
        if cell["cell_type"] == "code"
    ]

    shown = asyncio.run(run_cells(cells))

    assert "Completed 0" in capsys.readouterr().out
    tables = [value for value in shown if "<table>" in value._repr_html_()]
    assert [type(value).__name__ for value in tables] == [
        "BackupPlan",
        "BackupResult",
        "RestorePlan",
        "RestoreResult",
    ]


async def run_cells(cells):
    """Run cells as a notebook does: one namespace, await at the top level, shown last."""
    names, shown = {}, []
    for cell in cells:
        body = ast.parse(cell).body
        ends = body[-1:] if isinstance(body[-1], ast.Expr) else []
        for part in (ast.Module(body[: len(body) - len(ends)], []), *ends):
            is_last = isinstance(part, ast.Expr)
            code = ast.Expression(part.value) if is_last else part
            mode, flags = "eval" if is_last else "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            value = eval(compile(code, "<cell>", mode, flags), names)  # noqa: S307 - ours
            value = await value if inspect.iscoroutine(value) else value
            shown += [value] if hasattr(value, "_repr_html_") else []
    return shown


def test_notebooks_hold_no_outputs():
    """Notebooks are kept without outputs: a diff of one shows what was written."""
    for path in EXAMPLES.glob("notebooks/*.ipynb"):
        cells = json.loads(path.read_text())["cells"]
        assert all(not cell.get("outputs") for cell in cells)


def test_every_example_is_explained():
    """Every example has a README."""
    for directory in EXAMPLES.iterdir():
        if directory.is_dir():
            assert (directory / "README.md").exists(), directory


def code_of_the_readme():
    """The README's Python: about clusters, and about a repository."""
    text = (ROOT / "README.md").read_text()
    about_clusters, about_a_repository = re.findall(
        r"```python\n(.*?)```", text, re.DOTALL
    )
    return about_clusters, about_a_repository


def test_code_of_the_readme(simulated, tmp_path, monkeypatch, capsys):
    """The README's Python does what its comments say."""
    code = code_of_the_readme()[0]
    code = code.replace("/var/backups/prod", str(tmp_path / "prod"))
    clusters = [simulated.connect(), simulated.connect()]
    monkeypatch.setattr(Cluster, "connect", lambda **_: clusters.pop())
    before = len(simulated.objects("deployments.apps", "shop-copy"))

    names = {}
    exec(compile(code, "README.md", "exec"), names)  # noqa: S102 - ours
    names["store"].close()
    names["cluster"].close()
    names["staging"].close()

    printed = capsys.readouterr().out
    assert printed.startswith("Completed\n")
    assert "create    namespaces/shop -> shop-copy" in printed
    assert "deployments.apps/shop/web Deployment" in printed
    assert before == 0
    assert len(simulated.objects("deployments.apps", "shop-copy")) == 1


def test_code_of_the_readme_about_a_repository(tmp_path):
    """The README's Python saves files and restores them."""
    code = re.sub(r'"(/(?:srv|tmp)/)', rf'"{tmp_path}\1', code_of_the_readme()[1])
    data = tmp_path / "srv" / "data"
    data.mkdir(parents=True)
    (data / "orders").write_text("two")
    key = ScryptParameters(n=2, r=1, p=1)
    place = tmp_path / "srv" / "repository"
    Repository.init(place, "geheim", key_parameters=key).close()

    exec(compile(code, "README.md", "exec"), {"password": "geheim"})  # noqa: S102 - ours

    restored = tmp_path / "tmp" / "data" / data.relative_to("/") / "orders"
    assert restored.read_text() == "two"


def test_commands_of_the_readme(simulated, tmp_path, monkeypatch, capsys):
    """The README's commands run as they stand there."""
    from kbackup.cli._app import run as kbackup  # noqa: PLC0415 - named like ours

    text = (ROOT / "README.md").read_text()
    block = text[text.index("## At a terminal") :]
    commands = re.findall(
        r"^\$ kbackup (.*)$", block.partition("```\n\n")[0], re.MULTILINE
    )
    kubeconfig = simulated.kubeconfig(tmp_path / "kubeconfig")
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    monkeypatch.setenv("KBACKUP_LOCATION", str(tmp_path / "prod"))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: "y")

    assert len(commands) == 5
    for command in commands:
        assert kbackup(command.split()) == 0, capsys.readouterr()


def test_links_of_the_readme():
    """Every file that the README links to is there."""
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text())

    missing = [
        link for link in links if "://" not in link and not (ROOT / link).exists()
    ]
    assert missing == []


class TestRunningLoop:
    """The engines work where an event loop is running."""

    @pytest.mark.parametrize("engine", [BackupEngine, RestoreEngine])
    def test_help_says_how_to_await(self, engine):
        """Who asks a notebook for help on `run` reads what can be awaited."""
        assert "``await asyncio.to_thread(engine.run, ...)``" in engine.run.__doc__

    def test_called_from_a_coroutine(self, simulated, tmp_path):
        """Called directly, as from a notebook's cell, a run blocks and ends well."""
        spec = BackupSpec(included_namespaces=["shop"])

        async def cell():
            """One cell of a notebook."""
            with simulated.connect() as cluster, BackupStore.open(tmp_path) as store:
                return BackupEngine(cluster, store).run("a", spec)

        assert asyncio.run(cell()).exit_code == 0

    def test_handed_to_a_thread(self, simulated, tmp_path):
        """Two runs in threads leave the loop free and do not disturb each other."""
        spec = BackupSpec(included_namespaces=["shop"])

        async def both():
            """Two backups at once, and something else meanwhile."""
            with simulated.connect() as cluster, BackupStore.open(tmp_path) as store:
                engine = BackupEngine(cluster, store)
                runs = [asyncio.to_thread(engine.run, name, spec) for name in "ab"]
                ticks = asyncio.create_task(asyncio.sleep(0, "free"))
                return [await ticks, *await asyncio.gather(*runs)]

        free, *results = asyncio.run(both())

        assert free == "free"
        assert [result.backup.name for result in results] == ["a", "b"]
        assert [result.exit_code for result in results] == [0, 0]
