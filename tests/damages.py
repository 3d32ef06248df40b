"""A small repository, and what can happen to its files: a table of damages.

Each is done to a copy of an intact repository that has two snapshots. Where something is
changed and sealed again with the right key, whoever did it knew the password.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import attrs

from kbackup.errors import (
    BlobMissingError,
    IntegrityError,
    KBackupError,
    RepositoryNotFoundError,
    WrongPasswordError,
)
from kbackup.repository import DirectorySource, FileType, Repository, ScryptParameters
from kbackup.repository._backend import CONFIG, File
from kbackup.repository._documents import Documents
from kbackup.repository._ids import BlobID, BlobType, PackID, short
from kbackup.repository._index import IndexedPack, decode_index, encode_index
from kbackup.repository._packs import PackedBlob
from kbackup.repository._trees import load_tree

PASSWORD = "geheim"
_READ = ("check", "--read-data")
_CHEAP = ScryptParameters(n=2, r=1, p=1)
_SECOND = "directory/second"


@attrs.define
class Sample:
    """A repository in a directory; its second snapshot has one file more.

    Attributes:
        place: The directory.
        first: The ID of the first snapshot; *second*, of the other one.
        contents: What is in each file.
        documents: Its files of one document; sealed with its own key.
        data: The pack of the second snapshot's own file.
        blob: That file's only blob, and where it is in the pack.
        trees: The pack of the second snapshot's trees.
        root: The second snapshot's tree, and where it is in that pack.
        index: The file that tells of both packs.
    """

    place: Path
    first: str
    second: str
    contents: dict[str, bytes]
    documents: Documents
    data: File
    blob: PackedBlob
    trees: File
    root: PackedBlob
    index: File

    @classmethod
    def make(cls, place: Path, source: Path) -> Sample:
        """Make one."""
        contents = {name: os.urandom(3000) for name in ("both", "one", _SECOND)}
        source.joinpath("directory").mkdir(parents=True)
        with Repository.init(place, PASSWORD, key_parameters=_CHEAP) as repository:
            given = DirectorySource(source, base=source)
            for name in ("both", "one"):
                (source / name).write_bytes(contents[name])
            first = repository.back_up(given).snapshot
            before = {path.name for path in (place / "index").iterdir()}
            (source / _SECOND).write_bytes(contents[_SECOND])
            second = repository.back_up(given).snapshot
            opened = repository._opened
            opened.refresh_index()
            directory = next(n for n in load_tree(opened, second.tree) if n.subtree)
            (file,) = load_tree(opened, directory.tree)
            data = opened.index.find(BlobType.DATA, file.blobs[0])
            root = opened.index.find(BlobType.TREE, second.tree)
            (index,) = {path.name for path in (place / "index").iterdir()} - before
            return cls(
                place,
                first.id.hex(),
                second.id.hex(),
                contents,
                opened.documents,
                File(FileType.PACK, data.pack),
                PackedBlob(BlobType.DATA, file.blobs[0], *data[1:]),
                File(FileType.PACK, root.pack),
                PackedBlob(BlobType.TREE, second.tree, *root[1:]),
                File(FileType.INDEX, bytes.fromhex(index)),
            )

    def copy(self, place: Path) -> Sample:
        """Return one like it, in a directory of its own."""
        shutil.copytree(self.place, place)
        with Repository.open(place, PASSWORD) as repository:
            documents = repository._opened.documents
        return attrs.evolve(self, place=place, documents=documents)

    def path(self, file: File) -> Path:
        """Return where a file lies."""
        return self.place / file.key

    def only(self, kind: FileType) -> File:
        """Return the one file of a kind."""
        (path,) = (self.place / kind.value).iterdir()
        return File(kind, bytes.fromhex(path.name))

    def remove(self, file: File) -> None:
        """Remove a file."""
        self.path(file).unlink()

    def truncate(self, file: File, size: int | None = None) -> None:
        """Cut a file to half of it, or to *size*."""
        content = self.path(file).read_bytes()
        self.write(file, content[: len(content) // 2 if size is None else size])

    def flip(self, file: File, offset: int) -> None:
        """Turn one bit of a file."""
        content = bytearray(self.path(file).read_bytes())
        content[offset] ^= 0x10
        self.write(file, bytes(content))

    def write(self, file: File, content: bytes) -> None:
        """Write a file, whatever its name says."""
        self.path(file).unlink(missing_ok=True)  # it is not to be written to
        self.path(file).parent.mkdir(exist_ok=True)
        self.path(file).write_bytes(content)

    def change_index(
        self, change: Callable[[IndexedPack], Collection[IndexedPack]]
    ) -> None:
        """Put another index in the place of the second one, rightly sealed."""
        content = self.documents.load(self.index.type, self.index.name)
        packs = [other for pack in decode_index(content, "") for other in change(pack)]
        self.documents.save(FileType.INDEX, encode_index(packs))
        self.remove(self.index)


@attrs.frozen
class Damage:
    """Something that happened to a repository, and what becomes of it.

    Attributes:
        name: What happened.
        act: Does it; returns what is named wherever it is met.
        opens: What opening raises; None: it opens. Alike *lists*, *first*, *second*:
            listing snapshots, and restoring each of both. A name stands for the one file
            that is not restored.
        is_whole: What a check says that reads all.
        restic: How stock restic finds out the same; None where it does not, or only
            after it tried again for half a minute.
    """

    name: str
    act: Callable[[Sample], str]
    opens: type[Exception] | None = None
    lists: type[Exception] | None = None
    first: type[Exception] | str | None = None
    second: type[Exception] | str | None = None
    is_whole: bool = False
    restic: Sequence[str] | None = ("check",)


def _does(method: str, *arguments: object, to: str) -> Callable[[Sample], str]:
    """Do what a method of the sample does to one of its files."""

    def act(sample: Sample) -> str:
        file = _FILES[to](sample)
        getattr(sample, method)(file, *arguments)
        return short(file.name) or str(file)

    return act


_FILES: dict[str, Callable[[Sample], File]] = {
    "data": lambda sample: sample.data,
    "trees": lambda sample: sample.trees,
    "index": lambda sample: sample.index,
    "snapshot": lambda s: File(FileType.SNAPSHOT, bytes.fromhex(s.second)),
    "key": lambda sample: sample.only(FileType.KEY),
    "config": lambda _: CONFIG,
    "new key": lambda _: File(FileType.KEY, bytes(32)),
    "new lock": lambda _: File(FileType.LOCK, bytes(32)),
    "new snapshot": lambda _: File(FileType.SNAPSHOT, bytes(32)),
    "new index": lambda _: File(FileType.INDEX, bytes(32)),
    "new pack": lambda _: File(FileType.PACK, bytes(32)),
}


def _flip_in_data(sample: Sample) -> str:
    sample.flip(sample.data, sample.blob.offset + 20)
    return f"blob {short(sample.blob.id)}"


def _flip_in_tree(sample: Sample) -> str:
    sample.flip(sample.trees, sample.root.offset + 20)
    return f"blob {short(sample.root.id)}"


def _rename(sample: Sample) -> str:
    other = File(FileType.PACK, bytes(32))
    sample.path(other).parent.mkdir(exist_ok=True)
    sample.path(sample.data).rename(sample.path(other))
    return short(sample.data.name)


def _remove_index(sample: Sample) -> str:
    sample.remove(sample.index)
    return short(sample.root.id)  # nobody knows what the index was called


def _remove_key(sample: Sample) -> str:
    sample.remove(sample.only(FileType.KEY))
    return "no key opens with this password: 0 tried"


def _remove_config(sample: Sample) -> str:
    sample.remove(CONFIG)
    return "no repository is there"


def _exchange(sample: Sample) -> str:
    """Each pack has the other one's name."""
    one, other = sample.path(sample.data), sample.path(sample.trees)
    contents = one.read_bytes(), other.read_bytes()
    sample.write(sample.trees, contents[0])
    sample.write(sample.data, contents[1])
    return ""


