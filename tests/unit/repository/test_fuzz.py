"""Whatever bytes are in a repository, what comes of them is an error of kbackup's.

Files are changed as they lie there, and before they are sealed with the right key, which
lets the change through to what reads it. The changes are the same in each run.
"""

import json
import random
import struct
from datetime import timedelta

import attrs
import pytest

from kbackup.errors import KBackupError
from kbackup.repository import (
    DirectorySource,
    DirectoryTarget,
    FileType,
    MemoryBackend,
    Repository,
    ScryptParameters,
)
from kbackup.repository._backend import CONFIG, File
from kbackup.repository._blobs import BlobCodec
from kbackup.repository._ids import BlobID, BlobType, PackID, hash_of
from kbackup.repository._index import IndexedPack, encode_index
from kbackup.repository._locks import acquire
from kbackup.repository._packs import PackedBlob, encode_header
from kbackup.repository._trees import load_tree
from odd_tree import make_odd_tree

CHEAP = ScryptParameters(n=2, r=1, p=1)
PASSWORD = "geheim"
ROUNDS = 100
DEEP = 100_000

# What a member may hold that nobody expects there.
_VALUES = [
    "null",
    "true",
    "0",
    "-1",
    "1.5",
    "1e400",
    str(2**31),
    str(2**32),
    str(2**40),
    str(2**63 - 1),
    str(2**63),
    str(2**64),
    str(-(2**63)),
    "9" * 5000,
    '""',
    '"x"',
    '"/"',
    '"../x"',
    '".."',
    r'"\u0000"',
    r'"\ud800"',
    r'"\\x"',
    r'"\\U0fffffff"',
    r'"\\udfff"',
    '"' + "0" * 64 + '"',
    '"' + "f" * 63 + '"',
    '"' + "\u0660" * 64 + '"',
    '"' + "x" * 70_000 + '"',
    '"0001-01-01T00:00:00Z"',
    '"0000-01-01T00:00:00Z"',
    '"9999-12-31T23:59:59.999999999-23:59"',
    '"2024-02-30T00:00:00Z"',
    '"2024-01-01T00:00:00+99:99"',
    '"2024-01-01T00:00:00.' + "9" * 40 + 'Z"',
    "[]",
    "{}",
    "[null]",
    "[[]]",
    '{"":{}}',
    "[" * DEEP + "]" * DEEP,
    '{"a":' * DEEP + "1" + "}" * DEEP,
]


@attrs.frozen
class Intact:
    """A repository in memory, what opened it, and what is in it by kinds."""

    files: dict
    key: object
    documents: object
    snapshot: object
    tree: bytes
    file: object
    lock: bytes


@pytest.fixture(scope="module")
def intact(tmp_path_factory):
    """A repository with a snapshot of all there can be, an index, a lock."""
    source = tmp_path_factory.mktemp("source")
    make_odd_tree(source)
    (source / "directory/large").unlink()
    (source / "directory/hole").unlink()
    backend = MemoryBackend()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kbackup.repository._locks._SETTLES", timedelta(0))
        repository = Repository.init(backend, PASSWORD, key_parameters=CHEAP)
        snapshot = repository.back_up(DirectorySource(source, base=source)).snapshot
        opened = repository._opened
        opened.refresh_index()
        tree = bytes(opened.load_blob(BlobType.TREE, snapshot.tree))
        file = next(n for n in load_tree(opened, snapshot.tree) if n.content)
        with acquire(opened.documents):
            (name,) = [name for name, _ in backend.list(FileType.LOCK)]
            lock = opened.documents.load(FileType.LOCK, name)
    return Intact(
        dict(backend.files), opened.key, opened.documents, snapshot, tree, file, lock
    )


@pytest.fixture
def met(intact, tmp_path, monkeypatch):
    """A function that does everything with such files; returns how often that failed."""
    monkeypatch.setattr("kbackup.repository._locks._SETTLES", timedelta(0))
    numbers = iter(range(10**6))

    def tried(verb):
        try:
            verb()
        except KBackupError:
            return 1
        return 0

    def do(files, *, repairs=False):
        backend = MemoryBackend()
        backend.files = dict(files)
        try:
            repository = Repository.open(backend, PASSWORD)
        except KBackupError:
            return 1
        name = intact.snapshot.id.hex()
        target = DirectoryTarget(tmp_path / f"{next(numbers)}")
        target.open_root()
        verbs = [
            repository.list,
            repository.list_locks,
            repository.list_keys,
            lambda: repository.restore(name, target),
            lambda: list(repository.ls("latest")),
            lambda: repository.check(read_data=True),
        ]
        if repairs:
            verbs.append(lambda: repository.repair_index(read_all=True))
        return sum(map(tried, verbs))

    return do


