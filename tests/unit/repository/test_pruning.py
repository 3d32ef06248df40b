"""Pruning: the plan says what becomes of each pack, and nothing that is needed goes."""

import os
import random

import attrs
import pytest

from kbackup.errors import (
    BlobMissingError,
    IntegrityError,
    InvalidSpecError,
    PlanOutdatedError,
    RepositoryLockedError,
    StoreUnavailableError,
)
from kbackup.repository import (
    DirectorySource,
    FileType,
    LocalBackend,
    MemoryBackend,
    PruneRequest,
    Repository,
    ScryptParameters,
    UnusedLimit,
    _prune,
)
from kbackup.repository._backend import File
from kbackup.repository._blobs import SealedBlob
from kbackup.repository._ids import BlobID, BlobType, PackID, hash_of
from kbackup.repository._index import Index, IndexedPack, load_index, save_index
from kbackup.repository._locks import Lock
from kbackup.repository._packer import Packer
from kbackup.repository._packs import PACK_SIZE, PackedBlob, size_of_pack
from kbackup.repository._prune_plan import PackState, plan_prune
from kbackup.repository._reachable import Reachable
from odd_tree import seen

pytestmark = pytest.mark.usefixtures("at_once")

CHEAP = ScryptParameters(n=2, r=1, p=1)
PASSWORD = "geheim"
EVERYTHING = PruneRequest(max_unused=UnusedLimit.parse("0"))
STATE = PackState(frozenset(), frozenset(), frozenset())


# --- the plan -------------------------------------------------------------------------


def pack(number, *lengths, kind=BlobType.DATA, first=None):
    """A pack as an index has it; its blobs are named by their number, counted from *first*."""
    first = number * 100 if first is None else first
    blobs, offset = [], 0
    for place, length in enumerate(lengths):
        name = BlobID((first + place).to_bytes(32, "big"))
        blobs.append(PackedBlob(kind, name, offset, length, 0))
        offset += length
    return IndexedPack(PackID(bytes([number]) * 32), tuple(blobs))


def planned(packs, needed, *, request=None, sizes=None):
    """Plan with these packs, of whose blobs these numbers are needed."""
    index = Index()
    for each in packs:
        index.add(each)
    if sizes is None:
        sizes = {p.id: size_of_pack(p.blobs) for p in packs}
    trees = {b.id for p in packs for b in p.blobs if b.type is BlobType.TREE}
    data = {number.to_bytes(32, "big") for number in needed}
    reached = Reachable(trees & data, data - trees)
    return plan_prune(
        packs, STATE, sizes, index=index, needed=reached, request=request or EVERYTHING
    )


def numbers(names):
    """The numbers of packs."""
    return sorted(name[0] for name in names)


def test_each_pack_is_kept_written_anew_or_removed():
    """By what of it is needed."""
    packs = [pack(1, 50, 60), pack(2, 50, 60), pack(3, 50, 60)]

    plan = planned(packs, [100, 101, 200])

    assert numbers(plan.rewrite) == [2]
    assert numbers(plan.drop) == [3]
    assert attrs.astuple(plan.kept)[:2] == (1, 2)
    assert attrs.astuple(plan.repacked)[:2] == (1, 2)
    assert attrs.astuple(plan.removed)[:2] == (1, 2)
    assert (plan.unused_before, plan.unused_after, plan.used_blobs) == (170, 0, 3)
    assert plan.freed == 60 + plan.removed.bytes
    assert not plan.is_empty


def test_nothing_to_do_is_an_empty_plan():
    """All is needed."""
    assert planned([pack(1, 50)], [100]).is_empty


@pytest.mark.parametrize(
    ("limit", "rewritten"),
    [("0", [1, 2, 3]), ("10%", [3]), ("101", [3]), ("99", [2, 3]), ("unlimited", [])],
)
def test_the_most_waste_goes_first_until_little_enough_is_left(limit, rewritten):
    """By 10, 90 and 500 bytes of nobody's; 1,400 are used."""
    packs = [pack(1, 10, 800), pack(2, 90, 500), pack(3, 500, 100)]
    request = PruneRequest(max_unused=UnusedLimit.parse(limit))

    plan = planned(packs, [101, 201, 301], request=request)

    assert numbers(plan.rewrite) == rewritten
    left = {1: 10, 2: 90, 3: 500}
    assert plan.unused_after == sum(left.values()) - sum(left[n] for n in rewritten)


