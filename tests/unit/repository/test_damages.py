"""What is damaged is named, what is not is restored, and no byte of it is wrong."""

from contextlib import nullcontext
from datetime import timedelta

import pytest

from damages import DAMAGES, PASSWORD, Sample
from kbackup.errors import IntegrityError
from kbackup.repository import Repository


@pytest.fixture(scope="module")
def intact(tmp_path_factory):
    """A repository of two snapshots that is whole."""
    directory = tmp_path_factory.mktemp("intact")
    return Sample.make(directory / "repository", directory / "source")


@pytest.fixture
def sample(intact, tmp_path, monkeypatch):
    """A copy of it, whose locks settle at once."""
    monkeypatch.setattr("kbackup.repository._locks._SETTLES", timedelta(0))
    return intact.copy(tmp_path / "repository")


def raising(expected, says):
    """Whoever does this meets an error that names what is damaged, or none."""
    if isinstance(expected, type):
        return pytest.raises(expected, match=says or None)
    return nullcontext()


def restored(target):
    """What is in each file of a target."""
    return {
        str(path.relative_to(target)): path.read_bytes()
        for path in target.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.name)
def test_what_is_damaged_is_named(sample, tmp_path, damage):
    """By whoever meets it; what does not need it is restored, and nothing wrongly."""
    says = damage.act(sample)

    with raising(damage.opens, says):
        repository = Repository.open(sample.place, PASSWORD)
    if damage.opens:
        return
    with raising(damage.lists, says):
        assert len(repository.list()) == 2
    names = {sample.first: ["both", "one"], sample.second: list(sample.contents)}
    for number, outcome in enumerate((damage.first, damage.second)):
        snapshot = (sample.first, sample.second)[number]
        target = tmp_path / f"target {number}"
        with raising(outcome, says):
            done = repository.restore(snapshot, target)
        expected = {name: sample.contents[name] for name in names[snapshot]}
        if isinstance(outcome, type):
            assert restored(target).items() <= expected.items()
            continue
        lost = [outcome] if outcome else []
        assert [problem.path.decode() for problem in done.problems] == lost
        assert all(says in problem.reason for problem in done.problems)
        assert done.files == len(expected) - len(lost)
        for name in lost:
            del expected[name]
        assert restored(target) == expected


@pytest.mark.parametrize(
    "damage",
    [each for each in DAMAGES if not each.opens and each.name != "lock damaged"],
    ids=lambda damage: damage.name,
)
def test_a_check_finds_what_is_damaged(sample, damage):
    """It ends without an error of its own, and names it."""
    says = damage.act(sample)

    with Repository.open(sample.place, PASSWORD) as repository:
        result = repository.check(read_data=True)

    assert result.is_whole is damage.is_whole
    assert result.is_whole or any(
        says.removeprefix("blob ") in str(error) for error in result.errors
    )


def test_the_newest_of_damaged_ones(sample, tmp_path):
    """Whether it is the newest nobody knows: `latest` is refused, and names why."""
    (damage,) = [each for each in DAMAGES if each.name == "snapshot truncated"]
    says = damage.act(sample)

    with Repository.open(sample.place, PASSWORD) as repository:
        with pytest.raises(IntegrityError, match=says or None):
            repository.restore("latest", tmp_path / "target")
        assert [entry.path for entry in repository.ls(sample.first[:8])] == [
            b"both",
            b"directory",
            b"one",
        ]
