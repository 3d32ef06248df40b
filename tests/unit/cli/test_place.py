"""A location is named in what is said of it, above all one that is mistyped."""

import json
import shutil
from datetime import UTC, datetime

import pytest

from kbackup import BackupEngine, BackupSpec, BackupStore
from kbackup._kits.clock import SystemClock
from kbackup.cli._place import meant_backup


@pytest.mark.parametrize("kind", ["backup", "restore"])
def test_mistyped_location_is_named(offline, directory, kind):
    """An empty list says of where, and that the place does not exist."""
    done = offline(kind, "get")

    assert done.code == 0
    assert f"in file://{directory}, which does not exist yet." in done.err


def test_empty_location_is_there(offline, directory):
    """An empty directory is not said to be absent."""
    directory.mkdir()

    done = offline("backup", "get")

    assert f"No backups in file://{directory}.\n" in done.err


@pytest.mark.parametrize(
    "words", [("backup", "get"), ("restore", "get", "-o", "json")], ids=" ".join
)
def test_list_of_nothing_says_whose_location_it_is(
    offline, directory, tmp_path, monkeypatch, words
):
    """Where nothing is found, the place and the setting that it is from are said."""
    settings = tmp_path / "kbackup/config.toml"
    settings.parent.mkdir()
    settings.write_text(f'default-location = "p"\n[locations.p]\nurl = "{directory}"\n')

    given = offline(*words, "--location", directory)
    by_environment = offline(*words)
    monkeypatch.delenv("KBACKUP_LOCATION")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    by_settings = offline(*words)

    for done in (given, by_environment, by_settings):
        assert done.code == 0
        assert f"No {words[0]}s in file://{directory}, which does not" in done.err
        assert ("items" in done.out) == ("json" in words)
    assert "This location is from" not in given.err
    assert "This location is from KBACKUP_LOCATION." in by_environment.err
    told = f"This location is from default-location in {settings}."
    assert told in by_settings.err


def test_repair_of_a_mistyped_location(offline, directory):
    """Where there is nothing to repair because nothing is there, that is said."""
    done = offline("location", "repair", "--dry-run")

    assert (done.code, done.out) == (0, "nothing to repair\n")
    assert f"Location: file://{directory}, which does not exist yet" in done.err


def test_not_found_names_the_location(offline, directory):
    """Whoever asks for one backup at a mistyped place sees the place."""
    done = offline("backup", "describe", "shop-1")

    assert f"Location: file://{directory}, which does not exist yet" in done.err


def test_first_write_tells_of_the_new_location(kbackup, directory):
    """A backup that makes its location says so, and the next one does not."""
    made = f"Made new location file://{directory}\n"

    first = kbackup("backup", "create", "a", "--include-namespaces", "shop")
    second = kbackup("backup", "create", "b", "--include-namespaces", "shop")

    assert made in first.err
    assert made not in second.err


def test_a_new_location_without_a_backup_is_told(kbackup, directory, simulated):
    """A backup that fails leaves the location it has made, and does not claim to be in it."""
    simulated.close()

    done = kbackup("backup", "create", "a", "--include-namespaces", "shop")

    assert done.code == 1
    made = f"Made new location file://{directory}, in which there is no backup\n"
    assert made in done.err


def test_a_directory_where_nothing_can_be_made(kbackup):
    """Where the system makes no files, that is said, not that an object is missing."""
    done = kbackup("backup", "create", "a", "--location", "/proc")

    assert done.code == 1
    assert (
        "Error: file:///proc: access refused: no file can be made in /proc" in done.err
    )


def test_a_lost_mount_is_told(kbackup, directory, tmp_path):
    """An empty directory where a location was is said to have become a new one."""
    made = f"Made new location file://{directory}\n"
    create = ("backup", "create", "--include-namespaces", "shop")
    kbackup(*create, "a")
    directory.rename(tmp_path / "unmounted")
    directory.mkdir()

    done = kbackup(*create, "b")

    assert made in done.err
    assert made not in kbackup(*create, "c").err


def test_a_location_of_veleros_is_not_new(kbackup, directory):
    """Where Velero has stored backups nothing is made anew; it leaves no uuid."""
    create = ("backup", "create", "--include-namespaces", "shop")
    kbackup(*create, "a")
    shutil.rmtree(directory / "plugins")

    assert "Made new location" not in kbackup(*create, "b").err


@pytest.fixture(name="by_uuid")
def fixture_by_uuid(kbackup, directory, tmp_path, monkeypatch):
    """The command line with a location that the file of settings names by its uuid."""
    kbackup("backup", "create", "a", "--include-namespaces", "shop")
    report = json.loads(kbackup("location", "validate", "-o", "json").out)
    assert f"uuid: {report['uuid']}\n" in kbackup("location", "validate").out
    settings = tmp_path / "home/kbackup/config.toml"
    settings.parent.mkdir(parents=True)
    text = f'[locations.usb]\nurl = "{directory}"\nuuid = "{report["uuid"]}"\n'
    settings.write_text(text)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KBACKUP_LOCATION", "usb")
    return kbackup


