"""Locations of several directories: made, looked at, repaired from the command line."""

import json
import os
from pathlib import Path

import jsonschema
import pytest

from kbackup.errors import StoreAccessError

SCHEMA = json.loads(
    Path(__file__)
    .parents[3]
    .joinpath("docs/formats/schemas/output.json")
    .read_text(encoding="utf-8")
)
ARCHIVE = "backups/shop-1/shop-1.tar.gz"


def _unmount(root):
    """Leave an empty mount point where the directory was."""
    root.rename(root.with_suffix(".disk"))
    root.mkdir()


@pytest.fixture(name="roots")
def fixture_roots(tmp_path):
    """The two directories."""
    return tmp_path / "a", tmp_path / "b"


@pytest.fixture(name="mirrored")
def fixture_mirrored(kbackup, roots, monkeypatch):
    """The command line with a mirrored location and one backup in it."""
    monkeypatch.setenv("KBACKUP_LOCATION", "#".join(map(str, roots)))
    assert kbackup("location", "init").code == 0
    done = kbackup("backup", "create", "shop-1", "--include-namespaces", "shop")
    assert done.code == 0, done.err
    return kbackup


@pytest.fixture(name="leftover")
def fixture_leftover(directory):
    """An object that a trial of the store left two days ago."""
    path = directory / "plugins/kbackup.io/probe/abc"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    long_ago = path.stat().st_mtime - 48 * 3600
    os.utime(path, (long_ago, long_ago))
    return path


def test_directories_never_made(offline, roots, monkeypatch):
    """Two new directories are no location until init, and the error says how."""
    monkeypatch.setenv("KBACKUP_LOCATION", "#".join(map(str, roots)))

    done = offline("location", "validate")

    assert done.code == 1
    assert all(str(root) in done.out for root in roots)
    assert done.next.startswith("Next: kbackup location init --help")
    assert done.err.count("location init") == 2  # the advice, and the next command
    assert not roots[0].exists()


def test_validate_tells_each_directory(mirrored, roots):
    """Validate says of each directory whether it is there, and why not."""
    whole = mirrored("location", "validate")
    assert whole.code == 0
    assert [f"{root}: there" for root in roots] == whole.out.splitlines()[:2]
    roots[1].rename(roots[1].with_suffix(".disk"))
    roots[1].mkdir()

    done = mirrored("location", "validate", "-o", "json")

    assert done.code == 1
    document = json.loads(done.out)
    jsonschema.validate(document, SCHEMA)
    first, second = document["directories"]
    assert (first["path"], first["present"]) == (str(roots[0]), True)
    assert (second["path"], second["present"]) == (str(roots[1]), False)
    assert "not mounted" in second["reason"]
    assert any("is away" in problem for problem in document["problems"])
    assert list(roots[1].iterdir()) == []


def test_validate_takes_a_directory_without_mark_for_a_disk(mirrored, roots):
    """For a disk that is not mounted the advice is to mount it, not to mark the place."""
    _unmount(roots[1])

    done = mirrored("location", "validate")

    assert done.code == 1
    assert f"If {roots[1]} should be a mounted disk, mount it" in done.err
    assert done.next == "Next: kbackup location validate"


def test_init_does_not_mark_a_mount_point_without_consent(mirrored, roots):
    """Beside a marked directory another is marked only by who says so, having been told."""
    _unmount(roots[1])

    refused = mirrored("location", "init")
    untouched = list(roots[1].iterdir())
    done = mirrored("location", "init", "--yes")

    assert refused.code == 2
    assert "--yes" in refused.err
    assert f"{roots[0]}: belongs to the location" in refused.err
    assert f"{roots[1]}: is marked as the location's" in refused.err
    assert untouched == []
    assert done.code == 0
    assert (roots[1] / "plugins/kbackup.io/location.json").exists()


def test_init_that_is_not_agreed_to_changes_nothing(mirrored, roots, monkeypatch):
    """Whoever says no on the terminal has marked nothing."""
    _unmount(roots[1])
    roots[1].rmdir()
    monkeypatch.setattr(
        "kbackup.cli._location.require_somebody_to_ask", lambda **_: None
    )
    monkeypatch.setattr("kbackup.cli._location.agreed", lambda *_, **__: False)

    done = mirrored("location", "init")

    assert done.code == 1
    assert f"{roots[1]}: is made and marked" in done.err
    assert not roots[1].exists()


def test_init_of_what_is_made_already(mirrored):
    """Nothing is asked where all is marked; validate tells the same and what it can."""
    done = mirrored("location", "init", "-o", "json")
    validated = json.loads(mirrored("location", "validate", "-o", "json").out)

    assert done.code == 0
    assert validated.pop("profile")["capabilities"] == ["atomic-create", "range"]
    assert (validated.pop("hints"), validated.pop("news")) == ([], [])
    assert json.loads(done.out) == validated


def test_verify_names_the_directory_and_the_repair(mirrored, roots):
    """A damaged copy is named with its directory, and repair is the next command."""
    (roots[1] / ARCHIVE).write_bytes(b"rubbish")

    done = mirrored("backup", "verify", "shop-1")

    assert done.code == 1
    assert f"{roots[1]}: {ARCHIVE} is not what its manifest says" in done.out
    assert done.next == "Next: kbackup location repair --dry-run"


