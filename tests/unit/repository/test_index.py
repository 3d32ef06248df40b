"""Indexes: where each blob is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbackup.errors import BlobMissingError, IntegrityError
from kbackup.repository import _index
from kbackup.repository._backend import FileType
from kbackup.repository._ids import BlobType
from kbackup.repository._index import (
    Index,
    IndexedPack,
    Place,
    decode_index,
    encode_index,
    load_index,
    save_index,
)
from kbackup.repository._packs import PackedBlob

A, B, C, D = (letter.encode() * 32 for letter in "abcd")
MOST = (1 << 32) - 1
WORDS = st.integers(0, MOST)
NAMES = st.binary(min_size=32, max_size=32)
BLOBS = st.builds(
    PackedBlob, st.sampled_from(BlobType), NAMES, WORDS, st.integers(32, MOST), WORDS
)
PACKS = st.lists(st.builds(IndexedPack, NAMES, st.lists(BLOBS, max_size=5).map(tuple)))
ONE = IndexedPack(A, (PackedBlob(BlobType.DATA, B, 0, 100, 300),))


@given(PACKS)
def test_an_index_comes_back(packs):
    """With everything that it says of a blob."""
    assert decode_index(encode_index(packs), "index") == tuple(packs)


def test_the_document_is_that_of_the_format():
    """Names in hexadecimal; a length before compression only where there is one."""
    plain = PackedBlob(BlobType.TREE, C, 100, 50, 0)
    document = json.loads(
        encode_index([IndexedPack(A, (*ONE.blobs, plain))], supersedes=[D])
    )

    assert document == {
        "supersedes": [D.hex()],
        "packs": [
            {
                "id": A.hex(),
                "blobs": [
                    {
                        "id": B.hex(),
                        "type": "data",
                        "offset": 0,
                        "length": 100,
                        "uncompressed_length": 300,
                    },
                    {"id": C.hex(), "type": "tree", "offset": 100, "length": 50},
                ],
            }
        ],
    }


def test_an_index_says_nothing_of_those_it_replaces_where_there_are_none():
    """As restic leaves the member out."""
    assert "supersedes" not in json.loads(encode_index([ONE]))


@given(PACKS)
def test_each_blob_is_found_where_it_first_was(packs):
    """All that fits the format comes out of memory as it went in."""
    index = Index()
    expected = {}
    for pack in packs:
        index.add(pack)
        for kind, name, *place in pack.blobs:
            expected.setdefault((kind, name), Place(pack.id, *place))

    assert len(index) == len(expected)
    for (kind, name), place in expected.items():
        assert index.has(kind, name)
        assert index.find(kind, name) == place
    for kind in BlobType:
        assert {(kind, name) for name in index.blobs(kind)} == {
            key for key in expected if key[0] == kind
        }


def test_a_blob_has_its_own_size():
    """Before compression, and without the seal."""
    assert Place(A, 0, 100, 300).size == 300
    assert Place(A, 0, 100, 0).size == 68


def test_a_blob_that_no_index_names():
    """It is named, with its type: a tree and a piece of a file are not the same."""
    index = Index()
    index.add(ONE)

    assert not index.has(BlobType.TREE, B)
    with pytest.raises(BlobMissingError, match=r"tree blob 62626262: not in the rep"):
        index.find(BlobType.TREE, B)


def blob(**changes):
    """A document of one blob, with changes."""
    whole = {"id": B.hex(), "type": "data", "offset": 0, "length": 100}
    return {"packs": [{"id": A.hex(), "blobs": [whole | changes]}]}


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"packs": [{"id": "ab", "blobs": []}]},
        {"packs": [{"id": A.hex()}]},
        blob(id="xy" * 32),
        blob(id="AB" * 32),
        blob(type="directory"),
        blob(offset=-1),
        blob(length=31),
        blob(length=1 << 32),
        blob(offset=1 << 32),
        blob(uncompressed_length=1 << 40),
        blob(uncompressed_length="many"),
    ],
)
def test_what_is_no_index(document):
    """It is damage, and the file is named."""
    with pytest.raises(IntegrityError, match="index 12: damaged: it is no index"):
        decode_index(json.dumps(document).encode(), "index 12")


@pytest.mark.parametrize(
    "data", [b"", b"no JSON", b"[" * 100_000, b'{"packs": "\xff"}']
)
def test_what_is_no_json(data):
    """Nor is that one."""
    with pytest.raises(IntegrityError):
        decode_index(data, "index")


@pytest.mark.parametrize(
    ("document", "packs"),
    [
        ({"packs": None, "supersedes": None}, ()),
        ({"packs": [{"id": A.hex(), "blobs": None}]}, (IndexedPack(A, ()),)),
    ],
)
def test_nothing_at_all(document, packs):
    """Go writes a list of nothing either way, and restic reads both."""
    assert decode_index(json.dumps(document).encode(), "index") == packs


def test_members_of_the_future_are_passed_over():
    """A newer program may say more."""
    document = blob(colour="red") | {"another": [1]}

    assert len(decode_index(json.dumps(document).encode(), "index")) == 1


def test_an_index_is_saved_and_loaded(documents):
    """Through the files of a repository."""
    (name,) = save_index(documents, [ONE])

    assert load_index(documents, name) == (ONE,)


def test_nothing_is_saved_of_nothing(documents, backend):
    """A run that added nothing writes no index."""
    assert save_index(documents, []) == []
    assert list(backend.list(FileType.INDEX)) == []


def test_files_stay_small(documents, monkeypatch):
    """So many blobs are in one: no document takes all memory."""
    monkeypatch.setattr(_index, "MOST_BLOBS", 3)
    packs = [
        IndexedPack(
            bytes([n]) * 32, (PackedBlob(BlobType.DATA, bytes([n]) * 32, 0, 99, 0),)
        )
        for n in range(7)
    ]

    names = save_index(documents, packs)

    assert [len(load_index(documents, name)) for name in names] == [3, 3, 1]
