"""What the converter refuses, how it finds names, and how it writes."""

import re
from datetime import UTC, datetime

import attrs
import pytest

from kbackup.errors import CodecError, InvalidSpecError
from kbackup.models import (
    Backup,
    BackupPhase,
    BackupSpec,
    BackupStatus,
    BackupStorageLocation,
    CSISnapshotInfo,
    ItemOperation,
    LabelSelector,
    NativeSnapshot,
    ObjectMeta,
    ObjectStorage,
    PodVolumeBackup,
    ResourceModifiers,
    ResourcePolicies,
    RestoreSpec,
    Results,
    VolumeInfo,
    dump_json,
    from_json,
    load_json,
    load_json_list,
    to_json,
)

# --- strictness -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"includedNamespaces": "shop"},
            "spec.includedNamespaces: expected a list, got a string",
        ),
        (
            {"includedNamespaces": ["shop", 5]},
            "spec.includedNamespaces[1]: expected a string, got the number 5",
        ),
        (
            {"includedNamespaces": ["shop", None]},
            "spec.includedNamespaces[1]: expected a string, got null",
        ),
        (
            {"snapshotVolumes": "false"},
            'spec.snapshotVolumes: expected true or false, got the string "false"',
        ),
        (
            {"snapshotVolumes": 0},
            "spec.snapshotVolumes: expected true or false, got the number 0",
        ),
        (
            {"ttl": 3600},
            "spec.ttl: expected a duration such as 1h30m, got the number 3600",
        ),
        (
            {"ttl": "a week"},
            'spec.ttl: expected a duration such as 1h30m, got the string "a week"',
        ),
        (
            {"storageLocation": True},
            "spec.storageLocation: expected a string, got true",
        ),
        (
            {"uploaderConfig": {"parallelFilesUpload": 1.0}},
            (
                "spec.uploaderConfig.parallelFilesUpload: "
                "expected an integer of 64 bits, got the number 1.0"
            ),
        ),
        (
            {"uploaderConfig": {"parallelFilesUpload": True}},
            (
                "spec.uploaderConfig.parallelFilesUpload: "
                "expected an integer of 64 bits, got true"
            ),
        ),
        (
            {"uploaderConfig": {"parallelFilesUpload": 2**63}},
            (
                "spec.uploaderConfig.parallelFilesUpload: "
                f"expected an integer of 64 bits, got the number {2**63}"
            ),
        ),
        (
            {"orderedResources": ["pods"]},
            "spec.orderedResources: expected an object, got a list",
        ),
        (
            {"labelSelector": "app=web"},
            "spec.labelSelector: expected an object, got a string",
        ),
        (
            {"hooks": {"resources": [{"pre": [{"exec": {"onError": "Retry"}}]}]}},
            (
                "spec.hooks.resources[0].pre[0].exec.onError: "
                'expected one of Continue, Fail, got the string "Retry"'
            ),
        ),
    ],
)
def test_another_type_is_refused_by_its_path(spec, message):
    """Nothing is converted: the error says where, what was expected and what stands."""
    document = {"kind": "Backup", "apiVersion": "velero.io/v1", "spec": spec}

    with pytest.raises(CodecError, match=f"^{re.escape(message)}$") as caught:
        from_json(Backup, document)

    assert caught.value.path == message.partition(":")[0]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "document: expected an object, got a list"),
        (None, "document: expected an object, got null"),
        ({"apiVersion": "velero.io/v1"}, 'kind: expected "Backup", got null'),
        (
            {"kind": "Restore", "apiVersion": "velero.io/v1"},
            'kind: expected "Backup", got "Restore"',
        ),
        (
            {"kind": "Backup", "apiVersion": "v1"},
            'apiVersion: expected "velero.io/v1", got "v1"',
        ),
        ({5: "five"}, "document: expected strings as keys, got the number 5"),
    ],
)
def test_another_document_is_refused(document, message):
    """What is no Backup of velero.io/v1 is not taken for one."""
    with pytest.raises(CodecError, match=f"^{re.escape(message)}$"):
        from_json(Backup, document)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"{", "truncated"),
        (b'{"a": NaN}', "malformed"),
        (b"\xff", "malformed"),
        (b'"\xff"', "utf-8"),
        (b"[" * 100_000, "too deep"),
        ("[" * 100_000, "too deep"),
    ],
)
def test_what_is_no_json_is_refused(text, reason):
    """Bytes that are not JSON raise the codec's own error, however hostile."""
    with pytest.raises(CodecError, match=reason):
        load_json(Backup, text)


