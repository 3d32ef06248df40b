"""Passwords that open a repository: listed, added, removed, changed."""

import json

import pytest

from kbackup.errors import WrongPasswordError
from kbackup.repository import Repository

PASSWORD, OTHER = "correct horse", "battery staple"


@pytest.fixture(name="other")
def fixture_other(tmp_path):
    """A file with another password."""
    path = tmp_path / "other"
    path.write_text(OTHER + "\n")
    return path


def keys(repo, *arguments):
    """Return the keys as JSON has them."""
    return json.loads(repo("key", "list", "--json", *arguments).out)


def test_list(repo):
    """A star marks the one that opened it."""
    done = repo("key", "list")

    header, line = done.out.splitlines()
    assert header.split() == ["ID", "USER", "HOST", "CREATED"]
    (only,) = keys(repo)
    assert line.startswith(f"*{only['id'][:8]}")
    assert only.keys() == {"current", "id", "userName", "hostName", "created"}
    assert only["current"] is True


def test_add(repo, other, tmp_path):
    """Both passwords open it from then on."""
    done = repo(
        *("key", "add", "--new-password-file", other),
        *("--host", "elsewhere", "--user", "till"),
    )

    assert done.code == 0
    first, second = keys(repo)
    assert done.out == f"Added key {second['id'][:8]}\n"
    assert (second["hostName"], second["userName"]) == ("elsewhere", "till")
    assert (first["current"], second["current"]) == (True, False)
    for password in (PASSWORD, OTHER):
        Repository.open(tmp_path / "r", password).close()


def test_remove(repo, other, tmp_path):
    """The other one opens nothing any more."""
    repo("key", "add", "--new-password-file", other)
    name = keys(repo)[1]["id"]

    done = repo("key", "remove", name[:10])

    assert done.code == 0
    assert len(keys(repo)) == 1
    with pytest.raises(WrongPasswordError):
        Repository.open(tmp_path / "r", OTHER)


def test_remove_the_one_in_use(repo):
    """Nobody locks themselves out."""
    done = repo("key", "remove", keys(repo)[0]["id"])

    assert done.code == 1
    assert ": it is the one in use and is not removed\nHint: " in done.err
    assert "failed" not in done.err
    assert done.err.endswith("Next: kbackup repo key list\n")
    assert len(keys(repo)) == 1


def test_remove_one_that_is_not_there(repo):
    """The list is next."""
    done = repo("key", "remove", "0f0f0f")

    assert done.code == 1
    assert "no such key" in done.err
    assert done.next == "Next: kbackup repo key list"


def test_passwd(repo, other, tmp_path, monkeypatch):
    """The new one opens it, and the old one does not."""
    done = repo("key", "passwd", "--new-password-file", other)

    assert done.code == 0
    assert repo("snapshots").code == 12
    monkeypatch.setenv("KBACKUP_REPO_PASSWORD", OTHER)
    (only,) = keys(repo)
    assert done.out == f"The new password's key is {only['id'][:8]}\n"


@pytest.mark.parametrize("verb", ["add", "passwd"])
def test_no_new_password(repo, verb):
    """Without a file and without a terminal nothing is changed."""
    done = repo("key", verb)

    assert done.code == 2
    assert "give --new-password-file" in done.err
    assert len(keys(repo)) == 1


def test_options_before_the_group(repo, other):
    """They may stand before ``key``, before its verb, and behind it."""
    for words in (
        ("--repo", "r", "key", "list"),
        ("key", "--repo", "r", "list"),
        ("key", "list", "--repo", "r"),
    ):
        assert repo(*words).code == 0
