"""Which key each file of a repository has, and back."""

import pytest

from kbackup.repository._backend import CONFIG, File, FileType, file_of
from kbackup.repository._ids import hash_of, parse_id, short

NAME = bytes.fromhex("3f2a" + "01" * 30)


@pytest.mark.parametrize(
    ("kind", "key", "words"),
    [
        (FileType.KEY, f"keys/{NAME.hex()}", "key 3f2a0101"),
        (FileType.LOCK, f"locks/{NAME.hex()}", "lock 3f2a0101"),
        (FileType.SNAPSHOT, f"snapshots/{NAME.hex()}", "snapshot 3f2a0101"),
        (FileType.INDEX, f"index/{NAME.hex()}", "index 3f2a0101"),
        (FileType.PACK, f"data/3f/{NAME.hex()}", "pack 3f2a0101"),
    ],
)
def test_each_file_has_its_place(kind, key, words):
    """It is restic's, so that stock restic finds it."""
    file = File(kind, NAME)

    assert file.key == key
    assert str(file) == words
    assert file_of(key) == file


def test_the_config_is_one_file():
    """It has no name of its own."""
    assert (CONFIG.key, str(CONFIG)) == ("config", "config")
    assert file_of("config") == CONFIG


@pytest.mark.parametrize(
    "key",
    [
        "",
        "README",
        "config/x",
        "data",
        f"data/{NAME.hex()}",
        f"data/aa/{NAME.hex()}",
        f"keys/3f/{NAME.hex()}",
        f"keys/{NAME.hex()[:-1]}",
        f"keys/{NAME.hex().upper()}",
        f"keys/{NAME.hex()}-tmp-12",
        f"snapshots/{'g' * 64}",
        f"tmp/{NAME.hex()}",
    ],
)
def test_strangers_are_none_of_ours(key):
    """What others put there is never taken for a file of the repository."""
    assert file_of(key) is None


def test_names_are_hashes():
    """64 digits in lower case stand for 32 bytes, eight of them are enough to talk of."""
    name = hash_of(b"")

    assert parse_id(name.hex()) == name
    assert short(name) == "e3b0c442"
