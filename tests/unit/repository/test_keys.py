"""Passwords open repositories, and nothing else does."""

import base64
import json
from pathlib import Path

import pytest

from kbackup.errors import (
    IntegrityError,
    ObjectDamagedError,
    RepositoryError,
    UnsupportedFormatError,
    WrongPasswordError,
)
from kbackup.repository import _keys
from kbackup.repository._backend import File, FileType
from kbackup.repository._crypto import ScryptParameters, SecretKey
from kbackup.repository._ids import hash_of
from kbackup.repository._keys import (
    MOST_KEYS,
    calibrated,
    list_keys,
    open_key,
    remove_key,
    save_key,
)

CHEAP = ScryptParameters(n=2, r=1, p=1)
FORMATS = Path(__file__).parents[2] / "formats" / "restic"


def save(backend, key, password="geheim"):  # noqa: S107 - opens nothing
    """Write a key file that costs nothing to try."""
    return save_key(backend, key, password, CHEAP, hostname="host", username="user")


def replace(backend, name, **changes):
    """Write a key file with other values, under its own new name; remove the old one."""
    file = File(FileType.KEY, name)
    content = json.dumps(json.loads(backend.load(file)) | changes).encode()
    backend.remove(file)
    backend.save(File(FileType.KEY, hash_of(content)), content)


def test_a_password_opens(backend, key):
    """It gives the very key that was sealed, and says which file it was."""
    name = save(backend, key)

    opened = open_key(backend, "geheim")

    assert opened.id == name
    assert opened.master.secret == key.secret


def test_a_key_file_of_restic_opens(backend):
    """Any password that opens a repository of restic opens it here."""
    content = (FORMATS / "key.json").read_bytes()
    backend.save(File(FileType.KEY, hash_of(content)), content)

    assert open_key(backend, "geheim").id == hash_of(content)


def test_a_wrong_password(backend, key):
    """It is told how many keys were tried, and never what was typed."""
    save(backend, key)
    save(backend, key, "another")

    with pytest.raises(
        WrongPasswordError, match=r"memory: no key opens .* 2 tried"
    ) as c:
        open_key(backend, "falsch")

    assert c.value.exit_code == 12
    assert "falsch" not in str(c.value)


def test_no_key_at_all(backend):
    """A repository without keys opens with nothing."""
    with pytest.raises(WrongPasswordError, match="0 tried"):
        open_key(backend, "geheim")


def test_each_password_has_a_file(backend, key):
    """One that is added opens the same repository; removed, it does not any more."""
    first = save(backend, key)
    second = save(backend, key, "neu")

    assert open_key(backend, "neu").master.secret == key.secret
    remove_key(backend, first, current=second)

    with pytest.raises(WrongPasswordError):
        open_key(backend, "geheim")


def test_the_key_in_use_stays(backend, key):
    """Whoever could remove it could lock everybody out."""
    name = save(backend, key)

    with pytest.raises(RepositoryError, match="it is the one in use"):
        remove_key(backend, name, current=name)
    assert open_key(backend, "geheim")


def test_a_hint_is_tried_first(backend, key, monkeypatch):
    """Of many keys the right one costs one try."""
    names = [save(backend, key, f"password {n}") for n in range(5)]
    tried, opened = [], _keys._opened
    monkeypatch.setattr(
        _keys, "_opened", lambda b, name, p: tried.append(name) or opened(b, name, p)
    )

    open_key(backend, "password 3", hint=names[3])

    assert tried == [names[3]]


def test_a_hint_that_is_gone(backend, key):
    """The others are tried all the same."""
    name = save(backend, key)

    assert open_key(backend, "geheim", hint=bytes(32)).id == name


def test_no_more_than_twenty_are_tried(backend, key):
    """As restic: each costs half a second."""
    for number in range(MOST_KEYS + 3):
        save(backend, key, f"password {number}")

    with pytest.raises(WrongPasswordError, match=f"{MOST_KEYS} tried"):
        open_key(backend, "another")


def test_what_a_file_tells(backend, key):
    """Who made it, where and when: for that no password is needed."""
    name = save(backend, key)

    (info,) = list_keys(backend)

    assert (info.id, info.username, info.hostname) == (name, "user", "host")
    assert info.parameters == CHEAP
    assert info.created.tzinfo is not None
    assert key.secret.hex() not in repr(info)


