"""A check finds whatever is damaged or missing, names it, and changes nothing."""

import os
import random

import attrs
import pytest
from msgspec.structs import replace

from kbackup.errors import (
    InvalidSpecError,
    ObjectDamagedError,
    PackCorruptError,
    StoreAccessError,
    StoreUnavailableError,
)
from kbackup.repository import (
    DirectorySource,
    FileType,
    MemoryBackend,
    Repository,
    ScryptParameters,
)
from kbackup.repository._backend import File
from kbackup.repository._ids import BlobID, BlobType, PackID, hash_of
from kbackup.repository._index import load_index, save_index
from kbackup.repository._pack_reading import find_faults
from kbackup.repository._packer import Packer
from kbackup.repository._snapshots import save_snapshot
from kbackup.repository._subset import Subset
from kbackup.repository._trees import encode_tree, load_tree

pytestmark = pytest.mark.usefixtures("at_once")

CHEAP = ScryptParameters(n=2, r=1, p=1)
PASSWORD = "geheim"


@pytest.fixture
def backend():
    """Where the repository is."""
    return MemoryBackend()


@pytest.fixture(params=[1, 2], ids=["version 1", "version 2"])
def repository(request, backend, tmp_path):
    """A repository with one snapshot."""
    chance = random.Random(1)  # noqa: S311 - no secret
    source = tmp_path / "source"
    (source / "below").mkdir(parents=True)
    (source / "large").write_bytes(chance.randbytes(2 << 20))
    for number in range(20):
        (source / "below" / f"{number}").write_bytes(chance.randbytes(500))
    with Repository.init(
        backend, PASSWORD, version=request.param, key_parameters=CHEAP
    ) as repository:
        repository.back_up(DirectorySource(source, base=source))
        yield repository


def only(backend, kind):
    """The one file of a kind."""
    (name,) = (name for name, _ in backend.list(kind))
    return File(kind, name)


def pack_of(repository, kind):
    """The pack that has most of the blobs of a kind."""
    repository._opened.refresh_index()
    packs = (p for p in repository._opened.packs() if p.blobs[0].type is kind)
    return max(packs, key=lambda pack: len(pack.blobs))


def flip(backend, file, at):
    """Turn one bit."""
    content = bytearray(backend.files[file])
    content[at] ^= 4
    backend.files[file] = bytes(content)


def reindex(repository, change):
    """Put another index in the place of the one there is."""
    documents = repository._opened.documents
    (name,) = (name for name, _ in documents.backend.list(FileType.INDEX))
    save_index(documents, change(load_index(documents, name)))
    documents.backend.remove(File(FileType.INDEX, name))


def said(result):
    """All errors in one text."""
    return "\n".join(map(str, result.errors))


def test_a_whole_repository_has_nothing_wrong(repository, backend):
    """All is counted, and nothing is written."""
    before = dict(backend.files)

    result = repository.check(read_data=True)

    assert (result.errors, result.hints) == ([], [])
    assert (result.is_whole, result.exit_code) == (True, 0)
    packs = dict(backend.list(FileType.PACK))
    assert (result.snapshots, result.trees, result.packs) == (1, 2, len(packs))
    assert result.unused_blobs == 0
    assert result.bytes_read == sum(packs.values())
    assert backend.files == before


def test_a_blob_that_is_in_a_pack_twice_harms_nobody(repository):
    """Two runs of a process may save one at the same time; pruning leaves one of them."""
    opened = repository._opened
    packer, name = Packer(opened.documents, opened.key), BlobID(hash_of(b"twice"))
    for _ in range(2):
        sealed = opened.codec.seal(BlobType.DATA, b"twice")
        packer.add(BlobType.DATA, [(name, sealed)])
    packer.flush()
    packer.close()

    result = repository.check(read_data=True)

    assert result.errors == []
    assert "1 blob: there more than once" in "".join(map(str, result.hints))


