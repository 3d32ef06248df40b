"""Sealing: AES-256 in counter mode under a Poly1305-AES code, and keys from passwords.

Nothing of cryptography is written here: `cryptography` does it, put together as the
format says. Called by whatever seals; knows neither JSON nor files.
Source: restic ``doc/design.rst``, "Keys, Encryption and MAC".
"""

from __future__ import annotations

import os
import threading
from typing import Protocol

import attrs
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.poly1305 import Poly1305

from kbackup.errors import KeySizeError, SealBrokenError
from kbackup.repository._ids import Bytes

KEY_SIZE = 64
_AES_SIZE, _HALF = 32, 16  # bytes of the cipher's key, of each half of the MAC's
IV_SIZE = MAC_SIZE = 16
SEAL_OVERHEAD = IV_SIZE + MAC_SIZE
"""Bytes by which a sealed text is longer than the plain one."""

SALT_SIZE = 64
_IVS = 64
_NO_IV = bytes(IV_SIZE)  # restic refuses it, so that forgotten ones are found


@attrs.frozen
class ScryptParameters:
    """How dear it is to try a password.

    Attributes:
        n: Rounds, a power of two; memory is ``128 * n * r`` bytes.
        r: Size of a block.
        p: How often all of it is done.
    """

    n: int
    r: int
    p: int


class _Transform(Protocol):
    """What is used of a cipher's context."""

    def reset_nonce(self, nonce: bytes) -> None: ...

    def update_into(self, data: Bytes, buf: Bytes) -> int: ...


class SecretKey:
    """A key that seals and unseals; the password's own, or the repository's.

    May be used by many threads, each of which has contexts of its own: to make them
    takes longer than to seal a small blob.

    Args:
        secret: 64 bytes: 32 for AES-256, then Poly1305-AES ``k`` (16) and ``r`` (16).

    Raises:
        KeySizeError: They are not 64, or one of the two keys is nothing but zeros.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) != KEY_SIZE:
            raise KeySizeError("key", f"{len(secret)} bytes instead of {KEY_SIZE}")
        cipher, k, r = secret[:_AES_SIZE], secret[_AES_SIZE:-_HALF], secret[-_HALF:]
        if not (any(cipher) and any(k) and any(r)):
            raise KeySizeError("key", "a part of it is nothing but zeros")
        self.secret = secret
        self._cipher, self._k, self._r = cipher, k, r
        self._local = threading.local()

    @classmethod
    def random(cls) -> SecretKey:
        """Return a new key."""
        return cls(os.urandom(KEY_SIZE))

    def __repr__(self) -> str:
        return "SecretKey(...)"

    def seal(self, plain: Bytes) -> bytearray:
        """Encrypt *plain*, then authenticate it.

        Returns:
            ``IV (16) || ciphertext (len(plain)) || MAC (16)``, under a fresh random IV.
        """
        iv = self._new_iv()
        size = len(plain)
        sealed = bytearray(size + SEAL_OVERHEAD)
        sealed[:IV_SIZE] = iv
        view = memoryview(sealed)
        middle = view[IV_SIZE : IV_SIZE + size]
        self._stream(iv).update_into(plain, middle)
        view[IV_SIZE + size :] = Poly1305.generate_tag(self._code_key(iv), middle)
        return sealed

    def unseal(self, sealed: Bytes, what: str) -> bytearray:
        """Check the code, then decrypt.

        Args:
            sealed: As `seal` returns it.
            what: How messages name it.

        Returns:
            The plain bytes, 32 fewer than were given.

        Raises:
            SealBrokenError: The code does not fit; nothing was decrypted.
        """
        view = memoryview(sealed)
        size = len(view) - SEAL_OVERHEAD
        if size < 0:
            raise SealBrokenError(what, f"it has only {len(view)} bytes")
        iv, middle = bytes(view[:IV_SIZE]), view[IV_SIZE : IV_SIZE + size]
        try:
            code = bytes(view[IV_SIZE + size :])
            Poly1305.verify_tag(self._code_key(iv), middle, code)
        except InvalidSignature as exc:
            raise SealBrokenError(what) from exc
        plain = bytearray(size)
        self._stream(iv).update_into(middle, plain)
        return plain

    # --- contexts ---------------------------------------------------------------------

    def _stream(self, iv: bytes) -> _Transform:
        """This thread's cipher, at the beginning of the stream of *iv*."""
        context: _Transform | None = getattr(self._local, "stream", None)
        if context is None:
            cipher = Cipher(algorithms.AES(self._cipher), modes.CTR(iv))
            context = self._local.stream = cipher.encryptor()
        context.reset_nonce(iv)
        return context

    def _new_iv(self) -> bytes:
        """Return random bytes; the system is asked for many at once, which is quicker."""
        local = self._local
        drawn: list[bytes] = getattr(local, "drawn", [])
        while not drawn:
            many = os.urandom(_IVS * IV_SIZE)
            each = [many[at : at + IV_SIZE] for at in range(0, len(many), IV_SIZE)]
            drawn = local.drawn = [iv for iv in each if iv != _NO_IV]
        return drawn.pop()

    def _code_key(self, iv: bytes) -> bytes:
        """Return Poly1305's key for one text: ``r``, and the IV encrypted with ``k``."""
        local = self._local
        block = getattr(local, "block", None)
        if block is None:
            # One block after the other, each by itself: for one block that is AES alone.
            cipher = Cipher(algorithms.AES(self._k), modes.ECB())  # noqa: S305
            block = local.block = cipher.encryptor()
        return self._r + block.update(iv)


def derive_key(password: str, salt: bytes, parameters: ScryptParameters) -> SecretKey:
    """Return the key that a password stands for.

    Raises:
        KeySizeError: The parameters or the salt are none that scrypt takes.
    """
    if len(salt) != SALT_SIZE:
        raise KeySizeError("salt", f"{len(salt)} bytes instead of {SALT_SIZE}")
    try:
        scrypt = Scrypt(
            salt=salt,
            length=KEY_SIZE,
            n=parameters.n,
            r=parameters.r,
            p=parameters.p,
        )
        return SecretKey(scrypt.derive(password.encode(errors="surrogateescape")))
    except (ValueError, TypeError, OverflowError, MemoryError) as exc:
        raise KeySizeError("scrypt parameters", str(exc)) from exc
