"""What is typed without a verb, mistyped, or with a unit that Go does not know."""

import subprocess
import sys
from importlib.metadata import version

import pytest


@pytest.mark.parametrize("words", [[], ["backup"], ["restore"]])
def test_without_a_verb_the_help_is_all(offline, words):
    """A group alone shows its help, and nothing calls that an error."""
    done = offline(*words)

    assert done.code in {0, 2}  # as the installed click has it
    assert "Commands:" in done.out + done.err
    assert "Error:" not in done.err
    assert "Next:" not in done.err


def test_version_option(offline):
    """The version can be asked for as of every command line."""
    done = offline("--version")

    assert (done.code, done.out) == (0, f"kbackup {version('kbackup')}\n")


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["vershun"], "version"),
        (["backups"], "backup"),
        (["backup", "creat"], "create"),
    ],
)
def test_mistyped_verb(offline, words, meant):
    """A verb that does not exist leads to the nearest one."""
    done = offline(*words)

    assert done.code == 2
    assert f"No such command {words[-1]!r}. Did you mean {meant!r}?" in done.err


def test_verb_like_no_other(offline):
    """Where nothing is near, nothing is guessed."""
    done = offline("frobnicate")

    assert done.code == 2
    assert "Did you mean" not in done.err


@pytest.mark.parametrize("group", ["backup", "restore", "location"])
def test_list_of_commands_is_not_cut(offline, group):
    """The list of a group's commands has whole sentences."""
    listed = offline(group, "--help").out.partition("Commands:")[2]

    assert listed
    assert "..." not in listed


@pytest.mark.parametrize(("text", "hours"), [("3d", "72h"), ("2w", "336h")])
def test_days_lead_to_hours(offline, text, hours):
    """A duration in days or weeks is refused with the hours to write."""
    done = offline("backup", "create", "a", "--ttl", text)

    assert done.code == 2
    assert f"write {hours}" in done.err


@pytest.mark.usefixtures("backed_up")
def test_download_to_stdout(directory):
    """The archive can be piped on; nothing else is on stdout."""
    done = subprocess.run(
        [sys.executable, "-m", "kbackup", "backup", "download", "shop-1", "-f", "-"],
        stdout=subprocess.PIPE,
        check=True,
    )

    assert done.stdout == (directory / "backups/shop-1/shop-1.tar.gz").read_bytes()


def test_download_to_stdout_is_no_document(backed_up):
    """An archive and a document cannot both be on stdout."""
    done = backed_up("backup", "download", "shop-1", "-f", "-", "-o", "json")

    assert done.code == 2
    assert "stdout is for the archive alone" in done.err


@pytest.mark.parametrize("option", ["--deadline", "--item-operation-timeout"])
def test_a_negative_duration_is_refused(offline, option):
    """No time is less than none: the option is named, before anything begins."""
    done = offline("restore", "plan", "--from-backup", "latest", f"{option}=-5s")

    assert done.code == 2
    assert option in done.err
    assert "-5s is negative" in done.err


@pytest.mark.parametrize("verb", ["plan", "create"])
def test_a_backup_in_the_place_of_the_restores_name(offline, verb):
    """Whoever gives the backup where the restore's name stands is shown the option."""
    done = offline("restore", verb, "shop-1")

    assert done.code == 2
    assert "Missing option '--from-backup'" in done.err
    assert "shop-1 would be the name of the restore" in done.err
    following = f"Next: kbackup restore {verb} --from-backup shop-1"
    assert done.err.strip().endswith(following)