@pytest.mark.parametrize("kind", [FileType.SNAPSHOT, FileType.INDEX])
@pytest.mark.parametrize("damage", ["flipped", "cut", "empty"])
def test_a_damaged_document_is_named(repository, backend, kind, damage):
    """And whatever hangs on it."""
    file = only(backend, kind)
    content = backend.files[file]
    flipped = content[:-1] + bytes((content[-1] ^ 1,))
    backend.files[file] = {"flipped": flipped, "cut": content[:-9], "empty": b""}[
        damage
    ]

    result = repository.check()

    assert any(finding.thing == str(file) for finding in result.errors)
    assert result.exit_code == 1
    assert (kind is FileType.SNAPSHOT) == (len(result.errors) == 1)


@pytest.mark.parametrize("kind", BlobType)
def test_a_missing_pack_is_named(repository, backend, kind):
    """Of trees, what hangs on them is named too."""
    pack = pack_of(repository, kind)
    backend.remove(File(FileType.PACK, pack.id))

    result = repository.check(read_data=True)

    assert f"pack {pack.id.hex()[:8]}: an index names it, and it is gone" in said(
        result
    )
    assert (kind is BlobType.TREE) == ("tree " in said(result))


def test_a_pack_of_another_size_is_named(repository, backend):
    """As the index says how long it must be."""
    pack = pack_of(repository, BlobType.DATA)
    backend.files[File(FileType.PACK, pack.id)] += b"more"

    assert "by the index" in said(repository.check())


@pytest.mark.parametrize("kind", BlobType)
def test_a_blob_that_no_index_names_is_named(repository, kind):
    """With the file that needs it."""
    reindex(repository, lambda packs: [p for p in packs if p.blobs[0].type is not kind])

    result = repository.check()

    assert "no index names" in said(result)
    if kind is BlobType.DATA:
        assert "file 'large'" in said(result)
        assert len(result.errors) == 21


@pytest.mark.parametrize("kind", [FileType.SNAPSHOT, FileType.INDEX, FileType.KEY])
def test_a_document_on_a_bad_place_of_the_disk(repository, backend, kind, monkeypatch):
    """It is named as any other that is damaged; the index is made anew without it."""
    bad, load = only(backend, kind), backend.load

    def some(file, *where):
        if file == bad:
            raise ObjectDamagedError(file.key, "Input/output error")
        return load(file, *where)

    monkeypatch.setattr(backend, "load", some)

    assert f"{bad}: Input/output error" in said(repository.check())
    if kind is FileType.INDEX:
        assert list(repository.repair_index().damaged) == [bad.name]
        assert repository.check().errors == []


def test_a_pack_that_no_index_names_is_a_hint(repository, backend):
    """It harms nobody."""
    backend.files[File(FileType.PACK, b"\x01" * 32)] = b"left behind"

    result = repository.check()

    assert result.errors == []
    assert "pack 01010101: no index names it" in str(result.hints[0])


def test_every_byte_of_a_pack_is_looked_at(repository, backend):
    """Each turned bit is found: in blobs, in the header, in its length."""
    pack = pack_of(repository, BlobType.TREE)
    file = File(FileType.PACK, pack.id)
    whole = backend.files[file]
    for at in range(0, len(whole), 7):
        flip(backend, file, at)
        assert str(file) in said(repository.check(read_data=True)), at
        backend.files[file] = whole
    assert repository.check(read_data=True).errors == []


def test_without_reading_a_turned_bit_of_data_is_not_seen(repository, backend):
    """That is what reading is for; in a tree it is seen all the same."""
    data = File(FileType.PACK, pack_of(repository, BlobType.DATA).id)
    flip(backend, data, 100)
    assert repository.check().errors == []
    flip(backend, File(FileType.PACK, pack_of(repository, BlobType.TREE).id), 100)

    assert "tree" in said(repository.check())


def test_a_pack_under_a_wrong_name_is_found(repository, backend):
    """What is in it is whole; who looks for its name gets something else."""
    pack = pack_of(repository, BlobType.DATA)
    content = backend.files.pop(File(FileType.PACK, pack.id))
    other = PackID(b"\x07" * 32)
    backend.files[File(FileType.PACK, other)] = content
    reindex(
        repository,
        lambda ps: [p._replace(id=other) if p.id == pack.id else p for p in ps],
    )

    assert "not those of its name" in said(repository.check(read_data=True))