def test_the_location_with_the_uuid_is_used(by_uuid):
    """The location that is meant is used as any other."""
    assert "a" in by_uuid("backup", "get").out
    assert by_uuid("backup", "create", "b", "--include-namespaces", "shop").code == 0


@pytest.mark.parametrize("there", ["empty", "another", "nothing"])
def test_another_location_is_refused(by_uuid, directory, tmp_path, there):
    """Nothing is written to what only stands in the place of the location."""
    shutil.move(directory, tmp_path / "unmounted")
    if there != "nothing":
        directory.mkdir()
    if there == "another":
        location_file = directory / "plugins/kbackup.io/location.json"
        location_file.parent.mkdir(parents=True)
        document = {"apiVersion": "kbackup.io/v1", "kind": "Location", "layout": 1}
        location_file.write_text(json.dumps({**document, "uuid": "1-2-3"}))
    before = sorted(directory.rglob("*"))

    done = by_uuid("backup", "create", "b", "--include-namespaces", "shop")

    assert done.code == 2
    assert f"Error: file://{directory} is another location" in done.err
    assert f"there is {'1-2-3' if there == 'another' else 'none'}" in done.err
    assert sorted(directory.rglob("*")) == before


@pytest.mark.parametrize("verb", ["get", "create"])
def test_store_errors_begin_with_the_address(kbackup, tmp_path, monkeypatch, verb):
    """What a store refuses is told with the location, not with a key of our own."""
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("KBACKUP_LOCATION", str(file))
    names = {"get": (), "create": ("a",)}[verb]

    done = kbackup("backup", verb, *names)

    assert done.code == 1
    assert f"Error: file://{file}: access refused: Not a directory\n" in done.err
    assert "location.json" not in done.err
    assert done.next.startswith("Next: kbackup location validate")


def test_validate_leads_to_itself_only_once_mended(offline, tmp_path):
    """A location that cannot be used is to be mended first, and then tried again."""
    file = tmp_path / "file"
    file.touch()

    done = offline("location", "validate", "--location", file)

    assert done.code == 1
    assert (
        f"Once that is mended:\nNext: kbackup location validate --location {file}"
        in (done.err)
    )
    assert "--help" not in done.err
    assert done.out == f"file://{file}: access refused: Not a directory\n"


def test_backup_into_memory_is_refused(kbackup):
    """A backup that would be gone with the command is not called Completed."""
    done = kbackup("backup", "create", "a", "--location", "memory://a")

    assert done.code == 2
    assert "memory://a lives in memory" in done.err
    assert done.out == ""


def test_dry_run_with_memory(kbackup):
    """Only to look, a location in memory is as good as any."""
    assert (
        kbackup("backup", "create", "a", "--location", "memory://a", "--dry-run").code
        == 0
    )


def test_no_backup_is_named_latest(kbackup):
    """The word that means the newest backup is no name of one."""
    done = kbackup("backup", "create", "latest")

    assert done.code == 2
    assert "'latest' means the newest backup;" in done.err


def test_latest_says_what_it_passed_over(backed_up, directory):
    """A damaged newest backup is named where an older one is taken for it."""
    backed_up("backup", "create", "later", "--include-namespaces", "shop")
    (directory / "backups/later/later.tar.gz").unlink()

    done = backed_up("restore", "plan", "--from-backup", "latest")

    assert done.code == 0, done.err
    assert "Not taken as latest: later, damaged: its archive is missing\n" in done.err
    assert "The latest backup is shop-1, Completed\n" in done.err


def test_latest_beside_a_backup_that_is_deleted_meanwhile(
    backed_up, directory, monkeypatch, capsys
):
    """What was passed over and is gone is no more told of, and stops nobody."""
    backed_up("backup", "create", "later", "--include-namespaces", "shop")
    with BackupStore.open(directory) as store:
        listed = store.list()
        store.delete("later")
        monkeypatch.setattr(store, "list", lambda: listed)

        assert meant_backup(store, "latest") == "shop-1"

    assert capsys.readouterr().err == "The latest backup is shop-1, Completed\n"


READING = [
    ["get", "latest"],
    ["describe", "latest"],
    ["logs", "latest"],
    ["ls", "latest"],
    ["show", "latest", "deployment/web"],
    ["verify", "latest"],
    ["download", "latest", "--file", "a.tar.gz"],
]