def test_no_more_is_written_anew_than_allowed():
    """Packs that are too large for the rest are passed over, smaller ones are not."""
    packs = [pack(1, 900, 100), pack(2, 50, 100), pack(3, 300, 60)]
    request = attrs.evolve(EVERYTHING, max_repack=500)

    plan = planned(packs, [101, 201, 301], request=request)

    assert numbers(plan.rewrite) == [3]


def test_of_two_copies_one_is_needed():
    """The other one is as good as unused."""
    packs = [pack(1, 50, 60), pack(2, 50, 60, first=100)]

    plan = planned(packs, [100, 101])

    assert (numbers(plan.drop), numbers(plan.rewrite)) == ([2], [])


def test_of_two_copies_in_one_pack_one_is_needed():
    """Two runs that share it may have put the same blob into it."""
    one = pack(1, 50, 60)
    again = one.blobs[0]._replace(offset=110)
    packs = [one._replace(blobs=(*one.blobs, again))]

    plan = planned(packs, [100, 101])

    assert numbers(plan.rewrite) == [1]
    assert (plan.unused_before, plan.unused_after) == (50, 0)


def test_a_pack_that_no_index_names_is_removed():
    """It is what a killed run left."""
    packs = [pack(1, 50)]
    sizes = {packs[0].id: size_of_pack(packs[0].blobs), PackID(b"\x09" * 32): 1000}

    plan = planned(packs, [100], sizes=sizes)

    assert (numbers(plan.drop), plan.unreferenced, plan.freed) == ([9], 1, 1000)


def test_a_pack_that_is_gone_and_needed_by_nobody_is_forgotten():
    """The index is written without it."""
    packs = [pack(1, 50), pack(2, 60)]
    sizes = {packs[0].id: size_of_pack(packs[0].blobs)}

    plan = planned(packs, [100], sizes=sizes)

    assert (numbers(plan.forgotten), plan.drop, plan.freed) == ([2], frozenset(), 0)
    assert not plan.is_empty


def test_a_pack_that_is_gone_and_needed_ends_it():
    """Nobody may prune what lacks something."""
    packs = [pack(1, 50), pack(2, 60)]
    sizes = {packs[0].id: size_of_pack(packs[0].blobs)}

    with pytest.raises(IntegrityError, match=r"02020202.*nothing was removed"):
        planned(packs, [100, 200], sizes=sizes)


def test_a_pack_of_another_size_ends_it():
    """It is not what the index says."""
    packs = [pack(1, 50)]

    with pytest.raises(IntegrityError, match=r"01010101.*nothing was removed"):
        planned(packs, [100], sizes={packs[0].id: 51})


def test_small_packs_are_put_together_on_request():
    """Where there is more than one of a kind."""
    packs = [pack(1, 50), pack(2, 60), pack(3, 70, kind=BlobType.TREE)]
    request = PruneRequest(small_packs=True)

    assert planned(packs, [100, 200, 300], request=PruneRequest()).is_empty
    plan = planned(packs, [100, 200, 300], request=request)

    assert numbers(plan.rewrite) == [1, 2]


def test_trees_and_data_in_one_pack_are_taken_apart():
    """Very old programs wrote such packs."""
    data, tree = pack(1, 50).blobs[0], pack(2, 60, kind=BlobType.TREE).blobs[0]
    mixed = IndexedPack(PackID(b"\x05" * 32), (data, tree._replace(offset=50)))
    request = PruneRequest(max_unused=UnusedLimit.parse("unlimited"))

    plan = planned([mixed], [100, 200], request=request)

    assert numbers(plan.rewrite) == [5]


@pytest.mark.parametrize(
    ("text", "used", "allowed"),
    [
        ("5%", 95, 5),
        ("0", 100, 0),
        ("100%", 1, float("inf")),
        ("unlimited", 1, float("inf")),
        ("1.5k", 0, 1536),
        ("2G", 0, 2 << 30),
    ],
)
def test_a_limit_is_read_as_restic_does(text, used, allowed):
    """Percents of what stays in all, or bytes."""
    assert UnusedLimit.parse(text).bytes_of(used) == pytest.approx(allowed)


@pytest.mark.parametrize("text", ["", "-1", "101%", "5 %", "many", "1e3", "5%%"])
def test_what_is_no_limit_is_said(text):
    """With what one looks like."""
    with pytest.raises(InvalidSpecError, match="is no limit"):
        UnusedLimit.parse(text)


# --- the act --------------------------------------------------------------------------