def test_an_index_that_tells_wrongly_is_found(repository):
    """Blobs at places where they are not: two that changed theirs."""
    pack = pack_of(repository, BlobType.DATA)

    def turned(packs):
        for each in packs:
            if each.id == pack.id:
                a, b, *rest = each.blobs
                swapped = (a._replace(id=b.id), b._replace(id=a.id), *rest)
                yield each._replace(blobs=swapped)
            else:
                yield each

    reindex(repository, turned)

    assert "elsewhere" in said(repository.check(read_data=True))


def test_an_index_that_names_too_little_is_found(repository):
    """A pack has more than that: its size tells, and its header."""
    pack = pack_of(repository, BlobType.DATA)
    reindex(
        repository,
        lambda ps: [
            p._replace(blobs=p.blobs[1:]) if p.id == pack.id else p for p in ps
        ],
    )

    result = repository.check(read_data=True)

    assert "by the index" in said(result)
    assert "no index names its data blob" in said(result)


def test_a_file_whose_size_is_not_that_of_its_blobs_is_found(repository):
    """One of them is shorter than it was."""
    opened = repository._opened
    opened.refresh_index()
    tree = repository.list()[0].tree
    large = next(n for n in load_tree(opened, tree) if n.name == b"large")
    first = large.blobs[0]

    def shortened(packs):
        for each in packs:
            blobs = tuple(
                b._replace(length=500) if b.id == first else b for b in each.blobs
            )
            yield each._replace(blobs=blobs)

    reindex(repository, shortened)

    assert "bytes instead of" in said(repository.check())


def test_what_others_loaded_does_not_count(repository, backend):
    """A repository that was open looks at what is there now."""
    repository.plan_prune()
    backend.remove(only(backend, FileType.INDEX))

    assert "no index names it" in said(repository.check())


def test_a_store_that_does_not_answer_ends_it(repository, backend, monkeypatch):
    """Nobody may take that for damage."""
    real = backend.load

    def load(file, *given):
        if file.type is FileType.PACK:
            raise StoreUnavailableError("a pack", "for the moment")
        return real(file, *given)

    monkeypatch.setattr(backend, "load", load)
    with pytest.raises(StoreUnavailableError):
        repository.check()
    with pytest.raises(StoreUnavailableError):
        repository.check(read_data=True)


def test_progress_is_told(repository):
    """Trees, then bytes of packs, up to the end."""
    told = []
    repository.check(read_data=True, told=told.append)

    assert {each.what for each in told} == {"read trees", "read packs"}
    assert told[-1].done == told[-1].total > 2 << 20


# --- which packs ----------------------------------------------------------------------

SIZES = {PackID(bytes([n]) + os.urandom(31)): 1000 for n in range(256)}


def test_all_parts_together_are_all_packs():
    """Each pack is in one of them."""
    parts = [Subset.parse(f"{part}/7").choose(SIZES) for part in range(1, 8)]

    assert sorted(name for part in parts for name in part) == sorted(SIZES)
    assert all(30 < len(part) < 40 for part in parts)


@pytest.mark.parametrize(
    ("text", "count"),
    [("10%", 26), ("0.1%", 1), ("100%", 256), ("10k", 10), ("1", 1), ("1g", 256)],
)
def test_so_many_are_chosen(text, count):
    """A share of the packs, or of the bytes; one at least."""
    chosen = Subset.parse(text).choose(SIZES)

    assert len(set(chosen)) == count
    assert set(chosen) <= SIZES.keys()


def test_none_is_chosen_of_none():
    """An empty repository has nothing to read."""
    for text in ("1/2", "50%", "1G"):
        assert Subset.parse(text).choose({}) == []


@pytest.mark.parametrize(
    "text", ["", "0/5", "6/5", "1/257", "0%", "101%", "-1", "0", "x", "1/2/3", "5 M"]
)
def test_what_is_no_part_is_said(repository, text):
    """Before anything is locked."""
    with pytest.raises(InvalidSpecError, match="no part of a repository"):
        repository.check(read_data=text)


def test_a_part_is_read(repository, backend):
    """What is in other parts is not."""
    sizes = dict(backend.list(FileType.PACK))
    total = 0
    for part in (1, 2, 3):
        total += repository.check(read_data=f"{part}/3").bytes_read

    assert total == sum(sizes.values())


