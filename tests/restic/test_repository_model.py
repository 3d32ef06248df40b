"""Whatever is done to repositories in whatever order: each snapshot is as it was saved.

Chance chooses what is done, by kbackup and by stock restic, also by several at the same
time; a table in memory says what every snapshot must hold. Who meets a lock is refused.
"""

import random
import threading
from contextlib import suppress

import pytest

from kbackup.errors import RepositoryLockedError
from kbackup.repository import (
    DirectorySource,
    FileType,
    PruneRequest,
    Repository,
    ScryptParameters,
    Selection,
    UnusedLimit,
    _packer,
)
from kbackup.repository._backend import File
from stock_restic import StockRestic

CHEAP = ScryptParameters(n=1024, r=1, p=1)
PASSWORD = "geheim"
STEPS = 14


class Model:
    """Two repositories, a directory that changes, and what must be in each snapshot."""

    def __init__(self, seed, path, program):
        self.chance = random.Random(seed)  # noqa: S311 - no secret
        self.source, self.target = path / "source", path / "target"
        self.source.mkdir()
        self.pool = [
            self.chance.randbytes(size) for size in (3, 900, 40_000, 600_000) * 3
        ]
        self.repositories, self.restics = [], []
        self.expected = [{}, {}]
        for number in range(2):
            place = path / f"repository {number}"
            self.repositories.append(
                Repository.init(place, PASSWORD, key_parameters=CHEAP)
            )
            self.restics.append(StockRestic(program, str(place), PASSWORD))

    def change(self):
        """Write some files anew, and remove some."""
        for _ in range(5):
            directory = self.source / self.chance.choice(["a", "a/b", "c"])
            directory.mkdir(parents=True, exist_ok=True)
            file = directory / str(self.chance.randrange(6))
            if self.chance.random() < 0.2:
                file.unlink(missing_ok=True)
            else:
                file.write_bytes(b"".join(self.chance.sample(self.pool, 2)))

    def contents(self, root):
        """What is in each file of a directory."""
        files = (path for path in root.rglob("*") if path.is_file())
        return {str(path.relative_to(root)): path.read_bytes() for path in files}

    def ids(self, number):
        """The snapshots that there are."""
        return {each.id.hex(): each for each in self.repositories[number].list()}

    def back_up(self, number):
        """Save it by two threads of one process, and by restic, all at once."""
        source = DirectorySource(self.source, base=self.source)
        repository, restic = self.repositories[number], self.restics[number]
        runs = [
            lambda: repository.back_up(source),
            lambda: repository.back_up(source, read_all=True),
            lambda: restic("backup", ".", cwd=self.source),
        ]
        self.together(self.chance.sample(runs, self.chance.randrange(1, 4)))
        contents = self.contents(self.source)
        for name in self.ids(number):
            self.expected[number].setdefault(name, contents)

    def together(self, runs):
        """Do several things at the same time; raise what went wrong with any."""
        errors = []

        def run(action):
            try:
                action()
            except BaseException as exc:  # noqa: BLE001 - raised below
                errors.append(exc)

        threads = [threading.Thread(target=run, args=(each,)) for each in runs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for error in errors:
            raise error

    def forget(self, number):
        """Forget one of them."""
        if self.expected[number]:
            name = self.chance.choice(sorted(self.expected[number]))
            del self.expected[number][name]
            self.repositories[number].forget([name])

    def prune(self, number):
        """Remove what nobody needs, by restic or while somebody else saves."""
        if self.chance.random() < 0.4:
            self.restics[number]("prune", "--max-unused", "0")
            return
        request = PruneRequest(
            max_unused=UnusedLimit.parse(self.chance.choice(["0", "5%", "1M"])),
            max_repack=self.chance.choice([None, 500_000]),
            small_packs=self.chance.random() < 0.5,
        )

        def prune():
            with suppress(RepositoryLockedError):
                self.repositories[number].prune(request, remove_all=True)

        def back_up():
            with suppress(RepositoryLockedError):
                self.repositories[number].back_up(
                    DirectorySource(self.source, base=self.source)
                )

        self.together([prune, back_up])
        contents = self.contents(self.source)
        for name in self.ids(number):
            self.expected[number].setdefault(name, contents)

    def repair(self, number):
        """Lose some index files, and write them anew."""
        backend = self.repositories[number]._opened.backend
        for name, _ in list(backend.list(FileType.INDEX)):
            if self.chance.random() < 0.5:
                backend.remove(File(FileType.INDEX, name))
        self.repositories[number].repair_index()

    def copy(self, number):
        """Copy what the other one lacks."""
        copied = self.repositories[number].copy(self.repositories[1 - number])
        for each in copied:
            contents = self.expected[number][each.snapshot.id.hex()]
            self.expected[1 - number].setdefault(each.copy.id.hex(), contents)

    def require_all(self, number):
        """All snapshots are there and hold what they must; restic finds nothing wrong."""
        repository = self.repositories[number]
        assert repository.check(read_data=True).errors == []
        assert self.ids(number).keys() == self.expected[number].keys()
        for name, contents in self.expected[number].items():
            restored = repository.restore(
                name, self.target, selection=Selection(delete=True)
            )
            assert restored.problems == []
            assert self.contents(self.target) == contents
        self.restics[number].check()


@pytest.mark.parametrize("seed", range(2))
def test_any_order_of_work(tmp_path, need_tool, monkeypatch, seed):
    """Nothing is lost, nothing is another, and nothing is called damaged."""
    monkeypatch.setattr(_packer, "PACK_SIZE", 300_000)
    model = Model(seed, tmp_path, need_tool("restic"))
    verbs = [model.back_up, model.forget, model.prune, model.repair, model.copy]
    for _ in range(STEPS):
        model.change()
        model.chance.choice(verbs)(model.chance.randrange(2))

    for number in range(2):
        model.require_all(number)