def seeded(name):
    """Draws the same in each run."""
    return random.Random(name)  # noqa: S311 - nothing is secret


def changed_bytes(chance, content):
    """Turn, cut, add, double or take out some bytes."""
    content = bytearray(content)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(content) + 1)
        end = min(len(content), at + chance.choice([1, 1, 4, 16, 100]))
        kind = chance.randrange(6)
        if kind == 0 and at < len(content):
            content[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            del content[at:]
        elif kind == 2:
            content[at:at] = chance.randbytes(end - at + 1)
        elif kind == 3:
            content[at:end] = bytes(end - at)
        elif kind == 4:
            del content[at:end]
        else:
            content[at:at] = content[at:end]
    return bytes(content)


def changed_json(chance, document):
    """Put something else in the place of a member, or take it out; or change bytes."""
    if chance.randrange(4) == 0:
        return changed_bytes(chance, document)
    whole = json.loads(document)
    holders = [whole]
    for holder in holders:
        children = holder.values() if isinstance(holder, dict) else holder
        holders += [child for child in children if isinstance(child, dict | list)]
    holder = chance.choice([each for each in holders if each])
    place = chance.choice(
        list(holder) if isinstance(holder, dict) else range(len(holder))
    )
    if chance.randrange(8) == 0:
        del holder[place]
        return json.dumps(whole).encode()
    holder[place] = "@@@"
    text = json.dumps(whole).replace('"@@@"', chance.choice(_VALUES), 1)
    return text.encode(errors="surrogatepass")


def replaced(files, old, new, content):
    """The same files, but for one."""
    return {each: what for each, what in files.items() if each != old} | {new: content}


def files_of(intact, kind):
    """The files of a kind."""
    return [file for file in intact.files if file.type is kind]


@pytest.mark.parametrize("kind", FileType)
def test_stored_bytes(intact, met, kind):
    """Under the old name, and under the one that they have now."""
    chance = seeded(f"stored {kind}")
    files = dict(intact.files)
    if kind is FileType.LOCK:
        sealed = bytes(intact.key.seal(intact.lock))
        files[File(kind, hash_of(sealed))] = sealed
    found = [file for file in files if file.type is kind]
    failures = 0
    for number in range(ROUNDS // 2):
        file = chance.choice(found)
        content = changed_bytes(chance, files[file])
        named = file
        if number % 2 and kind is not FileType.CONFIG:
            named = File(kind, hash_of(content))
        failures += met(replaced(files, file, named, content), repairs=number < 10)
    assert failures > 10


@pytest.mark.parametrize("kind", ["config", "lock", "snapshot", "index"])
def test_documents_before_they_are_sealed(intact, met, kind):
    """Each reader refuses what is none of its own, or does with it what it can."""
    chance = seeded(f"document {kind}")
    kind = next(each for each in FileType if each.name.lower() == kind)
    if kind is FileType.LOCK:
        old, document = File(kind, b""), intact.lock
    elif kind is FileType.CONFIG:
        old, document = CONFIG, intact.documents.load_config()
    else:
        (old,) = files_of(intact, kind)
        document = intact.documents.load(kind, old.name)
    failures = 0
    for _ in range(ROUNDS):
        sealed = bytes(intact.key.seal(changed_json(chance, document)))
        new = CONFIG if kind is FileType.CONFIG else File(kind, hash_of(sealed))
        failures += met(replaced(intact.files, old, new, sealed))
    assert failures > 10


def test_keys(intact, met):
    """What anybody can write who can write there: no password is asked of them."""
    chance = seeded("key")
    (old,) = files_of(intact, FileType.KEY)
    failures = 0
    for _ in range(ROUNDS):
        content = changed_json(chance, intact.files[old])
        new = File(FileType.KEY, hash_of(content))
        failures += met(replaced(intact.files, old, new, content))
        # Beside one that opens, none does harm, but it may be named in a list of all.
        assert met(intact.files | {new: content}) <= 1
    assert failures > 10


@pytest.mark.parametrize("n", [2**40, 2**62, 0, 1, -2, 3])
@pytest.mark.parametrize("r", [1, 2**30, 0, -1])
@pytest.mark.parametrize("p", [1, 2**30, 0, -1])
def test_dear_keys(intact, n, r, p):
    """One that would take all memory, or years, is not tried."""
    (old,) = files_of(intact, FileType.KEY)
    content = json.dumps(json.loads(intact.files[old]) | {"N": n, "r": r, "p": p})
    new = File(FileType.KEY, hash_of(content.encode()))
    backend = MemoryBackend()
    backend.files = replaced(intact.files, old, new, content.encode())

    with pytest.raises(KBackupError):
        Repository.open(backend, PASSWORD)


def with_blob(intact, kind, plain):
    """A repository that has a blob more; its name, and the files."""
    name = BlobID(hash_of(plain))
    sealed = bytes(intact.key.seal(plain))
    blob = PackedBlob(kind, name, 0, len(sealed), 0)
    content = sealed + encode_header(intact.key, [blob])
    pack = PackID(hash_of(content))
    index = encode_index([IndexedPack(pack, (blob,))])
    packed = bytes(intact.key.seal(index))
    return name, intact.files | {
        File(FileType.PACK, pack): content,
        File(FileType.INDEX, hash_of(packed)): packed,
    }


def with_tree(intact, tree):
    """A repository whose snapshot is of that tree."""
    name, files = with_blob(intact, BlobType.TREE, tree)
    (old,) = files_of(intact, FileType.SNAPSHOT)
    snapshot = attrs.evolve(intact.snapshot, tree=name)
    sealed = bytes(intact.key.seal(snapshot.to_json()))
    return replaced(
        files, old, File(FileType.SNAPSHOT, hash_of(sealed)), sealed
    ), hash_of(sealed)


def test_trees(intact, tmp_path, monkeypatch):
    """Whatever a node says, others are restored, and nothing outside the target."""
    monkeypatch.setattr("kbackup.repository._locks._SETTLES", timedelta(0))
    chance = seeded("tree")
    outcomes = []
    for number in range(3 * ROUNDS):
        files, snapshot = with_tree(intact, changed_json(chance, intact.tree))
        backend = MemoryBackend()
        backend.files = files
        repository = Repository.open(backend, PASSWORD)
        target = tmp_path / f"{number}" / "target"
        target.parent.mkdir()
        try:
            restored = repository.restore(snapshot.hex(), target)
            outcomes.append(len(restored.problems))
        except KBackupError:
            outcomes.append(None)
        assert [path.name for path in target.parent.iterdir()] == ["target"]
        try:
            assert list(repository.ls(snapshot.hex())) is not None
            assert repository.check().trees >= 0
        except KBackupError:
            assert outcomes[-1] is None
    # All three happen: refused, restored but for some, restored.
    assert {None, 0, 1} <= set(outcomes)


def test_headers_of_packs(intact, met):
    """They are read by a check, and where the index is made anew."""
    chance = seeded("header")
    packs = files_of(intact, FileType.PACK)
    failures = 0
    for _ in range(ROUNDS // 2):
        old = chance.choice(packs)
        content = intact.files[old]
        (size,) = struct.unpack("<I", content[-4:])
        blobs, sealed = content[: -4 - size], content[-4 - size : -4]
        plain = bytes(intact.key.unseal(sealed, ""))
        header = bytes(intact.key.seal(changed_bytes(chance, plain)))
        length = chance.choice([len(header)] * 8 + [0, 31, 32, 33, 2**24, 2**32 - 1])
        changed = blobs + header + struct.pack("<I", length)
        failures += met(
            replaced(intact.files, old, File(FileType.PACK, hash_of(changed)), changed),
            repairs=True,
        )
    assert failures > 10


@pytest.mark.parametrize("stated", [0, 1, 2**31, 2**32 - 1, 2**60])
def test_frames_that_state_another_size(intact, stated):
    """No room is taken for what is only stated."""
    codec = BlobCodec(intact.key, 2)
    content = b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", stated) + b"\x01\x00\x00"
    sealed = bytes(intact.key.seal(content))

    with pytest.raises(KBackupError):
        codec.open(BlobID(bytes(32)), sealed, min(stated, 2**32 - 1) or 1)


def test_nothing_but_depth(intact, met):
    """In each file that is JSON, there is an end to what is read into each other."""
    for text in ("[" * DEEP, '{"a":' * DEEP, '{"nodes":[' * DEEP):
        sealed = bytes(intact.key.seal(text.encode()))
        for kind in (FileType.SNAPSHOT, FileType.INDEX, FileType.LOCK, FileType.CONFIG):
            name = b"" if kind is FileType.CONFIG else hash_of(sealed)
            assert met(intact.files | {File(kind, name): sealed})
        _, files = with_blob(intact, BlobType.TREE, text.encode())
        key = File(FileType.KEY, hash_of(text.encode()))
        assert met(files | {key: text.encode()}) == 1