@pytest.fixture
def source(tmp_path):
    """Files large and small, of random bytes."""
    chance = random.Random(1)  # noqa: S311 - no secret
    path = tmp_path / "source"
    (path / "below").mkdir(parents=True)
    (path / "large").write_bytes(chance.randbytes(5 << 20))
    (path / "text").write_text("a text that repeats itself, " * 5000)
    for number in range(50):
        (path / "below" / f"{number}").write_bytes(chance.randbytes(1000))
    return path


@pytest.fixture(params=[1, 2], ids=["version 1", "version 2"])
def repository(request, source):
    """A repository with two snapshots, of which the first one has much of its own."""
    backend = MemoryBackend()
    made = Repository.init(
        backend, PASSWORD, version=request.param, key_parameters=CHEAP
    )
    with made as repository:
        repository.back_up(DirectorySource(source, base=source))
        change(source)
        repository.back_up(DirectorySource(source, base=source))
        yield repository


def change(source):
    """Change most of it."""
    (source / "large").write_bytes(os.urandom(3 << 20))
    for number in range(0, 50, 2):
        (source / "below" / f"{number}").write_bytes(os.urandom(1000))


def backend_of(repository):
    """Where it lies."""
    return repository._opened.backend


def files(repository, kind=FileType.PACK):
    """What there is of a kind."""
    return dict(backend_of(repository).list(kind))


def forget_oldest(repository):
    """Remove the first snapshot."""
    repository.forget([repository.list()[0].id.hex()])


@pytest.mark.parametrize(
    "request_", [PruneRequest(), EVERYTHING], ids=["a little stays", "nothing stays"]
)
def test_what_nobody_needs_goes(tmp_path, repository, source, request_):
    """And all that a snapshot needs is still there, byte for byte."""
    forget_oldest(repository)
    before = sum(files(repository).values())
    plan = repository.plan_prune(request_)

    done = repository.prune(plan)

    after = sum(files(repository).values())
    assert done is plan
    assert plan.freed > 5 << 20
    assert abs(before - after - plan.freed) < 2000  # headers of packs
    assert plan.unused_after <= plan.unused_before
    assert repository.restore("latest", tmp_path / "target").problems == []
    assert seen(tmp_path / "target") == seen(source)
    checked = repository.check(read_data=True)
    assert (checked.errors, checked.hints) == ([], [])
    assert repository.plan_prune(request_).is_empty


def test_nothing_unused_stays_unless_it_may(repository):
    """With a limit of zero."""
    forget_oldest(repository)

    repository.prune(EVERYTHING)

    assert repository.check().unused_blobs == 0
    assert repository.plan_prune(EVERYTHING).unused_before == 0


def test_a_plan_changes_nothing(repository):
    """It is what is shown before."""
    forget_oldest(repository)
    before = [files(repository, kind) for kind in FileType if kind.value != "config"]

    repository.plan_prune(EVERYTHING)

    assert before == [files(repository, k) for k in FileType if k.value != "config"]


def test_a_plan_without_some_snapshots(repository):
    """It is the one that is made once they are forgotten, and not before carried out."""
    oldest = repository.list()[0]
    assert repository.plan_prune(EVERYTHING).is_empty

    plan = repository.plan_prune(EVERYTHING, without=[oldest])

    with pytest.raises(PlanOutdatedError, match="not as it was"):
        repository.prune(plan)
    assert oldest in repository.list()
    repository.forget([oldest])
    assert plan == repository.plan_prune(EVERYTHING)
    assert not plan.is_empty
    assert repository.prune(plan) == plan


def test_nothing_to_prune_writes_nothing(repository):
    """Not even an index."""
    before = files(repository, FileType.INDEX)

    assert repository.prune().is_empty

    assert files(repository, FileType.INDEX) == before


@pytest.mark.parametrize("what", ["a snapshot more", "a snapshot less", "a pack more"])
def test_a_plan_of_another_state_is_refused(repository, source, what):
    """What came since could need what the plan removes."""
    forget_oldest(repository)
    plan = repository.plan_prune(EVERYTHING)
    if what == "a snapshot more":
        repository.back_up(DirectorySource(source, base=source))
    elif what == "a snapshot less":
        forget_oldest(repository)
    else:
        backend_of(repository).save(File(FileType.PACK, b"\x01" * 32), b"new")
    before = files(repository)

    with pytest.raises(PlanOutdatedError, match="not as it was"):
        repository.prune(plan)

    assert files(repository) == before


