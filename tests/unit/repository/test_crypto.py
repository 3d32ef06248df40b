"""Sealed bytes open with their key and with nothing else."""

import base64
import json
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from kbackup.errors import KeySizeError, SealBrokenError
from kbackup.repository._crypto import (
    SALT_SIZE,
    SEAL_OVERHEAD,
    ScryptParameters,
    SecretKey,
    derive_key,
)

FORMATS = Path(__file__).parents[2] / "formats" / "restic"


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 1000, 1 << 20])
def test_what_was_sealed_opens(key, size):
    """Any number of bytes comes back, 32 of which are added meanwhile."""
    plain = bytes(range(256)) * (size // 256) + bytes(size % 256)

    sealed = key.seal(plain)

    assert len(sealed) == size + SEAL_OVERHEAD
    assert key.unseal(sealed, "it") == plain


def test_the_layout_is_that_of_the_format(key):
    """IV, AES-256-CTR, then Poly1305 under r and the IV encrypted with k."""
    plain = b"what is written down in the format"
    sealed = bytes(key.seal(plain))
    iv, middle = sealed[:16], sealed[16:-16]

    stream = Cipher(algorithms.AES(key.secret[:32]), modes.CTR(iv)).decryptor()

    assert stream.update(middle) == plain


def test_a_text_that_restic_sealed_opens():
    """The master key in a key file of restic 0.14 opens with its password."""
    file = json.loads((FORMATS / "key.json").read_bytes())
    salt = base64.b64decode(file["salt"])
    parameters = ScryptParameters(file["N"], file["r"], file["p"])

    key = derive_key("geheim", salt, parameters)
    plain = key.unseal(base64.b64decode(file["data"]), "key")

    assert plain.startswith(b'{"mac":{"k":"')


def test_no_two_texts_are_sealed_alike(key):
    """Each has an IV of its own: equal texts cannot be told."""
    assert len({bytes(key.seal(b"same")) for _ in range(100)}) == 100


def test_every_flipped_bit_is_found(key):
    """Wherever a bit of a sealed text turns, it does not open."""
    sealed = key.seal(b"some bytes to flip")

    for position in range(len(sealed) * 8):
        broken = bytearray(sealed)
        broken[position // 8] ^= 1 << position % 8
        with pytest.raises(SealBrokenError, match="pack 12: the seal is broken"):
            key.unseal(broken, "pack 12")


@pytest.mark.parametrize("size", [0, 1, 31])
def test_what_is_too_short_is_told(key, size):
    """Fewer bytes than the seal itself has are none."""
    with pytest.raises(SealBrokenError, match=f"only {size} bytes"):
        key.unseal(bytes(size), "it")


def test_another_key_opens_nothing(key):
    """Of another repository, say."""
    with pytest.raises(SealBrokenError):
        SecretKey.random().unseal(key.seal(b"x"), "it")


@pytest.mark.parametrize(
    "secret",
    [
        b"",
        bytes(63),
        bytes(64),
        bytes(32) + b"a" * 32,
        b"a" * 32 + bytes(16) + b"a" * 16,
        b"a" * 48 + bytes(16),
    ],
    ids=["none", "short", "zeros", "no cipher", "no k", "no r"],
)
def test_what_is_no_key_is_refused(secret):
    """A length, or a part that was never filled, is found before anything is sealed."""
    with pytest.raises(KeySizeError):
        SecretKey(secret)


def test_a_key_is_never_shown(key):
    """Neither as a text nor in a traceback's values."""
    assert key.secret.hex() not in repr(key)
    assert repr(key) == "SecretKey(...)"


def test_many_threads_seal_with_one_key(key):
    """Each has contexts of its own."""
    wrong = []

    def work(number):
        plain = bytes([number]) * 10_000
        opened = [key.unseal(key.seal(plain), "it") for _ in range(50)]
        wrong.extend(each for each in opened if each != plain)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


@pytest.mark.parametrize(
    ("salt", "parameters"),
    [
        (bytes(16), ScryptParameters(2, 1, 1)),
        (bytes(SALT_SIZE), ScryptParameters(3, 1, 1)),
        (bytes(SALT_SIZE), ScryptParameters(0, 8, 1)),
        (bytes(SALT_SIZE), ScryptParameters(2, 0, 1)),
        (bytes(SALT_SIZE), ScryptParameters(2, 1, -1)),
        (bytes(SALT_SIZE), ScryptParameters(2, 1, 1 << 80)),
    ],
)
def test_parameters_that_scrypt_does_not_take(salt, parameters):
    """They end in an error of ours that says so."""
    with pytest.raises(KeySizeError):
        derive_key("password", salt, parameters)


def test_a_password_is_its_bytes():
    """One that was typed in another encoding than UTF-8 is taken as it was."""
    salt, parameters = bytes(SALT_SIZE), ScryptParameters(2, 1, 1)

    plain = derive_key("ü\udcff", salt, parameters)

    assert plain.secret != derive_key("ü", salt, parameters).secret
