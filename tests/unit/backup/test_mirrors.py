"""A backup into mirrored directories says which of them has no whole copy of it."""

import shutil

import pytest

from kbackup.catalog import BackupStore
from kbackup.errors import StoreFullError, StoreUnavailableError
from kbackup_plugins_local import open_local_store


@pytest.fixture(name="roots")
def fixture_roots(tmp_path):
    """The two directories."""
    return tmp_path / "a", tmp_path / "b"


@pytest.fixture(name="mirrored")
def fixture_mirrored(scene, roots):
    """The scene with a location of two directories, and a Secret to back up."""
    objects = open_local_store({"path": "#".join(map(str, roots))})
    objects.initialise()
    scene.objects, scene.store = objects, BackupStore(objects)
    scene.load(scene.secret("s"))
    return scene


def _unmount(root):
    root.rename(root.with_suffix(".disk"))
    root.mkdir()


def _warnings(result):
    return [str(each) for each in result.results.warnings]


def test_no_warning_with_all_directories_there(mirrored):
    """Where every directory gets its copy there is nothing to warn of."""
    assert _warnings(mirrored.back_up(included_namespaces=["shop"])) == []


def test_every_run_warns_of_a_directory_that_is_away(mirrored, roots):
    """A directory away from the start is a warning by name, in every run and its record."""
    _unmount(roots[1])
    mirrored.store.list()  # tells the store that it is away, ahead of the runs

    results = [
        mirrored.back_up(name=name, included_namespaces=["shop"]) for name in "bc"
    ]

    for result in results:
        (told,) = _warnings(result)
        assert told.startswith(f"{roots[1]} is away")
        assert result.backup.status.warnings == 1
        name = result.backup.metadata.name
        assert len(mirrored.store.results(name).warnings) == 1


def test_a_directory_that_comes_back_before_the_end(mirrored, roots, monkeypatch):
    """One that missed the first object is told, though it is there again at the end."""
    put = mirrored.objects.put
    seen = []

    def come_back(key, *args, **more):
        info = put(key, *args, **more)
        if key.startswith("backups/"):
            seen.append(key)
            if len(seen) == 1:
                _unmount(roots[1])
            if len(seen) == 3:
                shutil.rmtree(roots[1])
                roots[1].with_suffix(".disk").rename(roots[1])
        return info

    monkeypatch.setattr(mirrored.objects, "put", come_back)

    result = mirrored.back_up(included_namespaces=["shop"])

    assert [t for t in _warnings(result) if t.startswith(f"{roots[1]} is away")]


def test_a_directory_that_was_told_of_before_and_goes_again(
    mirrored, roots, monkeypatch
):
    """What an earlier run told is no reason to be silent in a later one."""
    _unmount(roots[1])
    mirrored.back_up(name="b", included_namespaces=["shop"])
    shutil.rmtree(roots[1])
    roots[1].with_suffix(".disk").rename(roots[1])
    put = mirrored.objects.put

    def vanish(key, *args, **more):
        if key == "backups/c/c.tar.gz":
            _unmount(roots[1])
        return put(key, *args, **more)

    monkeypatch.setattr(mirrored.objects, "put", vanish)

    result = mirrored.back_up(name="c", included_namespaces=["shop"])

    assert len([t for t in _warnings(result) if str(roots[1]) in t]) == 1


def test_a_directory_that_hangs_is_told_once(mirrored, roots, monkeypatch):
    """It is asked once and not again; the one warning says what it was away for."""
    asked = []

    def hang(key=""):
        asked.append(key)
        raise StoreUnavailableError("location.json", "no answer within 30 s")

    monkeypatch.setattr(mirrored.objects._mirrors[1].store, "glance", hang)

    (told,) = _warnings(mirrored.back_up(included_namespaces=["shop"]))

    assert told.startswith(f"{roots[1]} is away: ")
    assert "no answer within 30 s" in told
    assert len(asked) == 1


def test_a_directory_that_fails(mirrored, roots, monkeypatch):
    """A directory that is there and takes nothing is told of, object by object."""

    def fail(key, *_, **__):
        raise StoreFullError(key)

    monkeypatch.setattr(mirrored.objects._mirrors[1].store, "put", fail)

    told = _warnings(mirrored.back_up(included_namespaces=["shop"]))

    assert any(text.startswith(f"{roots[1]}: backups/b/b.tar.gz") for text in told)
