"""Labels, settings, options and results: the values that are kbackup's own."""

import hashlib
import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import attrs
import pytest

import kbackup.models
from kbackup.errors import InvalidConfigError
from kbackup.models import (
    Backup,
    BackupOptions,
    BackupPhase,
    BackupResult,
    BackupStatus,
    EngineSettings,
    GroupResource,
    Progress,
    ResourceIdentifier,
    Restore,
    RestoreOptions,
    RestorePhase,
    RestoreProgress,
    RestoreResult,
    RestoreStatus,
    ResultEntry,
    Results,
    label_value,
    labels,
    qualified_name,
    well_known,
)

# --- labels ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "shop", "a" * 63])
def test_a_short_name_is_its_own_label(name):
    """Up to 63 characters nothing changes."""
    assert label_value(name) == name


def test_a_long_name_ends_in_its_hash():
    """Beyond 63 characters: the first 57 and the first 6 digits of the SHA-256."""
    name = "nightly-" + "x" * 60

    assert (
        label_value(name) == name[:57] + hashlib.sha256(name.encode()).hexdigest()[:6]
    )
    assert len(label_value(name)) == 63
    assert label_value(name) != label_value(name + "y")


@pytest.mark.parametrize("value", ["", "True", "yes", "false"])
def test_only_the_word_true_keeps_an_object_out(value):
    """As with Velero, any other value of the label leaves the object in the backup."""
    assert labels.is_excluded({labels.EXCLUDE_FROM_BACKUP: "true"})
    assert not labels.is_excluded({labels.EXCLUDE_FROM_BACKUP: value})
    assert not labels.is_excluded({})


@pytest.mark.parametrize("given", [None, [], "true", ["velero.io/exclude-from-backup"]])
def test_labels_that_are_none_keep_no_object_out(given):
    """An object whose labels are odd is stored, and no error of the whole run."""
    assert not labels.is_excluded(given)


@pytest.mark.parametrize(
    ("resource", "kind", "secret"),
    [
        (GroupResource("", "secrets"), "", True),
        ("secrets", "", True),
        (GroupResource("vault.example.com", "secrets"), "Secret", True),
        (GroupResource("", "configmaps"), "ConfigMap", False),
        ("secretproviderclasses.example.com", "", False),
    ],
)
def test_what_is_a_secret(resource, kind, secret):
    """Its values are never shown, whichever group calls a kind of its own Secret."""
    assert well_known.is_secret(resource, kind) is secret


def test_label_names_are_unique():
    """No two constants name the same label by mistake, but for what is both."""
    names = [
        value
        for constant, value in vars(labels).items()
        if constant.isupper() and isinstance(value, str) and constant[0] != "_"
    ]

    assert len(names) == len(set(names)) > 50


# --- settings and options -------------------------------------------------------------


def test_settings_have_the_documented_defaults():
    """An engine that is told nothing works with 32 requests in flight."""
    settings = EngineSettings()

    assert settings.workers == 32
    assert settings.page_bytes == 8 * 1024 * 1024
    assert settings.connect_timeout == timedelta(seconds=5)
    assert settings.read_timeout == timedelta(seconds=60)
    assert settings.retry_budget == timedelta(minutes=10)
    assert settings.action_timeout == timedelta(minutes=5)
    assert settings.max_writes_per_second is None
    assert EngineSettings(spool_directory="/spool").spool_directory == Path("/spool")


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("workers", 0, "expected at least 1, got 0"),
        ("page_bytes", 0, "expected at least 1024, got 0"),
        ("max_writes_per_second", 0, "expected more than 0, got 0"),
        ("read_timeout", timedelta(0), "expected more than 0s, got 0s"),
    ],
)
def test_settings_without_a_meaning_are_refused(field, value, told):
    """No workers and no time cannot be meant."""
    with pytest.raises(InvalidConfigError) as caught:
        EngineSettings(**{field: value})

    assert str(caught.value) == f"{field}: {told}"