def test_a_plan_holds_for_whoever_opens_the_repository(tmp_path, repository, source):
    """Which of two copies an index finds first is nothing to rely on."""
    twice(repository)
    forget_oldest(repository)
    plan = repository.plan_prune(EVERYTHING)
    with Repository.open(backend_of(repository), PASSWORD) as other:
        # As one that loaded them in another order.
        packs = list(other._opened.packs())
        other._opened.refresh_index()
        other._opened._index = Index()
        for each in reversed(packs or list(other._opened.packs())):
            other._opened._index.add(each)

        other.prune(plan)

    assert repository.check(read_data=True).errors == []
    assert repository.restore("latest", tmp_path / "target").problems == []
    assert seen(tmp_path / "target") == seen(source)


def twice(repository):
    """Save every blob once more, in packs of its own, as two writers may have done."""
    opened = repository._opened
    opened.refresh_index()
    packer = Packer(opened.documents, opened.key)
    for each in list(opened.packs()):
        for kind, name, offset, length, plain_size in each.blobs:
            content = opened.backend.load(File(FileType.PACK, each.id), offset, length)
            packer.add(kind, [(name, SealedBlob(content, plain_size))])
    packer.flush()
    packer.close()


def test_copies_go(tmp_path, repository, source):
    """One of each is enough."""
    before = sum(files(repository).values())
    twice(repository)
    assert any("more than once" in str(hint) for hint in repository.check().hints)

    repository.prune(EVERYTHING)

    assert sum(files(repository).values()) <= before
    assert repository.check(read_data=True).hints == []
    assert repository.restore("latest", tmp_path / "target").problems == []
    assert seen(tmp_path / "target") == seen(source)


def test_a_pack_that_two_index_files_tell_of_is_one(repository):
    """Each may name a part of it, or both all of it."""
    opened = repository._opened
    opened.refresh_index()
    largest = max(opened.packs(), key=lambda each: len(each.blobs))
    save_index(opened.documents, [largest])
    save_index(opened.documents, [largest._replace(blobs=largest.blobs[:3])])

    assert repository.plan_prune(EVERYTHING).is_empty
    checked = repository.check(read_data=True)
    assert (checked.errors, checked.hints) == ([], [])


@pytest.mark.parametrize("what", ["tree", "data"])
def test_nothing_is_pruned_where_something_is_missing(repository, what):
    """Neither a plan is made, nor anything removed."""
    opened = repository._opened
    opened.refresh_index()
    kind = BlobType.TREE if what == "tree" else BlobType.DATA
    for name, packs in list(opened.index_files()):
        rest = [each for each in packs if each.blobs[0].type is not kind]
        if len(rest) < len(packs):
            save_index(opened.documents, rest)
            opened.backend.remove(File(FileType.INDEX, name))
    before = files(repository)

    with pytest.raises(BlobMissingError):
        repository.prune(EVERYTHING)

    assert files(repository) == before


@pytest.mark.parametrize("is_planned", [False, True])
def test_where_no_snapshot_is_there_nothing_is_removed_untold(repository, is_planned):
    """They may be lost, or the directory that has them may not be mounted."""
    backend = backend_of(repository)
    lost = {
        f: backend.files.pop(f) for f in list(backend.files) if f.type == "snapshots"
    }
    before = dict(backend.files)
    plan = repository.plan_prune(EVERYTHING)
    assert plan.removes_all

    with pytest.raises(InvalidSpecError, match="no snapshot is there: all"):
        repository.prune(plan if is_planned else EVERYTHING)
    assert backend.files == before
    backend.files.update(lost)
    assert not repository.plan_prune(EVERYTHING).removes_all

    repository.forget([each.id.hex() for each in repository.list()])
    repository.prune(EVERYTHING, remove_all=True)
    assert files(repository) == {}
    assert repository.prune(EVERYTHING).is_empty


def test_a_damaged_snapshot_ends_it(repository):
    """Nobody knows what it needs."""
    name = next(iter(files(repository, FileType.SNAPSHOT)))
    backend = backend_of(repository)
    content = bytearray(backend.files[File(FileType.SNAPSHOT, name)])
    content[-1] ^= 1
    backend.files[File(FileType.SNAPSHOT, name)] = bytes(content)
    before = files(repository)

    with pytest.raises(IntegrityError, match="snapshot"):
        repository.prune(EVERYTHING)

    assert files(repository) == before