def test_a_lost_blob_of_a_file_is_named_once(repository):
    """Of a file with many, the first one says enough."""
    reindex(repository, lambda ps: [p for p in ps if p.blobs[0].type is BlobType.TREE])

    result = repository.check()

    assert sum("'large'" in finding.thing for finding in result.errors) == 1


def test_a_damaged_key_is_named(repository, backend):
    """Whoever has its password would be shut out; an empty one is a torn write."""
    repository.add_key("another", key_parameters=CHEAP)
    file = next(
        f
        for f in backend.files
        if f.type == "keys" and f.name.hex() != repository.key_id
    )
    backend.files[file] = backend.files[file][:-1]

    assert [str(finding) for finding in repository.check().errors] == [
        f"{file}: its bytes are not those of its name"
    ]
    backend.files[file] = b""
    result = repository.check()
    assert (result.errors, [hint.thing for hint in result.hints]) == ([], [str(file)])


def test_a_pack_that_ends_too_early_is_damage(repository, backend, tmp_path):
    """And no fault of the store: a restore tells it of the files that need it."""
    pack = pack_of(repository, BlobType.TREE)
    file = File(FileType.PACK, pack.id)
    backend.files[file] = backend.files[file][:20]

    with pytest.raises(PackCorruptError, match="it has only 20 bytes"):
        repository.restore("latest", tmp_path / "target")


# --- backends that fail -----------------------------------------------------------------


def refuse(backend, monkeypatch, kind, error):
    """Let no file of a kind be read."""
    load = backend.load

    def refused(file, *part):
        if file.type is kind:
            raise error
        return load(file, *part)

    monkeypatch.setattr(backend, "load", refused)


@pytest.mark.parametrize("kind", [FileType.SNAPSHOT, FileType.INDEX, FileType.PACK])
def test_what_nobody_may_read_is_a_finding(repository, backend, monkeypatch, kind):
    """It is named, with what the store said."""
    file = next(File(kind, name) for name, _ in backend.list(kind))
    refuse(backend, monkeypatch, kind, StoreAccessError(file.key, "permission denied"))

    result = repository.check(read_data=True)

    assert f"{file}: " in said(result)
    assert "permission denied" in said(result)


@pytest.mark.parametrize("kind", [FileType.SNAPSHOT, FileType.INDEX, FileType.PACK])
def test_a_store_that_is_away_is_no_finding(repository, backend, monkeypatch, kind):
    """It says nothing of the repository."""
    refuse(backend, monkeypatch, kind, StoreUnavailableError("it", "away"))

    with pytest.raises(StoreUnavailableError):
        repository.check(read_data=True)


def test_a_pack_that_goes_while_it_is_checked(repository, backend):
    """It is a fault as any other."""
    repository._opened.refresh_index()
    pack = pack_of(repository, BlobType.DATA)
    backend.remove(File(FileType.PACK, pack.id))

    assert find_faults(repository._opened, pack.id, 1) == ["it is gone"]


@pytest.mark.parametrize("is_away", [False, True])
def test_a_pack_that_nobody_may_read(repository, backend, monkeypatch, is_away):
    """The store said why; while it is away, nothing is said of the pack."""
    pack = pack_of(repository, BlobType.DATA)
    kind = StoreUnavailableError if is_away else StoreAccessError
    refuse(backend, monkeypatch, FileType.PACK, kind("data/3f", "not now"))

    if is_away:
        with pytest.raises(StoreUnavailableError):
            find_faults(repository._opened, pack.id, 1)
    else:
        (fault,) = find_faults(repository._opened, pack.id, 1)
        assert "not now" in fault


def test_a_file_without_a_list_of_blobs(repository):
    """Nobody knows what was in it: an empty file has an empty list."""
    opened = repository._opened
    snapshot = repository.list()[0]
    opened.refresh_index()
    node = next(n for n in load_tree(opened, snapshot.tree) if n.name == b"large")
    tree = encode_tree([replace(node, content=None)])
    name = BlobID(hash_of(tree))
    packer = Packer(opened.documents, opened.key)
    packer.add(BlobType.TREE, [(name, opened.codec.seal(BlobType.TREE, tree))])
    packer.flush()
    packer.close()
    save_snapshot(opened.documents, attrs.evolve(snapshot, tree=name))

    (error,) = repository.check().errors

    assert "large" in error.thing
    assert error.reason == "it has no list of blobs"