def test_what_no_model_describes_is_bounded():
    """An unknown field that nests beyond all reason is refused, not followed."""
    nested = "x"
    for _ in range(150):
        nested = [nested]

    with pytest.raises(CodecError, match="at most 100 levels"):
        from_json(LabelSelector, {"unknown": nested})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1}, b"x", object()])
def test_only_json_may_stand_in_unknown_fields(value):
    """What JSON cannot hold is refused before it is written."""
    with pytest.raises(CodecError, match=r"spec.x: expected a JSON value"):
        to_json(Backup(spec=BackupSpec(extra={"x": value})))


def tampered(model, field, value):
    """Return *model* with a field set past the checks."""
    object.__setattr__(model, field, value)
    return model


@pytest.mark.parametrize(
    ("field", "value", "path"),
    [
        ("snapshot_volumes", "false", "spec.snapshotVolumes"),
        ("ttl", 5, "spec.ttl"),
        ("storage_location", 5, "spec.storageLocation"),
        ("label_selector", {"app": "web"}, "spec.labelSelector"),
        ("ordered_resources", {"pods": 1}, "spec.orderedResources.pods"),
        ("or_label_selectors", ["app"], "spec.orLabelSelectors[0]"),
        ("extra", {5: 6}, "spec"),
    ],
)
def test_a_value_of_another_type_is_not_written(field, value, path):
    """A model that was filled wrongly is refused when it becomes a document."""
    spec = tampered(BackupSpec(), field, value)

    with pytest.raises(CodecError) as caught:
        to_json(Backup(spec=spec))

    assert caught.value.path == path


@pytest.mark.parametrize(
    ("cls", "document", "message"),
    [
        (
            ObjectMeta,
            {"creationTimestamp": "yesterday"},
            (
                "creationTimestamp: expected a time such as 2024-05-01T02:00:03Z, "
                'got the string "yesterday"'
            ),
        ),
        (
            ObjectMeta,
            {"deletionTimestamp": "0001-01-01T00:00:00+14:00"},
            "deletionTimestamp: expected a time",
        ),
        (ObjectMeta, {"creationTimestamp": 0}, "creationTimestamp: expected a time"),
        (
            ObjectMeta,
            {"creationTimestamp": "x" * 99},
            (
                f"creationTimestamp: expected a "
                f'time such as 2024-05-01T02:00:03Z, got the string "{"x" * 40}..."'
            ),
        ),
        (
            ObjectStorage,
            {"caCert": "-----BEGIN"},
            "caCert: expected base64, got a string that is not",
        ),
        (ObjectStorage, {"caCert": 5}, "caCert: expected base64, got a number"),
    ],
    ids=range(6),
)
def test_texts_that_stand_for_something_are_read_strictly(cls, document, message):
    """Times and base64 that are none are refused."""
    with pytest.raises(CodecError) as caught:
        from_json(cls, document)

    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("model", "path"),
    [
        (tampered(ObjectStorage(), "ca_cert", "PEM"), "caCert"),
        (ItemOperation(spec={}), "spec"),
        (NativeSnapshot(extra={"x": {1: 2}}), "x"),
    ],
    ids=["bytes", "model", "key"],
)
def test_other_types_are_not_written_either(model, path):
    """Bytes are bytes, models are models, keys are strings."""
    with pytest.raises(CodecError) as caught:
        to_json(model)

    assert caught.value.path == path


def test_times_set_past_the_checks_are_not_written():
    """Even a model that was tampered with does not write a time without a zone."""
    status = tampered(BackupStatus(), "expiration", datetime(2024, 5, 1))  # noqa: DTZ001

    with pytest.raises(CodecError, match="a datetime with a time zone"):
        to_json(status)