@pytest.mark.parametrize("words", READING, ids=lambda words: words[0])
def test_verbs_that_read_know_latest(backed_up, words, tmp_path, monkeypatch):
    """Whatever looks into a backup can be asked for the newest one."""
    monkeypatch.chdir(tmp_path)

    done = backed_up("backup", *words)

    assert done.code == 0, done.err
    assert "The latest backup is shop-1, Completed\n" in done.err
    assert "latest" not in done.out


def test_latest_is_not_deleted(backed_up):
    """What is removed for good is called by its own name."""
    done = backed_up("backup", "delete", "latest", "--confirm")

    assert done.code == 1
    assert "not found" in done.err
    assert "shop-1" in backed_up("backup", "get").out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["backup", "describe", "latest"], "Name:         latest"),
        (["restore", "plan", "--from-backup", "latest"], "of backup latest"),
    ],
    ids=["describe", "plan"],
)
def test_a_backup_that_is_called_latest(kbackup, simulated, directory, words, told):
    """A backup of that very name, as Velero may make one, is the one that is meant."""
    with simulated.connect() as cluster, BackupStore.open(directory) as store:
        spec = BackupSpec(included_namespaces=["shop"])
        for name in ("latest", "newer"):
            BackupEngine(cluster, store).run(name, spec)

    done = kbackup(*words)

    assert told in done.out
    assert "A backup is called latest: it is meant, not the newest" in done.err


@pytest.fixture(name="scheduled")
def fixture_scheduled(kbackup, monkeypatch):
    """Three backups of schedule ``daily``, a day apart, and one of nobody."""
    for day, name in enumerate(("daily-1", "daily-2", "daily-3", "own"), 1):
        now = datetime(2026, 5, day, 2, tzinfo=UTC)
        monkeypatch.setattr(SystemClock, "now", lambda _, now=now: now)
        label = [] if name == "own" else ["--labels", "velero.io/schedule-name=daily"]
        made = kbackup("backup", "create", name, "--include-namespaces", "shop", *label)
        assert made.code == 0, made.err
    return kbackup


def test_from_schedule(scheduled):
    """A restore from a schedule takes its newest backup, and is named after it."""
    planned = scheduled("restore", "plan", "--from-schedule", "daily", "-o", "json")
    created = scheduled("restore", "create", "--from-schedule", "daily", "--yes")

    head = json.loads(planned.out)["head"]
    assert head["backup"]["name"] == "daily-3"
    assert head["restore"]["name"].startswith("daily-2")  # and then the year
    assert "The latest backup of schedule daily is daily-3, Completed" in planned.err
    assert "--from-backup daily-3" in planned.next
    assert "--from-schedule" not in planned.next
    assert created.code == 0, created.err


def test_from_schedule_passes_over_what_cannot_be_restored(scheduled, directory):
    """What is not taken is told, and other backups are not meant."""
    (directory / "backups/daily-3/daily-3.tar.gz").unlink()

    done = scheduled("restore", "plan", "--from-schedule", "daily")

    assert (
        "Not taken as latest of schedule daily: daily-3, damaged: its archive is missing"
        in done.err
    )
    assert "The latest backup of schedule daily is daily-2, Completed" in done.err
    assert "own" not in done.err


@pytest.mark.parametrize(
    ("flags", "taken"), [((), "daily-2"), (("--allow-partially-failed",), "daily-3")]
)
def test_from_schedule_with_one_that_lacks_something(
    scheduled, simulated, flags, taken
):
    """A backup that lacks something is taken only where that is allowed."""
    scheduled("backup", "delete", "daily-3", "--yes")
    simulated.faults.forbid(verb="list", resource="secrets")
    scheduled(
        "backup",
        "create",
        "daily-3",
        "--include-namespaces=shop",
        "--include-resources=secrets,configmaps",
        "--labels=velero.io/schedule-name=daily",
    )
    simulated.faults.clear()

    done = scheduled("restore", "plan", "--from-schedule", "daily", *flags)

    assert f"The latest backup of schedule daily is {taken}, " in done.err
    assert "--allow-partially-failed" not in done.next
    passed_over = "Not taken as latest of schedule daily: daily-3, PartiallyFailed"
    assert (passed_over in done.err) is (taken == "daily-2")


@pytest.mark.parametrize(
    ("flags", "fact"),
    [
        (("--from-backup", "own", "--from-schedule", "daily"), "give either"),
        (("--from-backup", "own", "--allow-partially-failed"), "goes with"),
        (("--from-schedule", "weekly"), "schedule weekly: nothing to restore from"),
        (("--from-schedule", "weekly"), "schedules that have backups here: daily"),
    ],
)
def test_a_schedule_that_cannot_be_meant(scheduled, flags, fact):
    """What contradicts itself, or finds nothing, is refused before anything is planned."""
    done = scheduled("restore", "plan", *flags)

    assert done.code in (1, 2)
    assert fact in done.err