def test_what_is_damaged_is_not_written_anew(repository):
    """Where a blob that is moved does not open, all stays as it was."""
    forget_oldest(repository)
    plan = repository.plan_prune(EVERYTHING)
    assert plan.rewrite
    backend = backend_of(repository)
    for name in plan.rewrite:
        content = bytearray(backend.files[File(FileType.PACK, name)])
        for at in range(0, len(content) - 3000, 500):
            content[at] ^= 1
        backend.files[File(FileType.PACK, name)] = bytes(content)
    before = files(repository)

    with pytest.raises(IntegrityError, match="nothing was removed"):
        repository.prune(plan)

    assert before.items() <= files(repository).items()


def test_a_lost_lock_ends_it_before_anything_is_removed(repository, monkeypatch):
    """Somebody may have begun to write meanwhile."""
    forget_oldest(repository)
    plan = repository.plan_prune(EVERYTHING)
    indexes, packs = files(repository, FileType.INDEX), files(repository)

    def lost(_):
        raise RepositoryLockedError("here", "it is lost")

    monkeypatch.setattr("kbackup.repository._locks.Lock.check", lost)
    with pytest.raises(RepositoryLockedError):
        repository.prune(plan)

    assert indexes.items() <= files(repository, FileType.INDEX).items()
    assert packs.items() <= files(repository).items()


@pytest.mark.parametrize("pack_size", [PACK_SIZE, 1])
def test_the_lock_is_asked_before_each_step(repository, monkeypatch, pack_size):
    """Between any two of them it may be lost, as each takes long."""
    forget_oldest(repository)
    plan = repository.plan_prune(EVERYTHING)
    backend, done = backend_of(repository), []
    check, save, remove = Lock.check, backend.save, backend.remove

    def note(what):
        if done[-1:] != [what]:
            done.append(what)

    def asked(lock):
        check(lock)
        note("ask")

    def saving(file, content):
        save(file, content)
        is_later_pack = file.type is FileType.PACK and "save PACK" in done
        if file.type is not FileType.LOCK and not is_later_pack:
            note(f"save {file.type.name}")

    def removing(file):
        remove(file)
        if file.type is not FileType.LOCK:
            note(f"remove {file.type.name}")

    monkeypatch.setattr("kbackup.repository._packer.PACK_SIZE", pack_size)
    monkeypatch.setattr(Lock, "check", asked)
    monkeypatch.setattr(backend, "save", saving)
    monkeypatch.setattr(backend, "remove", removing)

    repository.prune(plan)

    steps = ["save PACK", "save INDEX", "save INDEX", "remove INDEX", "remove PACK"]
    assert done == [word for step in steps for word in ("ask", step)]


def test_nobody_else_may_work_meanwhile(repository):
    """The lock excludes; making a plan does not."""
    with repository._locked():
        repository.plan_prune()
        with pytest.raises(RepositoryLockedError):
            repository.prune()


def test_an_index_that_lacks_something_removes_nothing(repository, monkeypatch):
    """It is looked at once more before packs go, whoever made the mistake."""
    forget_oldest(repository)

    def forgetful(documents, packs):
        return save_index(documents, list(packs)[1:])

    monkeypatch.setattr("kbackup.repository._prune.save_index", forgetful)
    before = files(repository)
    with pytest.raises(IntegrityError, match="would be lost"):
        repository.prune(EVERYTHING)

    assert before.items() <= files(repository).items()


class Failing:
    """A backend whose n-th write or removal fails."""

    def __init__(self, real, fails_at):
        self._real, self._left = real, fails_at

    def __getattr__(self, name):
        return getattr(self._real, name)

    def _counted(self, call, *given):
        self._left -= 1
        if self._left == 0:
            raise StoreUnavailableError("a file", "for the moment")
        return call(*given)

    def save(self, *given):
        """Count, and fail or save."""
        return self._counted(self._real.save, *given)

    def remove(self, *given):
        """Count, and fail or remove."""
        return self._counted(self._real.remove, *given)


def prune_failing_at(repository, call):
    """Prune; tell whether it failed at that write or removal."""
    opened, real = repository._opened, backend_of(repository)
    failing = Failing(real, call)
    opened.backend = opened.documents.backend = failing
    try:
        repository.prune(EVERYTHING)
    except StoreUnavailableError:
        return True
    finally:
        opened.backend = opened.documents.backend = real
    return False


