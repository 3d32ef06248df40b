"""Deleting a backup shows which DeleteItemActions run, runs them, and tells what failed."""

import json
import shutil
import sys
import textwrap

import pytest

from kbackup.catalog import BackupStore
from kbackup.cli._app import run

PLUGIN = """
    from kbackup.models import GroupResource, ResourceIdentifier, ResourceSelector
    from kbackup.plugins import hookimpl

    class Action:
        name = "example.com/clean"
        applies_to = ResourceSelector(included_resources=("services",))

        def execute(self, given):
            {act}

    @hookimpl
    def kbackup_register_delete_item_actions():
        return {{Action.name: Action()}}
"""
REMOVE = "given.cluster.delete(given.identifier)"
FAIL = "raise OSError('no such bucket')"
INTERRUPT = "import os, signal; os.kill(os.getpid(), signal.SIGINT)"


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a distribution with one action, as pip would."""
    place = tmp_path / "site"
    place.mkdir()
    monkeypatch.syspath_prepend(str(place))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def make(act):
        (place / "kb_clean.py").write_text(textwrap.dedent(PLUGIN).format(act=act))
        info = place / "kb_clean-1.0.dist-info"
        info.mkdir(exist_ok=True)
        metadata = "Metadata-Version: 2.1\nName: kb-clean\nVersion: 1.0\n"
        (info / "METADATA").write_text(metadata)
        (info / "entry_points.txt").write_text("[kbackup]\nclean = kb_clean\n")
        sys.modules.pop("kb_clean", None)

    yield make
    sys.modules.pop("kb_clean", None)


@pytest.fixture
def on_terminal(monkeypatch, capsys):
    """Answer questions on a terminal; what was told before each is kept."""

    def answering(answer):
        told = []
        monkeypatch.setattr("sys.stdin.isatty", lambda: True)
        monkeypatch.setattr("sys.stderr.isatty", lambda: True)
        monkeypatch.setattr(
            "click.termui.visible_prompt_func",
            lambda _: told.append(capsys.readouterr().err) or answer,
        )
        return told

    return answering


def services(simulated):
    """The names of the Services in the shop."""
    found = simulated.objects("services", "shop")
    return [each["metadata"]["name"] for each in found]


def test_delete_runs_what_is_installed(backed_up, install, simulated, directory):
    """The action of an installed distribution cleans up in the chosen cluster."""
    install(REMOVE)
    assert services(simulated)

    done = backed_up("backup", "delete", "shop-1", "--yes")

    assert done.code == 0
    assert done.out == "Deleted shop-1\n"
    assert services(simulated) == []
    assert not (directory / "backups/shop-1").exists()


def test_delete_that_failed_names_plugin_and_item(backed_up, install, directory):
    """Nothing of the backup was removed, and the next command is the same again."""
    install(FAIL)

    done = backed_up("backup", "delete", "shop-1", "--yes")

    assert done.code == 1
    assert "Error: backup shop-1: was not deleted: example.com/clean failed on " in (
        done.err
    )
    assert "services/shop/" in done.err
    assert "no such bucket" in done.err
    assert done.next == "Next: kbackup backup delete shop-1"
    assert backed_up("backup", "verify", "shop-1").code == 0


def test_delete_of_several_goes_on_after_a_failed_one(backed_up, install, directory):
    """What an action failed for stays; what no action wants anything of goes."""
    backed_up("backup", "create", "two", "--include-resources", "configmaps")
    install(FAIL)

    done = backed_up("backup", "delete", "shop-1", "two", "--yes")

    assert done.code == 1
    assert done.out == "Deleted two\n"
    assert [path.name for path in (directory / "backups").iterdir()] == ["shop-1"]


@pytest.mark.parametrize("output", ["table", "json"])
def test_dry_run_of_a_deletion(backed_up, install, simulated, output):
    """It tells on how many items each action would run, asks nobody and does nothing."""
    install(REMOVE)
    before = services(simulated)

    done = backed_up("backup", "delete", "shop-1", "--dry-run", "-o", output)

    assert done.code == 0
    if output == "table":
        told = "shop-1: run example.com/clean on 1 item, delete its files"
        assert done.out == f"{told}\n"
    else:
        document = json.loads(done.out)
        assert document["kind"] == "DeletionPlan"
        (planned,) = document["backups"]
        actions = [{"name": "example.com/clean", "items": 1}]
        assert planned == {
            "name": "shop-1",
            "actions": actions,
            "restores": [],
            "unendedRestores": {},
        }
    assert services(simulated) == before
    assert backed_up("backup", "get", "shop-1").code == 0


@pytest.mark.parametrize("answer", ["n", "y"])
@pytest.mark.usefixtures("backed_up")
def test_delete_shows_the_actions_before_it_asks(
    install, on_terminal, simulated, answer
):
    """Whoever is asked knows what will run; after no nothing has run."""
    install(REMOVE)
    before = services(simulated)
    told = on_terminal(answer)

    assert run(["backup", "delete", "shop-1"]) == (answer == "n")

    assert "shop-1: run example.com/clean on " in told[0]
    assert services(simulated) == (before if answer == "n" else [])


def test_delete_with_files_only_runs_nothing(
    backed_up, install, simulated, monkeypatch, directory
):
    """The explicit way past them needs no cluster, and names what was not run."""
    install(REMOVE)
    before = services(simulated)
    monkeypatch.setenv("KUBECONFIG", str(directory / "nowhere"))

    done = backed_up("backup", "delete", "shop-1", "--yes", "--files-only")

    assert done.code == 0
    assert "warning: not run, as --files-only says: example.com/clean" in done.err
    assert services(simulated) == before


def test_delete_needs_the_cluster_only_for_what_is_wanted(
    backed_up, install, monkeypatch, directory
):
    """Without a way to a cluster a backup goes of which no action wants anything."""
    backed_up("backup", "create", "two", "--include-resources", "configmaps")
    install(REMOVE)
    monkeypatch.setenv("KUBECONFIG", str(directory / "nowhere"))

    gone = backed_up("backup", "delete", "two", "--yes")
    kept = backed_up("backup", "delete", "shop-1", "--yes")

    assert gone.code == 0
    assert kept.code != 0
    assert backed_up("backup", "verify", "shop-1").code == 0


def test_ctrl_c_while_an_action_runs(backed_up, install, directory):
    """Also one that comes with the last item ends the deletion, with nothing removed."""
    install(INTERRUPT)

    done = backed_up("backup", "delete", "shop-1", "--yes")

    assert done.code == 130
    assert done.next == "Next: kbackup backup delete shop-1 --yes"
    assert backed_up("backup", "verify", "shop-1").code == 0


def test_what_went_before_ctrl_c_is_told(backed_up, install):
    """A program that reads the JSON knows which backups are gone."""
    backed_up("backup", "create", "two", "--include-resources", "configmaps")
    install(INTERRUPT)

    done = backed_up("backup", "delete", "two", "shop-1", "--yes", "-o", "json")

    assert done.code == 130
    assert json.loads(done.out)["deleted"] == ["two"]


def test_delete_names_the_plugins_that_cannot_be_loaded(backed_up, install):
    """A broken plugin, which might have cleaned up, is no silent omission."""
    install("(")

    done = backed_up("backup", "delete", "shop-1", "--yes")

    assert done.code == 0
    assert "warning: plugin clean of kb-clean is not run: SyntaxError" in done.err


@pytest.fixture(name="restored")
def fixture_restored(backed_up):
    """A backup with a restore of it on record."""
    made = backed_up(
        "restore",
        "create",
        "try-1",
        "--from-backup",
        "shop-1",
        "--yes",
        "--namespace-mappings",
        "shop:copy",
    )
    assert made.code == 0, made.err
    return backed_up


def test_dry_run_tells_which_restores_go(restored):
    """Before a backup is deleted one sees what else of the store goes with it."""
    done = restored("backup", "delete", "shop-1", "--dry-run")

    assert done.out == (
        "shop-1: delete its files, delete what is on record of restore try-1\n"
    )
    assert restored("restore", "get", "try-1").code == 0


@pytest.mark.parametrize("output", ["table", "json"])
def test_deleting_a_backup_tells_of_its_restores(restored, output):
    """Each restore whose record went is named, and it is not listed any more."""
    done = restored("backup", "delete", "shop-1", "--yes", "-o", output)

    assert done.code == 0
    if output == "json":
        assert json.loads(done.out)["deletedRestores"] == ["try-1"]
    else:
        assert "Deleted what was on record of restore try-1\n" in done.out
    assert restored("restore", "get", "try-1").code == 1


def test_restores_of_a_backup_that_is_gone(restored, directory):
    """Who was stopped before the restores were gone deletes the same backup again."""
    shutil.rmtree(directory / "backups/shop-1")

    done = restored("backup", "delete", "shop-1", "--yes")

    assert done.code == 0
    assert "Deleted what was on record of restore try-1\n" in done.out
    assert restored("backup", "delete", "shop-1", "--yes").code == 1


def test_a_restore_that_runs_is_warned_of(backed_up, directory):
    """A restore that has not ended is left, and one is told so."""
    with (
        BackupStore.open(directory) as store,
        store.claim_restore("runs", run_uid="1" * 8, from_backup="shop-1"),
    ):
        done = backed_up("backup", "delete", "shop-1", "--yes")

    assert done.code == 0
    assert "warning: left, restore runs: begun and not ended by run 1111" in done.err