def is_wanted(item):
    """Stand for a caller's selection."""
    return bool(item)


class Quiet:
    """Stands for a caller's transform that is an object."""

    def __call__(self, item):
        """Change nothing."""
        return item


def test_options_are_recorded_without_functions():
    """Of a function only its qualified name is kept; all else as JSON."""
    backup = BackupOptions(where=is_wanted, labels={"a": "b"}, skip_forbidden=True)
    restore = RestoreOptions(
        transforms=[Quiet(), is_wanted],
        priorities=["secrets"],
        existing_cluster_resource_policy="update",
    )

    records = json.loads(json.dumps([backup.to_record(), restore.to_record()]))

    assert records[0]["where"] == f"{__name__}.is_wanted"
    assert records[0]["labels"] == {"a": "b"}
    assert records[0]["skip_forbidden"] is True
    assert records[1]["transforms"] == [f"{__name__}.Quiet", f"{__name__}.is_wanted"]
    assert records[1]["priorities"] == ["secrets"]
    assert records[1]["existing_cluster_resource_policy"] == "update"
    assert records[1]["deadline"] == 600
    assert set(records[1]) == {field.name for field in attrs.fields(RestoreOptions)}


def test_the_name_of_a_function_is_qualified():
    """Two functions of one name in two places can be told apart."""
    assert qualified_name(json.dumps) == "json.dumps"
    assert qualified_name(Quiet.__call__) == f"{__name__}.Quiet.__call__"


@pytest.mark.parametrize(
    "options",
    [
        {"controlled": "keep"},
        {"managed_fields": "all"},
        {"released_volumes": "reuse"},
        {"retained_volumes": "leave"},
        {"existing_cluster_resource_policy": "recreate"},
        {"max_in_flight": 0},
        {"deadline": timedelta(seconds=-1)},
    ],
    ids=lambda options: next(iter(options)),
)
def test_options_without_a_meaning_are_refused(options):
    """A misspelt choice is an error, not the default."""
    with pytest.raises(InvalidConfigError, match=next(iter(options))):
        RestoreOptions(**options)


def test_a_string_is_no_list_of_priorities():
    """One type given as text is not taken for a list of letters."""
    with pytest.raises(InvalidConfigError, match="'secrets'"):
        RestoreOptions(priorities="secrets")


def test_consistency_is_exact_or_newest():
    """There is no third way to read a cluster."""
    with pytest.raises(InvalidConfigError, match="eventual"):
        BackupOptions(consistency="eventual")


# --- results --------------------------------------------------------------------------

POD = ResourceIdentifier(GroupResource("", "pods"), "shop", "web-0")


def test_results_are_written_in_two_keys_by_area():
    """What happened to the run, to the cluster's items and to a namespace's is apart."""
    results = Results(
        warnings=[ResultEntry(message="slow", area="cluster")],
        errors=[
            ResultEntry(
                message="lost", namespace="shop", item=POD, plugin="p", cause="eof"
            ),
            ResultEntry(message="store full"),
            ResultEntry(message="late", namespace="books"),
        ],
    )

    document = results.to_json()

    assert document == {
        "errors": {
            "velero": ["store full"],
            "namespaces": {
                "books": ["late"],
                "shop": ["pods/shop/web-0: lost: eof (plugin p)"],
            },
        },
        "warnings": {"cluster": ["slow"]},
    }
    assert list(document["errors"]["namespaces"]) == ["books", "shop"]
    assert Results.from_json(document).to_json() == document


@pytest.mark.parametrize("name", ["velero", "cluster", "namespaces"])
def test_namespaces_called_like_an_area(name):
    """Messages about a namespace called ``velero`` stood among those of the run."""
    entries = [ResultEntry(message="lost", namespace=name), ResultEntry(message="run")]
    results = Results(errors=entries)

    document = results.to_json()

    assert document["errors"] == {"velero": ["run"], "namespaces": {name: ["lost"]}}
    read = Results.from_json(document)
    assert sorted((e.area, e.namespace) for e in read.errors) == [
        ("namespaces", name),
        ("velero", ""),
    ]
    assert read.to_json() == document


