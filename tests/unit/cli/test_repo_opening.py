"""Which repository is meant, its password, and what is said where it does not open."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from kbackup.cli import _asking
from kbackup.cli._app import run
from kbackup.repository import LocalBackend, Repository, _locks
from kbackup.repository._documents import Documents

PASSWORD = "correct horse"
WRONG = "battery staple"


@pytest.fixture(name="file")
def fixture_file(tmp_path):
    """A file with the password, as an editor leaves it."""
    path = tmp_path / "password"
    path.write_text(f"{PASSWORD}\n")
    return path


@pytest.fixture(name="unset")
def fixture_unset(saved, monkeypatch):
    """The command line with a repository that no variable names or opens."""
    monkeypatch.delenv("KBACKUP_REPOSITORY")
    monkeypatch.delenv("KBACKUP_REPO_PASSWORD")
    return saved


# --- where it is, and where the options stand -----------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ("--repo", "r", "-p", "password", "snapshots", "--json"),
        ("snapshots", "--json", "--repo", "r", "--password-file", "password"),
        ("-r", "r", "--json", "snapshots", "-p", "password"),
        ("--password-command", "cat password", "snapshots", "-r", "r", "--json"),
        ("snapshots", "--repository-file", "where", "-p", "password", "-o", "json"),
        ("--repo", "nowhere", "snapshots", "--repo", "r", "-p", "password", "--json"),
    ],
)
def test_options_before_and_after_the_verb(unset, file, tmp_path, words):
    """They mean the same; of two the one behind the verb counts."""
    (tmp_path / "where").write_text("r\n")

    done = unset(*words)

    assert done.code == 0, done.err
    assert len(json.loads(done.out)) == 2


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("snapshots", "--no-lock"), 0),
        (("--no-lock", "ls", "latest"), 0),
        (("snapshots",), 11),
        (("backup", "password", "--no-lock"), 2),
    ],
)
def test_reading_without_a_lock(saved, file, words, code):
    """It is done beside somebody who works alone; saving is refused."""
    place = LocalBackend(file.parent / "r")
    with Repository.open(place, PASSWORD) as repository:
        alone = _locks.acquire(repository._opened.documents, exclusive=True)
    with alone:
        assert saved(*words).code == code


def test_copying_without_a_lock(saved, tmp_path, monkeypatch):
    """It means the repository that is read; the other one is written under its lock."""
    monkeypatch.setenv("KBACKUP_FROM_REPO_PASSWORD", PASSWORD)
    with Repository.open(LocalBackend(tmp_path / "r"), PASSWORD) as repository:
        alone = _locks.acquire(repository._opened.documents, exclusive=True)
    assert saved("init", "--repo", "other").code == 0
    words = ("copy", "--repo", "other", "--from-repo", "r")
    with alone:
        assert saved(*words).code == 11
        assert saved(*words, "--no-lock").code == 0


def test_an_option_is_more_than_a_variable(saved, monkeypatch):
    """What is typed is meant."""
    monkeypatch.setenv("KBACKUP_REPOSITORY", "nowhere")

    assert saved("snapshots").code == 10
    assert saved("snapshots", "--repo", "r").code == 0


def test_a_url(saved, tmp_path):
    """A store that a plugin knows is opened as it is for backups of a cluster."""
    url = f"file://{tmp_path}/bucket"
    assert saved("init", "--repo", url).code == 0
    assert saved("backup", "src", "--repo", url).code == 0

    done = saved("snapshots", "--repo", url)

    assert "1 snapshot\n" in done.out
    with Repository.open(tmp_path / "bucket", PASSWORD) as repository:
        assert len(repository.list()) == 1


def test_no_repository_is_named(unset):
    """All three ways to name one are."""
    done = unset("snapshots")

    assert done.code == 2
    assert "give --repo DIRECTORY|URL or --repository-file" in done.err
    assert "KBACKUP_REPOSITORY" in done.err
    assert "RESTIC" not in done.err


def test_variables_of_restic(unset, monkeypatch):
    """Whoever has set them is told that they are not read."""
    monkeypatch.setenv("RESTIC_REPOSITORY", "r")
    monkeypatch.setenv("RESTIC_PASSWORD", "hidden")

    place, password = unset("snapshots"), unset("--repo", "r", "snapshots")

    assert "or set KBACKUP_REPOSITORY; RESTIC_REPOSITORY is not read\n" in place.err
    assert "KBACKUP_REPO_PASSWORD; RESTIC_PASSWORD is not read\n" in password.err
    assert "hidden" not in password.err


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("s3:s3.amazonaws.com/bucket/prefix", "s3://bucket/prefix\n"),
        ("s3:bucket-host/bucket", "s3://bucket?s3Url=https://bucket-host&"),
        (
            "s3:http://minio:9000/b/p",
            "s3://b/p?s3Url=http://minio:9000&s3ForcePathStyle",
        ),
        ("s3:bucket", "s3://bucket/prefix\n"),
        ("gs:bucket:/", "gs://bucket/prefix\n"),
        ("local:/srv/r", "without local:"),
        ("sftp:user@host:/srv", "a server is written sftp://user@host/path"),
        ("rest:https://user:hunter2@host/", "there are directories, and buckets"),
        ("s3:https://user:hunter2@host/b", "s3://bucket/prefix\n"),
    ],
)
def test_addresses_of_restic(saved, address, said):
    """They are refused with the spelling that is meant, and no password in it."""
    done = saved("snapshots", "--repo", address)

    assert done.code == 2
    assert said in done.err
    assert "hunter2" not in done.err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--repo", "r", "--repository-file", "f"), "both say where the repository is"),
        (("-p", "f", "--password-command", "f"), "both say the password"),
        (("--repository-file", "nope"), "nope: No such file or directory"),
        (("-p", "nope"), "nope: No such file or directory"),
        (("-p", "empty"), "the password from empty is empty"),
        (("-p", "binary"), "binary: it is no text in UTF-8"),
        (("--password-command", "nope"), "failed: No such file or directory"),
        (("--password-command", "false"), "failed: it ended with 1"),
        (("--password-command", "true"), "from --password-command is empty"),
        (("--password-command", "'"), "failed: it is no command"),
        (("--password-command", "cat binary"), "no text in UTF-8"),
        (("--repo", "memory://x"), "lives in memory"),
        (("-o", "yaml"), "no YAML"),
        (("--repo", ""), "it is empty"),
    ],
)
def test_options_that_cannot_be_meant(saved, tmp_path, words, reason):
    """They are refused, and say why."""
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\xff")

    done = saved("snapshots", *words)

    assert done.code == 2
    assert reason in done.err


def test_an_empty_variable(saved, monkeypatch):
    """It is no password, and nobody is asked instead."""
    monkeypatch.setenv("KBACKUP_REPO_PASSWORD", "")

    done = saved("snapshots")

    assert done.code == 2
    assert "the password from KBACKUP_REPO_PASSWORD is empty" in done.err


# --- questions ------------------------------------------------------------------------------


@pytest.fixture(name="typing")
def fixture_typing(monkeypatch):
    """A function: somebody sits at a terminal and types these lines when asked."""
    asked = []

    def typing(*lines):
        monkeypatch.setattr(_asking, "is_terminal", lambda _: True)
        monkeypatch.setattr("kbackup.cli._repo._progress.is_terminal", lambda _: False)
        answers = iter(lines)

        def prompt(question):
            asked.append(question)
            return next(answers)

        monkeypatch.setattr("click.termui.hidden_prompt_func", prompt)
        return asked

    return typing


def test_the_password_is_asked_for(unset, typing):
    """On a terminal, unseen, and only where there is a repository."""
    asked = typing(PASSWORD)

    assert unset("--repo", "nowhere", "snapshots").code == 10
    assert unset("--repo", "r", "snapshots").code == 0
    assert asked == ["Password of r: "]


def test_a_new_password_is_asked_for_twice(unset, typing, tmp_path):
    """A slip would make a repository that nobody opens."""
    asked = typing("one", "two", PASSWORD, PASSWORD)

    done = unset("--repo", "new", "init")

    assert done.code == 0, done.err
    assert len(asked) == 4
    with Repository.open(tmp_path / "new", PASSWORD):
        pass


def test_the_older_password_is_asked_for_first(unset, typing, tmp_path):
    """Then the new one, twice."""
    asked = typing(PASSWORD, WRONG, WRONG)

    assert unset("--repo", "r", "key", "passwd").code == 0
    assert asked == ["Password of r: ", "New password of r: ", "Once more: "]
    with Repository.open(tmp_path / "r", WRONG):
        pass


def test_nobody_to_ask(unset):
    """All three ways to give a password are named."""
    done = unset("--repo", "r", "snapshots")

    assert done.code == 2
    assert "no password for r was given" in done.err
    for way in ("--password-file", "--password-command", "KBACKUP_REPO_PASSWORD"):
        assert way in done.err


# --- what does not open ---------------------------------------------------------------------


def test_no_repository_is_there(saved):
    """Exit code 10, and the command that makes one there."""
    done = saved("--repo", "nowhere", "snapshots")

    assert done.code == 10
    assert done.next == "Next: kbackup repo init --repo nowhere"


def test_a_wrong_password(saved, monkeypatch):
    """Exit code 12; neither the right nor the wrong one is told."""
    monkeypatch.setenv("KBACKUP_REPO_PASSWORD", WRONG)

    done = saved("snapshots")

    assert done.code == 12
    assert "no key opens with this password" in done.err
    assert WRONG not in done.err
    assert done.next == "Next: kbackup repo snapshots"


def test_a_newer_format(saved, tmp_path):
    """It is refused, not guessed at."""
    with Repository.open(tmp_path / "r", PASSWORD) as repository:
        opened = repository._opened
        content = {
            "version": 3,
            "id": repository.id,
            "chunker_polynomial": "2a482f5f6ecd19",
        }
        sealed = opened.key.seal(json.dumps(content).encode())
    (tmp_path / "r/config").chmod(0o600)
    (tmp_path / "r/config").write_bytes(bytes(sealed))

    done = saved("snapshots")

    assert done.code == 1
    assert "unknown format" in done.err
    assert done.next == "Next: kbackup version"


def test_what_is_damaged(saved, tmp_path):
    """The file is named, and what looks for more of it is next."""
    for path in (tmp_path / "r/snapshots").iterdir():
        path.chmod(0o600)
        path.write_bytes(path.read_bytes()[:-1] + b"x")

    done = saved("snapshots")

    assert done.code == 1
    assert "snapshot" in done.err
    assert done.next == "Next: kbackup repo check"


@pytest.fixture(name="locked")
def fixture_locked(saved, tmp_path):
    """A function: leaves a lock of another machine, so many minutes old."""

    def lock(minutes):
        with Repository.open(tmp_path / "r", PASSWORD) as repository:
            opened = repository._opened
            documents = Documents(
                LocalBackend(tmp_path / "r"), opened.key, repository.version
            )
        moment = datetime.now(UTC) - timedelta(minutes=minutes)
        _locks._save(documents, moment, True)

    return lock


def test_locked(saved, locked, monkeypatch):
    """Exit code 11, who holds it, and how to wait for that."""
    locked(1)

    done = saved("snapshots")

    assert done.code == 11
    assert f"by process {os.getpid()} of " in done.err
    assert done.next == "Next: kbackup repo snapshots --retry-lock 5m"


def test_a_stale_lock(saved, locked):
    """What removes it is next, and does."""
    locked(31)

    done = saved("snapshots")

    assert done.code == 11
    assert done.next == "Next: kbackup repo unlock"
    assert saved("unlock").out == "Removed 1 lock\n"
    assert saved("snapshots").code == 0


def test_waiting_for_a_lock(saved, locked):
    """With --retry-lock it is tried again, and what is next is the same command."""
    locked(1)

    done = saved("--retry-lock", "10ms", "snapshots")

    assert done.code == 11
    assert done.next == "Next: kbackup repo --retry-lock 10ms snapshots"


def test_unlock_all(saved, locked):
    """The lock of a process that may live goes with --remove-all only."""
    locked(1)

    assert saved("unlock").out == "Removed 0 locks\n"
    assert json.loads(saved("unlock", "--remove-all", "--json").out)["removed"] == 1
    assert saved("snapshots").code == 0


# --- secrets --------------------------------------------------------------------------------


def test_no_password_is_told(unset, file, tmp_path):
    """Whatever fails: not by what failed, and not by the command to type next."""
    new = tmp_path / "new"
    new.write_text("hunter2")
    command = f"printf %s '{PASSWORD}'"
    opening = ("--repo", "r", "--password-command", command)

    for words in (
        (*opening, "restore", "nope", "--target", "out"),
        (*opening, "restore", "latest"),
        (*opening, "forget", "--keep-last", "1"),
        (*opening, "backup", "nope"),
        (*opening, "key", "add", "--new-password-file", new),
        (*opening, "key", "passwd", "--new-password-file", new),
        ("--repo", "r", f"--password-command=echo {WRONG}", "snapshots"),
        ("--repo", "r", "--password-command", f"false {WRONG}", "snapshots"),
        ("--repo", "nowhere", "--password-command", f"echo {WRONG}", "init"),
    ):
        done = unset(*words)

        for secret in (PASSWORD, "hunter2", WRONG):
            assert secret not in done.out + done.err, words


def test_the_next_command_names_the_password_file(unset, file):
    """What continues means the same repository, and opens it."""
    done = unset("--repo", "r", "-p", "password", "forget", "0f0f0f0f0f", "--yes")

    assert done.next == "Next: kbackup repo snapshots --repo r --password-file password"


# --- what is loaded -------------------------------------------------------------------------


def test_a_directory_needs_no_cluster_and_no_plugin(saved):
    """Listing a repository of a directory loads neither's libraries."""
    program = (
        "import sys; from kbackup.cli._app import run; code = run(sys.argv[1:]); "
        "print({m.partition('.')[0] for m in sys.modules} & {'kubernetes', 'pluggy'}); "
        "sys.exit(code)"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, "repo", "snapshots"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.splitlines()[-1] == "set()"


def test_help_loads_no_repository():
    """The verbs are told without the library's weight."""
    program = (
        "import sys; from kbackup.cli._app import run; run(['repo', '--help']); "
        "print({'cryptography', 'zstandard', 'rich'} & sys.modules.keys())"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.splitlines()[-1] == "set()"
    for verb in ("init", "backup", "restore", "repair-index", "unlock", "stats"):
        assert f"\n  {verb} " in done.stdout


def test_without_a_verb(capsys):
    """The help, which is no error."""
    assert run(["repo", "--help"]) == 0
    assert "Keep files in an encrypted repository" in capsys.readouterr().out


# --- what a program is told of a failure ------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--repo", "nowhere", "snapshots"), 10, "nowhere: no repository is there"),
        (("snapshots", "ab", "cd"), 1, "snapshot 'cd': no such snapshot"),
        (("forget", "latest"), 2, "there is no terminal to ask on: give --yes"),
        (("dump", "latest", "/", "--target", "no/file"), 1, "no/file: No such file"),
        (("check", "--read-data-subset", "9/2"), 2, "'9/2' is no part of a repository"),
    ],
    ids=["not there", "several", "nobody to ask", "system", "wrong use"],
)
def test_a_failure_in_json(saved, words, code, said):
    """The last line says it as restic does, and nothing else is on stderr."""
    done = saved(*words, "--json")

    (line,) = done.err.splitlines()
    content = json.loads(line)
    assert done.code == code
    assert content.keys() == {"message_type", "code", "message"}
    assert (content["message_type"], content["code"]) == ("exit_error", code)
    assert said in content["message"]


def test_a_wrong_password_in_json(saved, monkeypatch):
    """With restic's exit code in it; the password is not."""
    monkeypatch.setenv("KBACKUP_REPO_PASSWORD", WRONG)

    content = json.loads(saved("snapshots", "--json").err)

    assert (content["message_type"], content["code"]) == ("exit_error", 12)
    assert WRONG not in content["message"]


def test_what_the_system_says_names_the_file(saved):
    """As programs of the system say it, without its number."""
    done = saved("dump", "latest", "/", "--target", "no/file")

    assert done.err.splitlines()[0] == "Error: no/file: No such file or directory"