def test_lists_set_past_the_checks_are_not_written():
    """Even a model that was tampered with does not write a string as a list."""
    spec = tampered(BackupSpec(), "included_namespaces", "shop")

    with pytest.raises(CodecError, match="includedNamespaces: expected a list"):
        to_json(spec)


def test_kind_matches_in_any_case_too():
    """Go reads ``Kind`` as ``kind``."""
    document = {"Kind": "Backup", "APIVERSION": "velero.io/v1"}

    assert from_json(Backup, document) == Backup()


def test_a_secret_where_an_object_belongs_is_not_repeated():
    """The error about a misplaced string does not tell the string."""
    document = {
        "kind": "BackupStorageLocation",
        "apiVersion": "velero.io/v1",
        "spec": {"config": "hunter2", "provider": "aws"},
    }

    with pytest.raises(CodecError) as caught:
        from_json(BackupStorageLocation, document)

    assert "hunter2" not in str(caught.value)


def test_lists_given_to_a_model_are_lists():
    """A string is not taken for a list of letters, neither here nor there."""
    with pytest.raises(InvalidSpecError, match="got the string 'shop'"):
        BackupSpec(included_namespaces="shop")
    with pytest.raises(
        InvalidSpecError, match=r"s\[1\]: expected a string, got the num"
    ):
        BackupSpec(included_namespaces=["shop", 5])
    with pytest.raises(InvalidSpecError, match="expected a list, got the string 'app'"):
        BackupSpec(or_label_selectors="app")


def test_an_instant_needs_a_time_zone():
    """A naive time could mean any of forty instants."""
    with pytest.raises(ValueError, match="no time zone"):
        BackupStatus(expiration=datetime(2024, 5, 1))  # noqa: DTZ001 - the point


def test_instants_are_what_a_document_can_hold():
    """Fractions of a second and other zones are gone before, not after, writing."""
    precise = datetime.fromisoformat("2024-05-01T04:00:03.75+02:00")

    status = BackupStatus(start_timestamp=precise)

    assert status.start_timestamp == datetime(2024, 5, 1, 2, 0, 3, tzinfo=UTC)


# --- names ----------------------------------------------------------------------------


def test_null_is_absent():
    """Go's null lists, objects and numbers mean that nothing was said."""
    document = {
        "kind": "Backup",
        "apiVersion": "velero.io/v1",
        "metadata": {"name": "b", "labels": None, "creationTimestamp": None},
        "spec": {"includedNamespaces": None, "hooks": None, "snapshotVolumes": None},
        "status": None,
    }

    assert from_json(Backup, document) == Backup(metadata=ObjectMeta(name="b"))


def test_names_match_exactly_and_then_in_any_case():
    """Both spellings of the volume name are read; the old one is written."""
    for spelling in ("PersistentVolumeName", "persistentVolumeName"):
        snapshot = from_json(NativeSnapshot, {"spec": {spelling: "pv-1"}})

        assert snapshot.spec.persistent_volume_name == "pv-1"
        assert to_json(snapshot)["spec"]["PersistentVolumeName"] == "pv-1"
        assert "persistentVolumeName" not in to_json(snapshot)["spec"]


def test_an_exact_name_wins_over_another_case():
    """Where a name stands twice in different case, the exact one counts; none goes."""
    document = {"SIZE": 1, "size": 2, "Size": 3, "ReadyToUse": True, "readytouse": 5}

    info = from_json(CSISnapshotInfo, document)

    assert (info.size, info.ready_to_use) == (2, True)
    assert to_json(info).items() >= document.items()


def test_kind_may_be_missing_in_lists_only():
    """Elements of Velero's list files state no kind; they are given one when written."""
    (volume,) = load_json_list(PodVolumeBackup, b'[{"metadata":{"name":"v"}}]')

    assert volume.metadata.name == "v"
    assert to_json(volume)["kind"] == "PodVolumeBackup"
    with pytest.raises(CodecError, match=r"\[0\].kind: expected"):
        load_json_list(Backup, b'[{"metadata":{"name":"v"}}]')
    with pytest.raises(CodecError, match=r'\[0\].kind: expected .* got "Pod"'):
        load_json_list(PodVolumeBackup, b'[{"kind":"Pod"}]')