def _name_what_is_gone(sample: Sample) -> str:
    gone = PackedBlob(BlobType.DATA, BlobID(bytes(32)), 0, 100, 0)
    added = IndexedPack(PackID(bytes(32)), (gone,))
    sample.change_index(lambda pack: [pack, added])
    return short(added.id)


def _in_data(**changes: int) -> Callable[[Sample], str]:
    """Let the index tell something else of the blob."""

    def act(sample: Sample) -> str:
        def changed(pack: IndexedPack) -> list[IndexedPack]:
            if pack.id != sample.data.name:
                return [pack]
            return [IndexedPack(pack.id, (sample.blob._replace(**changes),))]

        sample.change_index(changed)
        return ""

    return act


def _lose_a_tree(sample: Sample) -> str:
    """The second snapshot is one of a tree that never was."""
    with Repository.open(sample.place, PASSWORD) as repository:
        snapshot = repository.list()[1]
    lost = attrs.evolve(snapshot, tree=BlobID(b"lost" * 8))
    name = sample.documents.save(FileType.SNAPSHOT, lost.to_json())
    sample.remove(File(FileType.SNAPSHOT, bytes.fromhex(sample.second)))
    sample.second = name.hex()
    return f"blob {short(lost.tree)}"


def _put_what_is_foreign(sample: Sample) -> str:
    """Files of others, and directories, wherever there are files."""
    directories = [sample.place, *filter(Path.is_dir, sample.place.rglob("*"))]
    for directory in directories:
        for name in ("README", ".DS_Store", "0123", "ff" * 32 + ".tmp", "AB" * 32):
            (directory / name).write_text("foreign")
        (directory / ".snapshot" / "config").mkdir(parents=True)
    return ""