def test_whichever_call_fails_every_snapshot_is_whole(tmp_path, repository, source):
    """And pruning once more ends it."""
    forget_oldest(repository)
    backend = backend_of(repository)
    saved = dict(backend.files)
    call = 1
    while prune_failing_at(repository, call):
        repository.unlock(remove_all=True)
        assert repository.check(read_data=True).errors == [], call
        repository.prune(EVERYTHING)
        checked = repository.check(read_data=True)
        assert (checked.errors, checked.unused_blobs) == ([], 0), call
        backend.files = dict(saved)
        call += 1
    repository.unlock(remove_all=True)
    assert call > 8
    assert repository.restore("latest", tmp_path / "target").problems == []
    assert seen(tmp_path / "target") == seen(source)


def test_what_killed_processes_left_goes_too(tmp_path, source):
    """Once it is old enough."""
    place = tmp_path / "repository"
    with Repository.init(place, PASSWORD, key_parameters=CHEAP) as repository:
        repository.back_up(DirectorySource(source, base=source))
        spool = LocalBackend(place).spool()
        spool.write(b"half a pack")
        left = list((place / "data/tmp").iterdir())
        assert len(left) == 1
        change(source)
        repository.back_up(DirectorySource(source, base=source))
        forget_oldest(repository)

        repository.prune(EVERYTHING)
        assert left[0].exists()
        os.utime(left[0], (1, 1))
        change(source)
        repository.back_up(DirectorySource(source, base=source))
        forget_oldest(repository)
        repository.prune(EVERYTHING)

        assert not left[0].exists()
        spool.close()


def test_many_small_index_files_become_one(repository, source):
    """Each backup writes one; all of them are read each time."""
    for number in range(5):
        (source / f"more {number}").write_text(str(number))
        repository.back_up(DirectorySource(source, base=source))
    forget_oldest(repository)
    assert len(files(repository, FileType.INDEX)) > 5

    repository.prune(EVERYTHING)

    assert len(files(repository, FileType.INDEX)) <= 2
    documents = repository._opened.documents
    named = {
        each.id
        for name in files(repository, FileType.INDEX)
        for each in load_index(documents, name)
    }
    assert named == set(files(repository))


# --- what is looked at once more --------------------------------------------------------


def test_a_copy_in_a_pack_that_stays_is_not_written_anew(opened):
    """An index that was loaded in another order counts another copy than the plan did."""
    plain = {hash_of(each): each for each in (b"twice", b"once")}
    sealed = {n: opened.codec.seal(BlobType.DATA, p) for n, p in plain.items()}
    twice, once = sealed
    packs = []
    for names in ([twice], [twice, once]):
        packer = Packer(opened.documents, opened.key)
        packer.add(BlobType.DATA, [(name, sealed[name]) for name in names])
        packer.flush()
        packer.close()
        opened.refresh_index()
        packs += [p for p in opened.packs() if p not in packs]
    stays, goes = packs
    plan = attrs.evolve(
        planned(packs, []),
        rewrite=frozenset({goes.id}),
        drop=frozenset(),
        needed=Reachable(set(), set(sealed)),
    )

    assert opened.index.find(BlobType.DATA, twice).pack == stays.id
    assert [need.id for need in _prune._used_of(opened, plan)] == [once]
    both = attrs.evolve(plan, rewrite=frozenset({stays.id, goes.id}))
    moved = [need.id for need in _prune._used_of(opened, both)]
    assert sorted(moved) == sorted([twice, once])


def test_a_full_index_file_without_what_goes_stays(repository, monkeypatch):
    """To write it anew would gain nothing."""
    monkeypatch.setattr(_prune, "_FULL", 1)
    backend = backend_of(repository)
    first, second = repository.list()
    repository._opened.refresh_index()
    needed = {b for e in repository.ls(first) for b in e.node.blobs}
    before = {name for name, _ in backend.list(FileType.INDEX)}
    stays = {
        name
        for name, packs in repository._opened.index_files()
        if all(b.id in needed for p in packs for b in p.blobs if not b.type)
    }
    repository.forget([second.id.hex()])

    repository.prune(EVERYTHING)

    after = {name for name, _ in backend.list(FileType.INDEX)}
    assert len(before) == 2
    assert stays == before & after
    assert repository.check(read_data=True).errors == []


def test_what_is_in_packs_that_go_alone_ends_it(repository):
    """Nothing is removed while an index file has nothing else for what is needed."""
    repository.forget([repository.list()[0].id.hex()])
    plan = repository.plan_prune(EVERYTHING)
    assert plan.rewrite

    with pytest.raises(IntegrityError, match="nothing was removed"):
        _prune._require_named(plan, repository._opened, [])