def test_a_cause_that_the_message_tells_is_not_told_twice():
    """The text of an entry repeats nothing."""
    assert str(ResultEntry(message="lost: eof", cause="eof")) == "lost: eof"


@pytest.mark.parametrize("document", [None, {}, {"errors": None, "warnings": {}}])
def test_results_may_be_empty(document):
    """Velero leaves out what is empty, down to nothing at all."""
    assert Results.from_json(document) == Results()


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ([], "results"),
        ({"errors": []}, "errors"),
        ({"errors": {"velero": "x"}}, "errors.velero"),
        ({"warnings": {"namespaces": {"a": [1]}}}, "warnings.namespaces.a"),
        ({"warnings": {"namespaces": []}}, "warnings.namespaces"),
    ],
)
def test_results_of_another_shape_are_refused(document, place):
    """The error says where the shape is another."""
    with pytest.raises(ValueError, match=f"^{place}: expected"):
        Results.from_json(document)


@pytest.mark.parametrize(
    ("phase", "items", "code"),
    [
        (BackupPhase.COMPLETED, 5, 0),
        (BackupPhase.COMPLETED, 0, 3),
        (BackupPhase.PARTIALLY_FAILED, 5, 3),
        (BackupPhase.FAILED, 5, 1),
        (None, 0, 1),
    ],
)
def test_a_backup_ends_with_the_code_of_its_phase(phase, items, code):
    """A script sees that items failed, and that there was nothing to back up."""
    progress = Progress(total_items=items, items_backed_up=items)
    status = BackupStatus(phase=phase, progress=progress if items else None)

    assert BackupResult(backup=Backup(status=status)).exit_code == code


def test_a_backup_of_one_item_is_not_told_of_as_of_several():
    """Whoever reads a result reads a sentence."""
    progress = Progress(total_items=1, items_backed_up=1)
    status = BackupStatus(phase=BackupPhase.COMPLETED, progress=progress)

    told = str(BackupResult(backup=Backup(status=status)))

    assert "Completed, 1 item, 0 warnings, 0 errors" in told


@pytest.mark.parametrize(
    ("phase", "items", "code"),
    [
        (RestorePhase.COMPLETED, 5, 0),
        (RestorePhase.COMPLETED, 0, 3),
        (RestorePhase.PARTIALLY_FAILED, 5, 3),
        (RestorePhase.FAILED, 5, 1),
        (None, 0, 1),
    ],
)
def test_a_restore_ends_with_the_code_of_its_phase(phase, items, code):
    """A script sees that items failed, and that nothing was selected."""
    progress = RestoreProgress(total_items=items) if items else None
    restore = Restore(status=RestoreStatus(phase=phase, progress=progress))

    assert RestoreResult(restore=restore).exit_code == code


# --- the door -------------------------------------------------------------------------


def test_everything_that_is_named_is_there():
    """Each exported name can be had, loaded at once or later."""
    for name in kbackup.models.__all__:
        assert getattr(kbackup.models, name) is not None
    assert set(kbackup.models.__all__) == set(dir(kbackup.models))


def test_what_is_not_there_is_an_attribute_error():
    """A misspelt name fails as in any module."""
    with pytest.raises(AttributeError, match="BackupSpeck"):
        _ = kbackup.models.BackupSpeck


def test_importing_models_loads_nothing_heavy():
    """YAML and what few programs need are loaded when they are first asked for."""
    code = (
        "import sys, kbackup.models as models; before = set(sys.modules);"
        "models.load_yaml; models.Schedule;"
        "print(*sorted(before)); print(*sorted(sys.modules))"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    before, after = (set(line.split()) for line in out.splitlines())

    late = {"yaml", "kbackup.models._schedule"}
    assert late <= after - before
    assert not before & {"cattrs", "kubernetes", "fsspec", "kbackup.models._volumes"}