@pytest.mark.parametrize("document", [b"null", b"[]"])
def test_a_list_may_be_null(document):
    """Go writes a list that was never made as null."""
    assert load_json_list(VolumeInfo, document) == ()


def test_a_list_is_no_object():
    """A side file with an object in the place of its list is refused."""
    with pytest.raises(CodecError, match="expected a list, got an object"):
        load_json_list(VolumeInfo, b"{}")


def test_what_was_set_wins_over_what_was_read():
    """A field that was empty when it was read and set later is written as set."""
    document = {"kind": "Backup", "apiVersion": "velero.io/v1"}
    read = from_json(Backup, {**document, "status": {"warnings": 0, "phase": ""}})
    assert to_json(read)["status"] == {"warnings": 0, "phase": ""}

    status = attrs.evolve(read.status, warnings=3, phase=BackupPhase.COMPLETED)

    written = to_json(attrs.evolve(read, status=status))
    assert written["status"] == {"warnings": 3, "phase": "Completed"}


@pytest.mark.parametrize(
    ("cls", "document", "message"),
    [
        (
            ResourcePolicies,
            {"version": "v1", "volumePolicy": []},
            (
                "document: expected no other fields than version, volumePolicies, "
                "includeExcludePolicy, got volumePolicy as well"
            ),
        ),
        (
            ResourcePolicies,
            {"volumePolicies": [{"conditions": {"storageclasses": ["gp2"]}}]},
            "volumePolicies[0].conditions: expected no other fields than",
        ),
        (
            ResourcePolicies,
            {"volumePolicies": [{"action": {}}]},
            "volumePolicies[0].action.type: expected a value, got none",
        ),
        (
            ResourcePolicies,
            {"volumePolicies": [{"action": {"type": ""}}]},
            "volumePolicies[0].action.type: expected one of",
        ),
        (
            ResourcePolicies,
            {"volumePolicies": [{"conditions": {}}]},
            "volumePolicies[0].action: expected a value, got none",
        ),
        (
            ResourceModifiers,
            {"resourceModifierRules": [{"patches": [{"operation": "rm"}]}]},
            "resourceModifierRules[0].patches[0].operation: expected one of",
        ),
    ],
)
def test_policies_and_modifiers_are_read_strictly(cls, document, message):
    """A misspelt condition is an error: not seen, it would match everything."""
    with pytest.raises(CodecError) as caught:
        from_json(cls, document)

    assert str(caught.value).startswith(message)


# --- writing --------------------------------------------------------------------------


def test_escapes_are_those_of_go():
    """Signs that mean something to HTML, and two line ends, are escaped."""
    spec = RestoreSpec(backup_name="<a&b>\u2028\u2029é")

    assert (
        rb'"backupName": "\u003ca\u0026b\u003e\u2028\u2029' + "é".encode()
        in dump_json(spec)
    )
    assert load_json(RestoreSpec, dump_json(spec)) == spec


def test_compact_documents_end_in_a_newline_and_pretty_ones_do_not():
    """Side files end as Go's stream encoder ends them, the record as Kubernetes' does."""
    assert dump_json(Results().to_json(), pretty=False) == (
        b'{"errors":{},"warnings":{}}\n'
    )
    assert dump_json([], pretty=False) == b"[]\n"
    assert dump_json({"a": {}, "b": [], "c": [1]}) == (
        b'{\n  "a": {},\n  "b": [],\n  "c": [\n    1\n  ]\n}'
    )


def test_what_utf8_cannot_hold_is_refused():
    """A lone surrogate is refused by the codec's own error."""
    with pytest.raises(CodecError):
        dump_json(RestoreSpec(backup_name="\ud800"))


def test_a_document_belongs_to_who_asked_for_it():
    """Changing what was given or what was got leaves the model as it was."""
    given_document = {"unknown": {"a": [1]}}
    selector = from_json(LabelSelector, given_document)

    given_document["unknown"]["a"].append(2)
    to_json(selector)["unknown"]["a"].append(3)

    assert selector.extra == {"unknown": {"a": [1]}}
