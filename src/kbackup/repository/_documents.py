"""Files of one JSON document: config, indexes, snapshots, locks; compressed and sealed.

What is read is held against its name first, so that a file under a wrong name, or a torn
one, is told from a broken seal. Called by the modules of these files.
Source: restic ``doc/design.rst``, "Unpacked Data Format".
"""

from __future__ import annotations

from kbackup.errors import (
    IntegrityError,
    ObjectDamagedError,
    UnsupportedFormatError,
)
from kbackup.repository._backend import CONFIG, Backend, File, FileType
from kbackup.repository._compression import Zstd
from kbackup.repository._crypto import SecretKey
from kbackup.repository._ids import Bytes, hash_of

_COMPRESSED = 2  # the first byte
_PLAIN = b"[{"  # of JSON itself
_LARGEST = 1 << 30  # bytes of a document; restic keeps its own below 8 MiB


class Documents:
    """Loads and saves the documents of one repository.

    Args:
        backend: Where they lie.
        key: The repository's own.
        version: Of the repository; from 2 on documents are compressed.
    """

    def __init__(self, backend: Backend, key: SecretKey, version: int) -> None:
        self.backend = backend
        self._key = key
        self._compresses = version > 1
        self._zstd = Zstd()

    def save(self, kind: FileType, document: bytes) -> bytes:
        """Write a document of JSON, durably; return the 32 bytes that name it."""
        packed: Bytes = document
        if self._compresses:
            packed = bytes((_COMPRESSED,)) + self._zstd.compress(document)
        sealed = self._key.seal(packed)
        name = hash_of(sealed)
        self.backend.save(File(kind, name), sealed)
        return name

    def load(self, kind: FileType, name: bytes) -> bytes:
        """Return the JSON of a document.

        Raises:
            ObjectNotFoundError: There is no such file.
            IntegrityError: It is not what was written.
            UnsupportedFormatError: It begins with an encoding that is not known here.
        """
        file = File(kind, name)
        return self.opened(file, load_whole(self.backend, file))

    def save_config(self, document: bytes) -> None:
        """Write the config, which nothing compresses; raises where there is one."""
        self.backend.save(CONFIG, self._key.seal(document))

    def load_config(self) -> bytes:
        """Return the JSON of the config; raises as `load`."""
        return self.opened(CONFIG, _load(self.backend, CONFIG))

    def opened(self, file: File, sealed: Bytes) -> bytes:
        """Return the JSON in the bytes of a file."""
        plain = self._key.unseal(sealed, str(file))
        if plain[:1] and plain[0] in _PLAIN:
            return bytes(plain)
        if plain[:1] == bytes((_COMPRESSED,)):
            return self._zstd.inflate(memoryview(plain)[1:], _LARGEST, str(file))
        found = f"its first byte is {plain[0]}" if plain else "it is empty"
        raise UnsupportedFormatError(str(file), found)


def load_whole(backend: Backend, file: File) -> bytes:
    """Return all bytes of a file that are those its name stands for.

    Raises:
        ObjectNotFoundError: There is no such file.
        IntegrityError: They are others, or its medium fails.
    """
    content = _load(backend, file)
    if hash_of(content) != file.name:
        # What was lost or turned on its way comes right the second time.
        content = _load(backend, file)
        if hash_of(content) != file.name:
            raise IntegrityError(str(file), "its bytes are not those of its name")
    return content


def _load(backend: Backend, file: File) -> bytes:
    try:
        return backend.load(file)
    except ObjectDamagedError as exc:
        raise IntegrityError(str(file), exc.reason) from exc
