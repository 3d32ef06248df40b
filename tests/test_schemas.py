"""Every JSON document of ours has a published schema, and what we write fits it."""

import ast
import gzip
import importlib
import json
import sys
from pathlib import Path

import jsonschema
import pytest

from kbackup import BackupEngine, BackupSpec, BackupStore, RestoreEngine, RestoreSpec
from kbackup.models import (
    ItemOperation,
    ItemOperationSpec,
    OperationProgress,
    ResourceSelector,
)
from kbackup.plugins import BackupOutput, PluginManager, hookimpl
from kbackup.testing import MemoryStore, SimulatedCluster, load_sample_shop
from kbackup_plugins_local import open_local_store

ROOT = Path(__file__).parent.parent
SCHEMAS = {
    path.stem: json.loads(path.read_text())
    for path in (ROOT / "docs" / "formats" / "schemas").glob("*.json")
}
OURS = "kbackup.io/v1"
PAGES = "\n".join(path.read_text() for path in (ROOT / "docs").rglob("*.md"))


def kinds_of(schema):
    """Return the kinds that a schema describes."""
    kind = schema["properties"]["kind"]
    return set(kind.get("enum", [kind.get("const")]))


DESCRIBED = {kind: name for name in SCHEMAS for kind in kinds_of(SCHEMAS[name])}


@pytest.mark.parametrize("name", SCHEMAS)
def test_schema_is_one(name):
    """Each schema is a valid one and a page of the documentation links to it."""
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])

    assert f"schemas/{name}.json" in PAGES


def test_every_document_of_ours_has_a_schema():
    """Whatever the code prints or stores as kbackup.io/v1 is a kind with a schema."""
    written = {kind for path in (ROOT / "src").rglob("*.py") for kind in kinds_in(path)}

    assert written == set(DESCRIBED)


def kinds_in(path):
    """Yield the kinds of the documents that the code in a file makes."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Dict():
                parts = {k.value: v for k, v in named_parts(node)}
                if parts.keys() >= {"apiVersion", "kind"}:
                    version, kind = (
                        value_of(parts[key], path) for key in ("apiVersion", "kind")
                    )
                    if version == OURS and kind is not None:
                        yield kind
            case ast.Call(func=ast.Name(id="document"), args=[ast.Constant(kind), *_]):
                yield kind
            case ast.Call(func=ast.Name(id="print_lines")):
                for keyword in node.keywords:
                    if keyword.arg == "kind":
                        yield keyword.value.value


def named_parts(node):
    """Yield the keys of a dict display that stand there as text, with their values."""
    pairs = zip(node.keys, node.values, strict=True)
    return ((key, value) for key, value in pairs if isinstance(key, ast.Constant))


def value_of(node, path):
    """Return what stands in a display: a text, or a constant of the module."""
    if isinstance(node, ast.Constant):
        return node.value
    if not isinstance(node, ast.Name) or not node.id.isupper():
        return None
    if node.id == "API_VERSION":  # also where a function imports it
        return OURS
    parts = path.relative_to(ROOT / "src").with_suffix("").parts
    return getattr(importlib.import_module(".".join(parts)), node.id)


class RecordingStore(MemoryStore):
    """A store that remembers everything that was ever put, also what is gone."""

    def __init__(self):
        super().__init__()
        self.written = []

    def put(self, key, source, **how):
        """Write an object and remember it."""
        info = super().put(key, source, **how)
        self.written.append((key, self.objects[key]))
        return info


class WaitingAction:
    """Begins an operation for each Service, which has ended when it is asked about."""

    name = "example.com/wait"
    applies_to = ResourceSelector(included_resources=("services",))

    def execute(self, given):
        """Want to begin."""
        return BackupOutput(item=given.item, wants_begin=True)

    def begin(self, given, cluster):
        """Begin nothing but the waiting."""
        operation_id = given.identifier.name
        return ItemOperation(spec=ItemOperationSpec(operation_id=operation_id))

    def progress(self, given):
        """It has ended."""
        return OperationProgress(completed=True)


@hookimpl
def kbackup_register_backup_item_actions():
    """Offer the action, for the engine of one test."""
    return {WaitingAction.name: WaitingAction()}


def test_what_a_waiting_run_keeps_fits_its_schema():
    """Entries of the journal and the books of a backup that could be resumed fit."""
    objects = RecordingStore()
    plugins = PluginManager(plugins=[sys.modules[__name__]])
    with (
        SimulatedCluster() as simulated,
        simulated.connect() as cluster,
        BackupStore(objects) as store,
    ):
        load_sample_shop(cluster)
        engine = BackupEngine(cluster, store, plugins=plugins)
        engine.run("shop-1", BackupSpec(included_namespaces=["shop"]))

    written = {key: data for key, data in objects.written if "/journal/" in key}
    documents = [
        json.loads(data if key.endswith(".json") else gzip.decompress(data))
        for key, data in written.items()
        if ".json" in key
    ]
    kinds = {each["kind"] for each in documents}
    assert kinds == {"JournalEntry", "UnendedBackup"}
    for document in documents:
        jsonschema.validate(document, SCHEMAS[DESCRIBED[document["kind"]]])


def test_what_is_stored_fits_its_schema():
    """A backup and a restore write documents of ours that fit, and Velero's, no other."""
    objects = RecordingStore()
    with (
        SimulatedCluster() as simulated,
        simulated.connect() as cluster,
        BackupStore(objects) as store,
    ):
        load_sample_shop(cluster)
        spec = BackupSpec(included_namespaces=["shop"])
        BackupEngine(cluster, store).run("shop-1", spec)
        copy = RestoreSpec(backup_name="shop-1", namespace_mapping={"shop": "copy"})
        RestoreEngine(cluster, store).run("copy-1", copy)

    documents = [
        json.loads(data) for key, data in objects.written if key.endswith(".json")
    ]

    ours = [each for each in documents if each["apiVersion"] == OURS]
    assert {each["kind"] for each in ours} == {
        *("BackupManifest", "Claim", "JournalEntry", "Location")
    }
    for document in ours:
        jsonschema.validate(document, SCHEMAS[DESCRIBED[document["kind"]]])
    others = [each for each in documents if each["apiVersion"] != OURS]
    assert {(each["apiVersion"], each["kind"]) for each in others} == {
        ("velero.io/v1", "Backup"),
        ("velero.io/v1", "Restore"),
    }


def test_a_tombstone_fits_its_schema(tmp_path):
    """What a deletion leaves for a directory that is away fits its schema."""
    a, b = tmp_path / "a", tmp_path / "b"
    objects = open_local_store({"path": f"{a}#{b}"})
    objects.initialise()
    objects.put("backups/shop-1/shop-1.tar.gz", b"archive")
    b.rename(tmp_path / "unmounted")
    objects.delete("backups/shop-1/shop-1.tar.gz")

    (path,) = a.glob("plugins/kbackup.io/deleted/*")

    jsonschema.validate(json.loads(path.read_text()), SCHEMAS["tombstone"])