def _put_directories(sample: Sample) -> str:
    """Directories that have the names of files."""
    for directory in ("keys", "locks", "snapshots", "index", "data/00"):
        (sample.place / directory / ("00" * 32)).mkdir(parents=True)
    return ""


DAMAGES = (
    Damage("pack missing", _does("remove", to="data"), second=_SECOND),
    Damage("pack truncated", _does("truncate", to="data"), second=_SECOND),
    Damage("pack of a torn write", _does("truncate", 0, to="data"), second=_SECOND),
    Damage("pack renamed", _rename, second=_SECOND),
    Damage("bit flipped in a data blob", _flip_in_data, second=_SECOND, restic=_READ),
    Damage("bit flipped in a tree", _flip_in_tree, second=IntegrityError),
    Damage("bit flipped in a header", _does("flip", -10, to="data"), restic=_READ),
    Damage("bit flipped at the end", _does("flip", -1, to="data"), restic=_READ),
    Damage(
        "pack of trees missing",
        _does("remove", to="trees"),
        second=IntegrityError,
        restic=None,
    ),
    Damage(
        "pack of trees truncated",
        _does("truncate", 10, to="trees"),
        second=KBackupError,
        restic=None,
    ),
    Damage("packs exchanged", _exchange, second=IntegrityError),
    Damage("pack empty and unused", _does("write", b"", to="new pack"), is_whole=True),
    Damage("index missing", _remove_index, second=BlobMissingError),
    Damage(
        "index truncated",
        _does("truncate", to="index"),
        first=IntegrityError,
        second=IntegrityError,
    ),
    Damage(
        "index of a torn write",
        _does("truncate", 0, to="index"),
        first=IntegrityError,
        second=IntegrityError,
    ),
    Damage("index of a pack that is gone", _name_what_is_gone),
    Damage(
        "index with a wrong offset", _in_data(offset=1), second=_SECOND, restic=None
    ),
    Damage("index past the end", _in_data(offset=2**31), second=_SECOND, restic=None),
    Damage("index with a wrong length", _in_data(length=500), second=_SECOND),
    Damage("index with a huge length", _in_data(length=2**32 - 1), second=_SECOND),
    Damage("index with a wrong size", _in_data(plain_size=2999), second=_SECOND),
    Damage("index with a huge size", _in_data(plain_size=2**32 - 1), second=_SECOND),
    Damage(
        "snapshot truncated",
        _does("truncate", to="snapshot"),
        lists=IntegrityError,
        second=IntegrityError,
    ),
    Damage(
        "snapshot of a torn write",
        _does("truncate", 0, to="snapshot"),
        lists=IntegrityError,
        second=IntegrityError,
    ),
    Damage(
        "another snapshot is empty",
        _does("write", b"", to="new snapshot"),
        lists=IntegrityError,
    ),
    Damage("snapshot without its tree", _lose_a_tree, second=BlobMissingError),
    Damage("key truncated", _does("truncate", to="key"), opens=IntegrityError),
    Damage("key of a torn write", _does("truncate", 0, to="key"), opens=IntegrityError),
    Damage("key missing", _remove_key, opens=WrongPasswordError),
    Damage(
        "another key is empty",
        _does("write", b"", to="new key"),
        is_whole=True,
        restic=None,
    ),
    Damage("config missing", _remove_config, opens=RepositoryNotFoundError),
    Damage("config truncated", _does("truncate", to="config"), opens=IntegrityError),
    Damage("config empty", _does("truncate", 0, to="config"), opens=IntegrityError),
    Damage(
        "bit flipped in the config",
        _does("flip", 20, to="config"),
        opens=IntegrityError,
    ),
    Damage("lock of a torn write", _does("write", b"", to="new lock"), is_whole=True),
    Damage(
        "lock damaged",
        _does("write", b"x" * 200, to="new lock"),
        lists=IntegrityError,
        first=IntegrityError,
        second=IntegrityError,
        restic=None,
    ),
    Damage("foreign files", _put_what_is_foreign, is_whole=True, restic=None),
    Damage(
        "directories with names of files", _put_directories, is_whole=True, restic=None
    ),
)