def test_verify_tells_what_was_not_read(mirrored, roots):
    """A directory that is away is named beside the verdict."""
    roots[1].rename(roots[1].with_suffix(".disk"))

    done = mirrored("backup", "verify", "shop-1")

    assert done.code == 0
    assert f"not read: {roots[1]} is away" in done.out


def test_repair_shows_and_changes_nothing_without_consent(mirrored, roots, monkeypatch):
    """The plan is shown first; whoever says no has changed nothing."""
    (roots[1] / ARCHIVE).unlink()
    monkeypatch.setattr(
        "kbackup.cli._location.require_somebody_to_ask", lambda **_: None
    )
    monkeypatch.setattr("kbackup.cli._location.agreed", lambda *_, **__: False)

    done = mirrored("location", "repair")

    assert done.code == 1
    assert f"copy {ARCHIVE} in {roots[1]}: is missing" in done.err
    assert "Nothing was changed" in done.err
    assert not (roots[1] / ARCHIVE).exists()


def test_repair_without_a_terminal_needs_yes(mirrored):
    """Where nobody can be asked nothing is begun."""
    done = mirrored("location", "repair")

    assert done.code == 2
    assert "--yes" in done.err


def test_repair_does_what_it_showed(mirrored, roots):
    """With --yes the copies are made, and then nothing is left to do."""
    right = (roots[0] / ARCHIVE).read_bytes()
    (roots[1] / ARCHIVE).write_bytes(b"rubbish")

    shown = mirrored("location", "repair", "--dry-run", "-o", "json")
    done = mirrored("location", "repair", "--yes", "-o", "json")
    again = mirrored("location", "repair", "--yes")
    nothing = mirrored("location", "repair", "--yes", "-o", "json")

    assert [step["key"] for step in json.loads(shown.out)["steps"]] == [ARCHIVE]
    document = json.loads(done.out)
    jsonschema.validate(document, SCHEMA)
    assert document["kind"] == "RepairReport"
    (outcome,) = document["outcomes"]
    assert (outcome["result"], outcome["message"]) == ("done", "")
    assert outcome["reason"] == "is not what its manifest says"
    assert (roots[1] / ARCHIVE).read_bytes() == right
    assert again.out.strip() == "nothing to repair"
    assert again.code == 0
    assert json.loads(nothing.out) == {**document, "outcomes": []}


def test_damage_that_cannot_be_repaired_is_exit_code_one(mirrored, roots):
    """Where no copy is right the command says so, and fails."""
    for root in roots:
        (root / ARCHIVE).write_bytes(b"rubbish")

    done = mirrored("location", "repair", "--yes")

    assert done.code == 1
    assert "cannot be repaired" in done.out


def test_repair_of_a_single_directory(offline, leftover):
    """A location with one directory is repaired as well."""
    done = offline("location", "repair", "--yes")

    assert done.code == 0
    assert "done: remove plugins/kbackup.io/probe/abc" in done.out
    assert not leftover.exists()


@pytest.mark.parametrize("key", ["", "plugins/kbackup.io/location.json"])
def test_validate_says_what_to_do(offline, monkeypatch, key):
    """A location that refuses is named once, and what to do about it is said."""
    told = StoreAccessError(key, "no such bucket", hint="make the bucket")

    def refuse(*_args, **_options):
        raise told

    monkeypatch.setattr("kbackup.catalog._backup_store.validate_object_store", refuse)

    done = offline("location", "validate", "--location", "memory://b")
    report = json.loads(
        offline("location", "validate", "--location", "memory://b", "-o", "json").out
    )

    assert done.code == 1
    assert done.out == "memory://b: access refused: no such bucket\n"
    assert done.err.startswith("Hint: make the bucket\nOnce that is mended:\n")
    jsonschema.validate(report, SCHEMA)
    assert report["hints"] == ["make the bucket"]


def test_validate_says_what_to_do_about_a_failed_write(offline, monkeypatch):
    """Also of what can be listed and not written it is said what to do."""

    def refuse(*_args, **_options):
        raise StoreAccessError("", "it is frozen", hint="thaw it")

    monkeypatch.setattr("kbackup.stores._validate.probe_store", refuse)

    done = offline("location", "validate", "--location", "memory://b")

    assert done.code == 1
    assert "memory://b: access refused: it is frozen\n" in done.out
    assert "Hint: thaw it\n" in done.err


def test_doctor_says_what_to_do_about_a_location(offline, monkeypatch):
    """The doctor passes on what a location that refuses says to do."""

    def refuse(*_args, **_options):
        raise StoreAccessError("", "no such bucket", hint="make the bucket")

    monkeypatch.setattr("kbackup.catalog._backup_store.validate_object_store", refuse)

    done = offline("doctor", "--location", "memory://b")
    report = json.loads(offline("doctor", "--location", "memory://b", "-o", "json").out)

    assert done.code == 1
    assert done.err.count("Hint: make the bucket\n") == 1
    jsonschema.validate(report, SCHEMA)
    told = {each["check"]: each["hint"] for each in report["checks"]}
    assert told["location"] == "make the bucket"
