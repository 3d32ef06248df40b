"""Documents come back as they were written, or not at all."""

import pytest

from kbackup.errors import (
    IntegrityError,
    ObjectExistsError,
    ObjectNotFoundError,
    SealBrokenError,
    UnsupportedFormatError,
)
from kbackup.repository._backend import CONFIG, File, FileType
from kbackup.repository._documents import Documents
from kbackup.repository._ids import hash_of


def save_sealed(backend, key, plain):
    """Put a sealed text where an index lies, under its name; return that."""
    sealed = bytes(key.seal(plain))
    name = hash_of(sealed)
    backend.save(File(FileType.INDEX, name), sealed)
    return name


def test_a_document_comes_back(documents):
    """JSON goes in and comes out."""
    name = documents.save(FileType.SNAPSHOT, b'{"a": 1}')

    assert documents.load(FileType.SNAPSHOT, name) == b'{"a": 1}'


def test_the_name_is_that_of_the_bytes(documents, backend):
    """A file is named after what lies there: anybody can check it without a key."""
    name = documents.save(FileType.SNAPSHOT, b"{}")

    assert hash_of(backend.load(File(FileType.SNAPSHOT, name))) == name


def test_only_the_second_version_compresses(documents, backend, version):
    """The first one's programs read nothing that is compressed."""
    name = documents.save(FileType.SNAPSHOT, b'{"a": "' + b"a" * 10_000 + b'"}')

    size = backend.size(File(FileType.SNAPSHOT, name))

    assert (size < 1000) is (version == 2)


def test_the_config_is_never_compressed(documents, backend, key):
    """It tells which version the repository is: all read it."""
    documents.save_config(b'{"version": 2}')

    assert key.unseal(backend.load(CONFIG), "config") == b'{"version": 2}'
    assert documents.load_config() == b'{"version": 2}'


def test_a_config_is_never_replaced(documents):
    """The first one of two who make a repository has made it."""
    documents.save_config(b"{}")

    with pytest.raises(ObjectExistsError):
        documents.save_config(b'{"another": 1}')
    assert documents.load_config() == b"{}"


def test_what_is_not_there(documents):
    """It is told as the store tells it."""
    with pytest.raises(ObjectNotFoundError):
        documents.load(FileType.INDEX, bytes(32))


def test_a_file_under_a_wrong_name(documents, backend):
    """It is found before anything is unsealed, and named."""
    name = documents.save(FileType.INDEX, b"{}")
    wrong = bytes(32)
    backend.save(File(FileType.INDEX, wrong), backend.load(File(FileType.INDEX, name)))

    with pytest.raises(IntegrityError, match="index 00000000: damaged: its bytes"):
        documents.load(FileType.INDEX, wrong)


def test_what_was_turned_on_its_way_is_read_again(documents, backend, monkeypatch):
    """A bit that turns in the network costs a second reading, and no more."""
    name = documents.save(FileType.INDEX, b"{}")
    load, reads = backend.load, []

    def sometimes(file):
        reads.append(file)
        return b"turned" if len(reads) == 1 else load(file)

    monkeypatch.setattr(backend, "load", sometimes)

    assert documents.load(FileType.INDEX, name) == b"{}"


def test_every_flipped_bit_is_found(documents, backend):
    """Of a file under its own name, too: whoever changes it can name it anew."""
    name = documents.save(FileType.INDEX, b'{"packs":[]}')
    content = backend.load(File(FileType.INDEX, name))

    for position in range(len(content) * 8):
        broken = bytearray(content)
        broken[position // 8] ^= 1 << position % 8
        renamed = hash_of(broken)
        backend.save(File(FileType.INDEX, renamed), bytes(broken))
        with pytest.raises(SealBrokenError):
            documents.load(FileType.INDEX, renamed)


def test_an_encoding_of_the_future(documents, backend, key):
    """It is told from damage: a newer program wrote it."""
    name = save_sealed(backend, key, b"\x03what comes then")

    with pytest.raises(UnsupportedFormatError, match="first byte is 3"):
        documents.load(FileType.INDEX, name)


def test_an_empty_document(documents, backend, key):
    """It is none."""
    name = save_sealed(backend, key, b"")

    with pytest.raises(UnsupportedFormatError, match="it is empty"):
        documents.load(FileType.INDEX, name)


def test_a_frame_that_does_not_inflate(documents, backend, key):
    """Sealed as it was, and yet no zstd."""
    name = save_sealed(backend, key, b"\x02no frame")

    with pytest.raises(IntegrityError, match="cannot be inflated"):
        documents.load(FileType.INDEX, name)


def test_either_version_reads_both_encodings(backend, key):
    """As restic does: a repository that was upgraded has documents of both."""
    old, new = Documents(backend, key, 1), Documents(backend, key, 2)
    names = [each.save(FileType.INDEX, b'{"packs":[]}') for each in (old, new)]

    for documents in (old, new):
        for name in names:
            assert documents.load(FileType.INDEX, name) == b'{"packs":[]}'
