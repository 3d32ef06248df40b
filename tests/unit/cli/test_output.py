"""Every verb prints a document for programs, and none but ``show`` a Secret's value."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from kbackup.cli._output import print_results
from kbackup.models import (
    GroupResource,
    ResourceIdentifier,
    ResultEntry,
    Results,
    load_yaml,
)

PLAN = ("--from-backup", "shop-1", "--namespace-mappings", "shop:b")
VERBS = [
    (["backup", "create", "two", "--include-namespaces", "shop"], "BackupResult"),
    (["backup", "create", "two", "--dry-run"], "BackupPlan"),
    (["backup", "get"], "BackupList"),
    (["backup", "describe", "shop-1", "--details"], "BackupDescription"),
    (["backup", "describe", "shop-1", "shop-1"], "BackupDescriptionList"),
    (["backup", "logs", "shop-1"], "BackupLog"),
    (["backup", "ls", "shop-1"], "BackupContents"),
    (["backup", "download", "shop-1", "--file", "a.tar.gz"], "Download"),
    (["backup", "verify", "shop-1"], "VerifyReport"),
    (["backup", "verify", "shop-1", "shop-1"], "VerifyReportList"),
    (["backup", "diff", "shop-1", "shop-1"], "Difference"),
    (["backup", "diff", "shop-1", "--live"], "Difference"),
    (["backup", "delete", "shop-1", "--confirm"], "Deletion"),
    (["backup", "delete", "shop-1", "--dry-run"], "DeletionPlan"),
    (["restore", "plan", *PLAN], "RestorePlan"),
    (["restore", "create", "r", *PLAN, "--yes"], "RestoreResult"),
    (["restore", "get"], "RestoreList"),
    (["restore", "describe", "copy-1"], "RestoreDescription"),
    (["restore", "describe", "copy-1", "copy-1"], "RestoreDescriptionList"),
    (["restore", "logs", "copy-1"], "RestoreLog"),
    (["plugin", "get"], "PluginList"),
    (["plugin", "check", "velero.io/secret"], "ConformanceReport"),
    (["location", "validate"], "LocationReport"),
    (["location", "repair", "--dry-run"], "RepairPlan"),
    (["doctor", "--from-backup", "latest"], "DoctorReport"),
    (["version"], "Version"),
    (["demo"], "DemoReport"),
]
IDS = [" ".join(words[:2]) + " " + kind for words, kind in VERBS]
SCHEMA = json.loads(
    Path(__file__)
    .parents[3]
    .joinpath("docs/formats/schemas/output.json")
    .read_text(encoding="utf-8")
)
READ = {"json": json.loads, "yaml": load_yaml}


@pytest.fixture(name="elsewhere")
def fixture_elsewhere(tmp_path, monkeypatch):
    """Work in an empty directory."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("arguments", "kind"), VERBS, ids=IDS)
@pytest.mark.parametrize("output", READ)
@pytest.mark.usefixtures("elsewhere")
def test_document(restored, arguments, kind, output):
    """With -o the only thing on stdout is one document of ours, with its kind."""
    done = restored(*arguments, "-o", output)

    assert done.code == 0, done.err
    document = READ[output](done.out)
    assert document["apiVersion"] == "kbackup.io/v1"
    assert document["kind"] == kind
    jsonschema.validate(document, SCHEMA)


def test_every_kind_has_a_schema():
    """The schema knows the kinds that verbs print, and each was checked above."""
    described = set(SCHEMA["properties"]["kind"]["enum"])

    elsewhere = {
        "RepairReport",  # needs something to repair: with the tests of locations
        "PluginProject",  # needs a place that is not there: with the tests of plugins
    }
    assert {kind for _, kind in VERBS} | elsewhere == described


@pytest.mark.parametrize(("arguments", "kind"), VERBS, ids=IDS)
@pytest.mark.usefixtures("elsewhere")
def test_no_secret_is_printed(restored, arguments, kind):
    """No value of a Secret is in what a verb prints, as text or as a document."""
    for output in ("table", "json"):
        done = restored(*arguments, "-o", output)

        for value in ("bm90LWEtcmVhbC1rZXk=", "not-a-real-key"):
            assert value not in done.out + done.err


def test_update_of_a_secret_shows_no_value(backed_up, simulated):
    """A plan that changes a Secret names the key and that it differs."""
    changed = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "payment", "namespace": "shop"},
        "data": {"api-key": "YW5vdGhlciBzZWNyZXQ="},
    }
    with simulated.connect() as cluster:
        resource = cluster.discover().resolve("secrets")
        cluster.replace(resource, "payment", changed, namespace="shop")

    done = backed_up(
        *("restore", "plan", "--from-backup", "shop-1"),
        *("--existing-resource-policy", "update"),
    )

    assert "api-key: differs" in done.out
    assert "YW5v" not in done.out
    assert "bm90" not in done.out


@pytest.mark.parametrize(
    "arguments",
    [
        ["-o", "json", "backup", "get"],
        ["backup", "-o", "json", "get"],
        ["backup", "get", "-o", "json"],
        ["-o", "yaml", "backup", "get", "--output", "json"],
    ],
    ids=["first", "middle", "last", "the last one counts"],
)
def test_global_options_before_or_after_the_verb(backed_up, arguments):
    """A global option may stand anywhere, as kubectl's may."""
    done = backed_up(*arguments)

    assert json.loads(done.out)["kind"] == "BackupList"


def test_location_before_the_verb(backed_up, directory, monkeypatch):
    """The location may stand before the verb and wins over the environment."""
    monkeypatch.setenv("KBACKUP_LOCATION", "/no/such/place")

    done = backed_up("--location", directory, "backup", "get", "shop-1")

    assert done.code == 0


def test_reader_that_has_seen_enough(backed_up, directory):
    """Closing the pipe, as head does, is no error."""
    command = f"{sys.executable} -m kbackup backup ls shop-1 | head -1"

    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        env={**os.environ, "KBACKUP_LOCATION": str(directory)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.startswith("NAMESPACE")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "verb",
    [
        [],
        ["backup"],
        ["restore"],
        ["plugin"],
        ["location"],
        ["backup", "create"],
        ["restore", "create"],
        ["demo"],
        ["doctor"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help(offline, verb, flag):
    """Every command explains itself."""
    done = offline(*verb, flag)

    assert done.code == 0
    assert "Usage: kbackup" in done.out
    assert "--location" in done.out


def lost(number, message="not restored: namespace x could not be made"):
    """Errors of as many ConfigMaps, of each the same."""
    type_ = GroupResource.parse("configmaps")
    return [
        ResultEntry(message=message, item=ResourceIdentifier(type_, "x", f"c-{n:02}"))
        for n in range(number)
    ]


def test_what_is_said_of_many_items_is_printed_once(capsys):
    """A summary folds equal errors into one with a count; other ones keep their line."""
    first = ResultEntry(message="the first cause")
    told = "  error: 16 items: not restored: namespace x could not be made: "
    named = "configmaps/x/c-00, configmaps/x/c-01, configmaps/x/c-02 and 13 more"

    print_results(Results(errors=[first, *lost(16), *lost(2, "other")]))

    assert capsys.readouterr().err.splitlines() == [
        "  error: the first cause",
        told + named,
        "  error: configmaps/x/c-00: other",
        "  error: configmaps/x/c-01: other",
    ]


def test_sentences_without_an_item_are_not_folded(capsys):
    """Only items are counted: of anything else every sentence is printed."""
    print_results(Results(warnings=[ResultEntry(message="again")] * 7))

    assert capsys.readouterr().err.splitlines() == ["  warning: again"] * 7
