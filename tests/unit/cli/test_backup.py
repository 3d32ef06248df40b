"""``kbackup backup`` on a simulated cluster and a directory."""

import hashlib
import json
import tarfile

import pytest

from kbackup import BackupStore
from kbackup.catalog.engine import FILES, kept_entry, operation_entry
from kbackup.cli._app import run
from kbackup.models import ItemOperation, ItemOperationSpec, load_yaml
from kbackup.plugins import Digest


def contents(directory):
    """Every file below *directory* with its bytes."""
    return {
        path.relative_to(directory): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_create_says_how_it_ended_and_what_comes_next(kbackup):
    """A whole backup ends with 0, its phase, its items and the next command."""
    done = kbackup("backup", "create", "shop-1", "--include-namespaces", "shop")

    assert done.code == 0
    assert "Backup shop-1: Completed, 15 items" in done.out
    assert "1 volume has no data in this backup" in done.err
    assert done.next == "Next: kbackup backup describe shop-1"


def test_next_command_repeats_the_options_of_this_one(kbackup, tmp_path):
    """What is to be typed next finds the same location."""
    other = tmp_path / "other place"

    done = kbackup(
        *("backup", "create", "a", "--include-namespaces", "shop"),
        *("--location", other),
    )

    assert done.next == f"Next: kbackup backup describe a --location '{other}'"


def test_taken_name_is_refused_and_nothing_overwritten(backed_up, directory):
    """A second backup of one name changes no byte of the first."""
    before = contents(directory)

    done = backed_up("backup", "create", "shop-1")

    assert done.code == 1
    assert "backup shop-1: exists already" in done.err
    assert done.next == "Next: kbackup backup describe shop-1"
    assert contents(directory) == before


def test_name_that_is_being_written_is_refused(kbackup, directory):
    """Of two writers of one name the second fails, and names the first."""
    with BackupStore.open(directory) as store, store.claim("a", run_uid="7" * 8):
        done = kbackup("backup", "create", "a")
        listed = kbackup("backup", "get")
        described = kbackup("backup", "describe", "a")

    assert done.code == 1
    assert "backup a: is being written" in done.err
    assert done.next == "Next: kbackup backup get"
    assert "in_progress" in listed.out
    assert "in_progress" in described.out


def test_resume_of_what_has_ended_tells_of_it(backed_up):
    """It has ended: that is told again, and nothing is written."""
    done = backed_up("backup", "resume", "shop-1")

    assert done.code == 0
    assert "Backup shop-1: Completed, 15 items" in done.out
    assert done.next == "Next: kbackup backup describe shop-1"


def test_resume_of_what_is_not_there(kbackup):
    """There is nothing to go on with, and what to do is said."""
    done = kbackup("backup", "resume", "other")

    assert done.code == 1
    assert "backup other: not found" in done.err
    assert "begins anew" in done.err


def test_what_waits_for_operations_is_listed_and_resumed(kbackup, directory):
    """List, refusal and hint lead to the command that goes on, and that needs the plugin."""
    leave_waiting(directory, "shop-2")

    listed = kbackup("backup", "get")
    refused = kbackup("backup", "create", "shop-2")
    described = kbackup("backup", "describe", "shop-2")
    resumed = kbackup("backup", "resume", "shop-2")

    assert "can be resumed" in listed.out + listed.err
    assert refused.code == 1
    assert refused.next == "Next: kbackup backup resume shop-2"
    assert described.code == 1
    assert described.next == "Next: kbackup backup resume shop-2"
    assert resumed.code == 1
    assert "no installed plugin offers example.com/move" in resumed.err


def test_what_waits_for_operations_is_given_up(kbackup, directory):
    """Only with its files alone: what the operations do is left, and the name is free."""
    leave_waiting(directory, "shop-2")

    refused = kbackup("backup", "delete", "shop-2", "--yes")
    deleted = kbackup("backup", "delete", "shop-2", "--yes", "--files-only")
    made = kbackup("backup", "create", "shop-2", "--include-namespaces", "shop")

    assert refused.code == 1
    assert "1 operation begun by a run that was killed" in refused.err
    assert deleted.code == 0
    assert made.code == 0


def leave_waiting(directory, name):
    """Leave what a run leaves that was killed while it waited for an operation."""
    operation = ItemOperation(
        spec=ItemOperationSpec(
            backup_name=name,
            backup_item_action="example.com/move",
            operation_id="o-1",
        )
    )
    with BackupStore.open(directory) as store:
        journal = store.journal("run-1")
        journal.append(operation_entry("backup", name, operation))
        digests = {}
        for file in FILES:
            journal.put_file(file, b"kept")
            digests[file] = Digest(hashlib.sha256(b"kept").hexdigest())
        journal.append(kept_entry(name, digests))


def test_nothing_found_ends_with_three(kbackup):
    """A backup without any item is visible as one that found nothing."""
    done = kbackup(
        *("backup", "create", "a", "--include-resources", "secrets"),
        *("--selector", "no=such"),
    )

    assert done.code == 3


def test_forbidden_type_is_named_and_ends_with_three(kbackup, simulated):
    """What was named and may not be listed is an error with verb and resource."""
    simulated.faults.forbid(verb="list", resource="secrets")

    done = kbackup("backup", "create", "a", "--include-resources", "secrets,configmaps")

    assert done.code == 3
    assert "PartiallyFailed" in done.out
    assert "cannot list secrets: forbidden" in done.err


def test_forbidden_type_can_be_a_warning(kbackup, simulated):
    """With --skip-forbidden the backup is Completed, and the warning stays."""
    simulated.faults.forbid(verb="list", resource="secrets")

    done = kbackup(
        *("backup", "create", "a", "--include-resources", "secrets,configmaps"),
        "--skip-forbidden",
    )

    assert done.code == 0
    assert "secrets" in done.err


def test_dry_run_that_misses_something(kbackup):
    """A dry run that names an error ends with 3, as the backup itself would."""
    names = "shop,nope"
    done = kbackup("backup", "create", "a", "--include-namespaces", names, "--dry-run")

    assert done.code == 3
    assert "error: namespace nope does not exist" in done.out


def test_dry_run_that_finds_nothing(kbackup):
    """A dry run of what would be an empty backup ends with 3, as the backup itself would."""
    done = kbackup("backup", "create", "a", "--selector", "no=such", "--dry-run")

    assert done.code == 3
    assert "0 objects would be stored" in done.out


def test_dry_run_writes_nothing(kbackup, directory):
    """A dry run counts what would be stored and leaves the location alone."""
    done = kbackup("backup", "create", "a", "--include-namespaces", "shop", "--dry-run")

    assert done.code == 0
    assert "15 objects would be stored" in done.out
    assert not directory.exists() or contents(directory) == {}


@pytest.mark.parametrize(
    ("flags", "items"),
    [
        (["--include-resources", "secrets,configmaps"], {"Secret", "ConfigMap"}),
        (["--include-resources=cm", "--include-resources", "secret"], None),
        (["--selector", "app=web"], {"Deployment", "ReplicaSet", "Service"}),
    ],
    ids=["comma", "repeated", "selector"],
)
def test_filters_are_veleros_flags(kbackup, flags, items):
    """Lists take commas and repetition; selectors choose by label."""
    done = kbackup("backup", "create", "a", "--include-namespaces", "shop", *flags)

    assert done.code == 0, done.err
    listed = json.loads(kbackup("backup", "ls", "a", "-o", "json").out)
    resources = {item["resource"].partition(".")[0] for item in listed["items"]}
    wanted = items or {"ConfigMap", "Secret"}
    assert {f"{kind.lower()}s" for kind in wanted} & resources


@pytest.mark.parametrize(
    ("words", "classes"),
    [
        (["a", "--include-cluster-resources"], 1),
        (["a", "--include-cluster-resources", "--skip-forbidden"], 1),
        (["--include-cluster-resources=true", "a"], 1),
        (["--include-cluster-resources", "True", "a"], 1),
        (["--include-cluster-resources=false", "a"], 0),
        (["--include-cluster-resources", "false", "a"], 0),
    ],
)
def test_switch(kbackup, words, classes):
    """A three-way switch is true alone and before an option, else what it is given."""
    done = kbackup("backup", "create", "--include-namespaces", "shop", *words)

    assert done.code == 0, done.err
    listed = json.loads(kbackup("backup", "ls", "a", "-o", "json").out)
    names = [item["name"] for item in listed["items"]]
    assert names.count("standard") == classes


@pytest.mark.parametrize(
    "option",
    ["--include-cluster-resources", "--preserve-nodeports", "--restore-volumes"],
)
@pytest.mark.parametrize("word", ["flas", "perhaps"])
def test_a_slip_after_a_switch_is_no_name(offline, option, word):
    """A mistyped "false" is wrong use: it does not turn the option on and name a restore."""
    done = offline("restore", "create", "--from-backup", "a", option, word, "--yes")

    assert done.code == 2
    assert f"{word!r} is neither true nor false" in done.err
    assert f"write {option}=true" in done.err


def test_labels_annotations_and_times_are_recorded(kbackup):
    """What Velero's flags say ends up in the record."""
    kbackup(
        *("backup", "create", "a", "--include-namespaces", "shop", "--ttl", "1h30m"),
        *("--item-operation-timeout", "20m"),
        *("--labels", "team=storefront,tier=1", "--annotations", "why=test"),
    )

    shown = json.loads(kbackup("backup", "describe", "a", "-o", "json").out)["backup"]
    assert shown["metadata"]["labels"]["team"] == "storefront"
    assert shown["metadata"]["annotations"]["why"] == "test"
    assert shown["spec"]["ttl"] == "1h30m0s"
    assert shown["spec"]["itemOperationTimeout"] == "20m0s"
    assert shown["status"]["expiration"]


def test_get_lists_every_state(backed_up, directory):
    """Whole, unfinished, damaged and foreign entries are all listed as such."""
    backed_up("backup", "create", "b", "--include-namespaces", "shop")
    (directory / "backups/b/b.tar.gz").unlink()
    (directory / "backups/c").mkdir()
    (directory / "backups/c/c-logs.gz").write_bytes(b"")

    done = backed_up("backup", "get")

    assert done.code == 0
    lines = {line.split()[0]: line for line in done.out.splitlines()}
    assert "Completed" in lines["shop-1"]
    assert "damaged: its archive is missing" in lines["b"]
    assert "incomplete" in lines["c"]


def test_get_by_name(backed_up):
    """One backup can be asked for; one that is not there is an error."""
    found = backed_up("backup", "get", "shop-1")
    missing = backed_up("backup", "get", "shop-1", "shop-2")

    assert found.code == 0
    assert "shop-1" in found.out
    assert missing.code == 1
    assert "backup shop-2: not found" in missing.err


def test_get_of_an_empty_location_says_what_to_do(offline):
    """Without backups nothing is listed, and the first command is named."""
    done = offline("backup", "get")

    assert done.code == 0
    assert done.out == ""
    assert done.next == "Next: kbackup backup create NAME"


def test_describe_tells_what_is_not_covered(backed_up):
    """The description names the volume without data and what is referred to."""
    done = backed_up("backup", "describe", "shop-1")

    assert done.code == 0
    assert "Phase:        Completed" in done.out
    assert "1 volume has no data in this backup:\n  shop/orders" in done.out
    assert "storageclasses.storage.k8s.io standard" in done.out
    assert done.next == "Next: kbackup restore plan --from-backup shop-1"


def test_describe_with_details_shows_lists_and_files(backed_up):
    """Details are the lists with their versions, and every file."""
    done = backed_up("backup", "describe", "shop-1", "--details")

    assert "deployments.apps v1 in shop: 1 listed, 1 stored" in done.out
    assert "shop-1.tar.gz" in done.out


def test_describe_of_what_a_dead_run_left(backed_up, directory):
    """An unfinished backup is described as such, with the way to remove it."""
    (directory / "backups/c").mkdir()
    (directory / "backups/c/c-logs.gz").write_bytes(b"")

    done = backed_up("backup", "describe", "c")

    assert done.code == 0
    assert "State:        incomplete" in done.out
    assert done.next == "Next: kbackup backup delete c"


def test_describe_several(backed_up):
    """Several descriptions are one document."""
    backed_up("backup", "create", "b", "--include-namespaces", "shop")

    done = backed_up("backup", "describe", "shop-1", "b", "-o", "json")

    document = json.loads(done.out)
    assert document["kind"] == "BackupDescriptionList"
    assert [each["name"] for each in document["items"]] == ["shop-1", "b"]


def test_logs(backed_up):
    """The log of the run can be read."""
    done = backed_up("backup", "logs", "shop-1")

    assert done.code == 0
    assert 'msg="Completed: 15 items' in done.out


def test_ls_lists_every_object(backed_up):
    """Every object stands in one line, with namespace and type."""
    done = backed_up("backup", "ls", "shop-1")

    rows = [line.split() for line in done.out.splitlines()[1:]]
    assert ["shop", "deployments.apps", "web"] in rows
    assert len(rows) == 15


@pytest.mark.parametrize(
    "word", ["deployments", "Deployment", "deployments.apps", "deploy"]
)
def test_ls_by_type(backed_up, word):
    """A type may be named by kind, plural or full name."""
    done = backed_up("backup", "ls", "shop-1", "--resources", word)

    assert [line.split()[-1] for line in done.out.splitlines()] == ["NAME", "web"]


@pytest.mark.parametrize("output", ["table", "json"])
@pytest.mark.parametrize(
    ("words", "facts"),
    [
        ("deploymnts", ["no type deploymnts in", "nearest type is deployments.apps"]),
        (
            "deploymnts,pods",
            ["no type deploymnts in backup shop-1", "deployments.apps"],
        ),
        ("secrets,jobs", ["Error: no type jobs in backup shop-1"]),
    ],
)
def test_ls_refuses_a_type_that_the_backup_has_not(backed_up, words, facts, output):
    """A mistyped type is not found, beside one that is there either, whatever is printed."""
    done = backed_up("backup", "ls", "shop-1", "--resources", words, "-o", output)

    assert done.code == 1
    for fact in facts:
        assert fact in done.err
    assert ("Hint: " in done.err) == (len(facts) > 1)


@pytest.mark.parametrize(
    "item",
    [
        "deployment/web",
        "deploy/web",
        "deployments/shop/web",
        "deployments.apps/shop/web",
    ],
)
def test_show_prints_one_object(backed_up, item):
    """An object is printed as it was stored, as YAML."""
    done = backed_up("backup", "show", "shop-1", item)

    assert done.code == 0
    shown = load_yaml(done.out)
    assert shown["kind"] == "Deployment"
    assert shown["metadata"]["name"] == "web"
    assert shown["spec"]["replicas"] == 2


def test_show_as_json(backed_up):
    """The same object can be had as JSON."""
    done = backed_up("backup", "show", "shop-1", "configmap/settings", "-o", "json")

    assert json.loads(done.out)["data"]["currency"] == "EUR"


def test_show_of_a_secret_prints_its_values(backed_up):
    """Asking for a Secret by name is asking for its values."""
    done = backed_up("backup", "show", "shop-1", "secret/shop/payment")

    assert load_yaml(done.out)["data"]["api-key"] == "bm90LWEtcmVhbC1rZXk="


def test_show_of_a_type_that_is_not_there(backed_up):
    """An unknown type does not look like a missing object, and the nearest is named."""
    done = backed_up("backup", "show", "shop-1", "secrit/shop/payment")

    assert done.code == 1
    assert "Error: no type secrit in backup shop-1" in done.err
    assert "Hint: the nearest type is secrets" in done.err
    assert done.next == "Next: kbackup backup ls shop-1"


def test_show_of_what_is_not_there(backed_up):
    """An object that the backup lacks is an error that leads to the list."""
    done = backed_up("backup", "show", "shop-1", "secret/shop/none")

    assert done.code == 1
    assert "backup shop-1 has no secret/shop/none" in done.err
    assert done.next == "Next: kbackup backup ls shop-1"


def test_show_of_what_is_ambiguous(kbackup, simulated):
    """A name that two namespaces have must be given with its namespace."""
    simulated.load(
        [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "b"}},
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "settings", "namespace": "b"},
            },
        ]
    )
    kbackup("backup", "create", "two", "--include-namespaces", "shop,b")

    done = kbackup("backup", "show", "two", "configmap/settings")

    assert done.code == 1
    assert "configmaps/b/settings" in done.err
    assert "configmaps/shop/settings" in done.err