def test_a_file_has_its_user_and_host(backend, key):
    """Where nobody says otherwise they are this process's."""
    save_key(backend, key, "geheim", CHEAP)

    (info,) = list_keys(backend)

    assert info.username
    assert info.hostname


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"kdf": "argon2"}, UnsupportedFormatError, "'argon2'"),
        ({"N": 1 << 24}, UnsupportedFormatError, "would take minutes"),
        ({"N": 1 << 20, "r": 8, "p": 1 << 20}, UnsupportedFormatError, "minutes"),
        ({"N": 2, "r": 1, "p": 1 << 26}, UnsupportedFormatError, "minutes"),
        ({"N": 3}, RepositoryError, "scrypt parameters: wrong size"),
        ({"N": "many"}, IntegrityError, "it is no key file"),
        ({"created": "yesterday"}, IntegrityError, "it is no key file"),
        ({"salt": "!"}, IntegrityError, "it is no key file"),
        ({"salt": "AAAA"}, RepositoryError, "salt: wrong size of a key: 3 bytes"),
    ],
)
def test_a_file_that_cannot_be_tried(backend, key, changes, error, match):
    """It is named with what is wrong; a bomb is not tried."""
    replace(backend, save(backend, key), **changes)

    with pytest.raises(error, match=match):
        open_key(backend, "geheim")


def test_a_damaged_file_locks_nobody_out(backend, key):
    """Another one that opens is enough."""
    replace(backend, save(backend, key), kdf="argon2")
    save(backend, key)

    assert open_key(backend, "geheim").master.secret == key.secret


def test_a_file_that_cannot_be_read_locks_nobody_out(backend, key, monkeypatch):
    """Nor does one on a bad place of the disk, or as large as no key is."""
    broken = save(backend, key)
    right = save(backend, key)
    load = backend.load

    def some(file, *where):
        if file.name == broken:
            raise ObjectDamagedError(file.key, "Input/output error")
        return load(file, *where)

    monkeypatch.setattr(backend, "load", some)

    assert open_key(backend, "geheim", hint=broken).id == right
    backend.remove(File(FileType.KEY, right))
    with pytest.raises(IntegrityError, match=r"key .*: damaged: Input/output error"):
        open_key(backend, "geheim")


def test_every_flipped_bit_is_found(backend, key):
    """A file whose bytes are not those of its name is never tried."""
    name = save(backend, key)
    content = backend.load(File(FileType.KEY, name))
    backend.remove(File(FileType.KEY, name))

    for position in range(0, len(content) * 8, 7):
        broken = bytearray(content)
        broken[position // 8] ^= 1 << position % 8
        backend.save(File(FileType.KEY, name), bytes(broken))
        with pytest.raises(IntegrityError, match="its bytes are not those of its name"):
            open_key(backend, "geheim")
        backend.remove(File(FileType.KEY, name))


@pytest.mark.parametrize("master", [b"{}", b"no JSON", None])
def test_a_seal_around_something_else(backend, key, master):
    """It opens and holds no key: that is damage, not a wrong password."""
    name = save(backend, key)
    written = json.loads(backend.load(File(FileType.KEY, name)))
    user = _keys.derive_key("geheim", base64.b64decode(written["salt"]), CHEAP)
    zeros = base64.b64encode(bytes(16)).decode()
    empty = {"mac": {"k": zeros, "r": zeros}, "encrypt": zeros * 2}
    sealed = user.seal(json.dumps(empty).encode() if master is None else master)
    replace(backend, name, data=base64.b64encode(sealed).decode())

    with pytest.raises(IntegrityError, match="what it seals is no key"):
        open_key(backend, "geheim")


def test_parameters_are_measured_once():
    """They take what memory restic takes, and are the same for the whole process."""
    found = calibrated()

    assert 128 * found.n * found.r == 32 << 20
    assert found.p >= 1
    assert calibrated() is found


def test_secrets_stay_inside(backend, key):
    """Nothing that is opened shows its key."""
    save(backend, key)

    assert repr(open_key(backend, "geheim")).endswith("master=SecretKey(...))")
    assert SecretKey.random().secret != key.secret


def test_the_file_that_is_tried_first_is_tried_once(backend, key):
    """A wrong password costs as many tries as there are files."""
    save(backend, key)
    hint = save(backend, key)

    with pytest.raises(WrongPasswordError) as caught:
        open_key(backend, "falsch", hint=hint)

    assert caught.value.keys_tried == 2