def test_download_saves_the_checked_archive(backed_up, tmp_path):
    """The archive can be saved, is what was stored, and is not overwritten."""
    target = tmp_path / "a.tar.gz"

    done = backed_up("backup", "download", "shop-1", "--file", target)
    again = backed_up("backup", "download", "shop-1", "--file", target)
    forced = backed_up("backup", "download", "shop-1", "-f", target, "--force")

    assert done.code == 0
    with tarfile.open(target) as archive:
        assert "metadata/version" in archive.getnames()
    assert again.code == 1
    assert again.next.endswith("--force")
    assert forced.code == 0


def test_download_into_a_directory_that_is_not_there(backed_up, tmp_path):
    """A target in no directory is wrong use, and named."""
    done = backed_up("backup", "download", "shop-1", "-f", tmp_path / "no/where")

    assert done.code == 2
    assert f"{tmp_path}/no is no directory" in done.err


def test_verify_of_a_whole_backup(backed_up):
    """A whole backup is called whole, with what was read."""
    done = backed_up("backup", "verify", "shop-1")

    assert done.code == 0
    assert "Backup shop-1 is whole: 10 objects, 15 items read" in done.out


@pytest.mark.parametrize("name", ["shop-1.tar.gz", "kbackup-manifest.json"])
def test_verify_finds_a_flipped_bit(backed_up, directory, name):
    """A flipped bit is found, and nothing else will read the backup."""
    path = directory / "backups/shop-1" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)

    done = backed_up("backup", "verify", "shop-1")
    planned = backed_up("restore", "plan", "--from-backup", "shop-1")

    assert done.code == 1
    assert "damaged" in done.out
    assert planned.code == 1
    assert "damaged" in planned.err
    assert planned.next == "Next: kbackup backup verify shop-1"


def test_what_is_readable_of_a_damaged_backup(backed_up, directory):
    """With --damaged a truncated archive gives what it has, and exit code 3."""
    path = directory / "backups/shop-1/shop-1.tar.gz"
    path.write_bytes(path.read_bytes()[:-4])

    refused = backed_up("backup", "ls", "shop-1")
    read = backed_up("backup", "ls", "shop-1", "--damaged")

    assert refused.code == 1
    assert read.code == 3
    assert "damaged:" in read.err
    assert "NAME" in read.out


def test_delete_needs_an_agreement(backed_up):
    """Without a terminal nothing is deleted unless --yes says so."""
    refused = backed_up("backup", "delete", "shop-1")
    kept = backed_up("backup", "get", "shop-1")

    assert refused.code == 2
    assert refused.next == "Next: kbackup backup delete shop-1 --yes"
    assert kept.code == 0


def test_delete(backed_up, directory):
    """A confirmed deletion removes everything of the backup."""
    done = backed_up("backup", "delete", "shop-1", "--confirm")

    assert done.code == 0
    assert "Deleted shop-1" in done.out
    assert not (directory / "backups/shop-1").exists()


def test_delete_of_several_begins_only_if_all_are_there(backed_up):
    """One wrong name keeps the others from being deleted."""
    done = backed_up("backup", "delete", "shop-1", "shop-2", "--confirm")

    assert done.code == 1
    assert "backup shop-2: not found" in done.err
    assert backed_up("backup", "get", "shop-1").code == 0


@pytest.mark.parametrize(("answer", "code"), [("n\n", 1), ("y\n", 0)])
def test_delete_asks_on_a_terminal(backed_up, monkeypatch, answer, code):
    """On a terminal the question decides; no is not done."""
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: answer.strip())

    assert run(["backup", "delete", "shop-1"]) == code

    assert backed_up("backup", "get", "shop-1").code == 1 - code


def test_delete_refuses_what_is_no_backup(offline, directory):
    """A directory that holds no backup is refused by name, with what is in it."""
    photo = directory / "backups/photos/holiday.jpg"
    photo.parent.mkdir(parents=True)
    photo.write_bytes(b"hi")

    done = offline("backup", "delete", "photos", "--yes")

    assert done.code == 1
    assert "holds no file of a backup: holiday.jpg" in done.err
    assert photo.read_bytes() == b"hi"


def test_delete_names_what_it_leaves(backed_up, directory):
    """A strange file in a backup's directory stays, and whoever deletes is told."""
    photo = directory / "backups/shop-1/holiday.jpg"
    photo.write_bytes(b"hi")

    done = backed_up("backup", "delete", "shop-1", "--yes")

    assert done.code == 0
    assert "no file of a backup: backups/shop-1/holiday.jpg" in done.err
    assert [path.name for path in photo.parent.iterdir()] == ["holiday.jpg"]
