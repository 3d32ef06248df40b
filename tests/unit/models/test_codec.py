"""What the converter promises of every model, held to values drawn at random."""

import re
import types
import typing
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import kbackup.models
from kbackup._kits.durations import format_duration
from kbackup._kits.times import format_time
from kbackup.models import (
    Backup,
    BackupPhase,
    BackupSpec,
    BackupStatus,
    BackupStorageLocation,
    CodecError,
    CSISnapshotInfo,
    Document,
    LabelSelector,
    Model,
    NativeSnapshot,
    ObjectMeta,
    PodVolumeBackup,
    ResourceModifiers,
    ResourcePolicies,
    Restore,
    RestoreSpec,
    Results,
    Schedule,
    VolumeInfo,
    dump_json,
    dump_yaml,
    from_json,
    load_json,
    load_json_list,
    load_objects,
    to_json,
)
from kbackup.models._names import document_name

MODELS = sorted(
    (
        value
        for value in (getattr(kbackup.models, name) for name in kbackup.models.__all__)
        if isinstance(value, type)
        and issubclass(value, Model)
        and value not in {Model, Document}
    ),
    key=lambda cls: cls.__name__,
)
each_model = pytest.mark.parametrize("cls", MODELS, ids=lambda cls: cls.__name__)
few = settings(
    max_examples=10,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking takes minutes
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

# --- values of any type ---------------------------------------------------------------

TEXT = st.text(max_size=8)
INT64 = st.integers(-(2**63), 2**63 - 1)
INSTANTS = st.datetimes(timezones=st.just(UTC)).map(lambda t: t.replace(microsecond=0))
DURATIONS = st.timedeltas(timedelta(days=-100_000), timedelta(days=100_000))
ANYTHING = st.recursive(
    st.none() | st.booleans() | INT64 | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
# Names that no model has, now or in any other case.
UNKNOWN = st.dictionaries(TEXT.map(lambda text: f"x-{text}"), ANYTHING, max_size=2)


def fields_of(cls):
    """Yield the fields of a model with their types, but for the unknown ones."""
    hints = typing.get_type_hints(cls)
    for field in attrs.fields(cls):
        if field.name != "extra":
            yield field, hints[field.name]


def is_optional(hint):
    """Tell whether None is among the values of a type."""
    return typing.get_origin(hint) is types.UnionType


def inside(hint):
    """Return what an optional type is when it is not None."""
    return next(a for a in typing.get_args(hint) if a is not type(None))


@cache
def values_of(hint):
    """Return a strategy for the values of a field's type."""
    plain = {
        str: TEXT,
        bool: st.booleans(),
        int: INT64,
        bytes: st.binary(max_size=8),
        datetime: INSTANTS,
        timedelta: DURATIONS,
        Any: ANYTHING,
    }
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint in plain:
        return plain[hint]
    if is_optional(hint):
        return st.none() | values_of(inside(hint))
    if origin is tuple:
        return st.lists(values_of(arguments[0]), max_size=2).map(tuple)
    if origin is Mapping:
        return st.dictionaries(TEXT, values_of(arguments[1]), max_size=2)
    if issubclass(hint, StrEnum):
        return st.sampled_from(hint)
    return models(hint)


@cache
def models(cls):
    """Return a strategy for the values of a model."""
    fields = {field.name: values_of(hint) for field, hint in fields_of(cls)}
    extra = st.just({}) if cls.closed else UNKNOWN
    return st.builds(cls, extra=extra, **fields)


# --- documents ------------------------------------------------------------------------


@cache
def json_of(hint):
    """Return a strategy for what may stand in a document for a field's type."""
    plain = {
        bytes: st.just("AAEC"),
        datetime: INSTANTS.map(format_time),
        timedelta: DURATIONS.map(format_duration),
    }
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint in plain:
        return plain[hint]
    if is_optional(hint):
        return json_of(inside(hint))
    if origin is tuple:
        return st.lists(json_of(arguments[0]), max_size=2)
    if origin is Mapping:
        return st.dictionaries(TEXT, json_of(arguments[1]), max_size=2)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return st.sampled_from([str(member) for member in hint])
    if isinstance(hint, type) and issubclass(hint, Model):
        return documents(hint)
    return values_of(hint)


@st.composite
def documents(draw, cls):
    """Draw a document: fields there, absent, null or empty, in any case; unknown ones."""
    document = {} if cls.closed else draw(UNKNOWN)
    for field, hint in fields_of(cls):
        name = document_name(cls.__name__, field.name)
        required = field.default is attrs.NOTHING
        if required or draw(st.booleans()):
            spelling = draw(st.sampled_from([name, name, name.lower(), name.upper()]))
            value = json_of(hint) if required else st.none() | json_of(hint)
            document[spelling] = draw(value)
    if issubclass(cls, Document):
        document |= {"kind": cls.__name__, "apiVersion": cls.api_version}
    return document


def is_kept(before, after):
    """Tell whether every key and value of one JSON value stands in another."""
    if isinstance(before, dict):
        folded = {key.casefold(): key for key in after}
        return all(
            value is None
            or is_kept(value, after.get(key, after.get(folded.get(key.casefold()))))
            for key, value in before.items()
        )
    if isinstance(before, list):
        return len(before) == len(after) and all(
            is_kept(a, b) for a, b in zip(before, after, strict=True)
        )
    return type(before) is type(after) and before == after


@each_model
@few
@given(data=st.data())
def test_what_was_written_reads_back_equal(cls, data):
    """Every value of every model survives JSON in both layouts."""
    value = data.draw(models(cls))

    assert from_json(cls, to_json(value)) == value
    assert load_json(cls, dump_json(value)) == value
    assert load_json(cls, dump_json(value, pretty=False)) == value


@each_model
@few
@given(data=st.data())
def test_what_was_read_is_written_back(cls, data):
    """No key of a document is lost, known or not, empty or not, at any level."""
    document = data.draw(documents(cls))

    written = to_json(from_json(cls, document))

    assert is_kept(document, written)
    assert from_json(cls, written) == from_json(cls, document)


@pytest.mark.parametrize("cls", [Backup, Restore, Schedule, BackupStorageLocation])
@few
@given(data=st.data())
def test_yaml_holds_what_json_holds(cls, data):
    """Values written as YAML read back equal."""
    value = data.draw(models(cls))

    assert load_objects(dump_yaml(value), cls) == [value]


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
            "spec.uploaderConfig.parallelFilesUpload: "
            "expected an integer of 64 bits, got the number 1.0",
        ),
        (
            {"uploaderConfig": {"parallelFilesUpload": True}},
            "spec.uploaderConfig.parallelFilesUpload: "
            "expected an integer of 64 bits, got true",
        ),
        (
            {"uploaderConfig": {"parallelFilesUpload": 2**63}},
            "spec.uploaderConfig.parallelFilesUpload: "
            f"expected an integer of 64 bits, got the number {2**63}",
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
            "spec.hooks.resources[0].pre[0].exec.onError: "
            'expected one of Continue, Fail, got the string "Retry"',
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


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        (BackupSpec(snapshot_volumes="false"), "spec.snapshotVolumes"),
        (BackupSpec(ttl=5), "spec.ttl"),
        (BackupSpec(storage_location=5), "spec.storageLocation"),
        (BackupSpec(label_selector={"app": "web"}), "spec.labelSelector"),
        (BackupSpec(ordered_resources={"pods": 1}), "spec.orderedResources.pods"),
        (BackupSpec(or_label_selectors=["app"]), "spec.orLabelSelectors[0]"),
    ],
)
def test_a_value_of_another_type_is_not_written(spec, path):
    """A model that was filled wrongly is refused when it becomes a document."""
    with pytest.raises(CodecError) as caught:
        to_json(Backup(spec=spec))

    assert caught.value.path == path


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
    with pytest.raises(TypeError, match="got the string 'shop'"):
        BackupSpec(included_namespaces="shop")
    with pytest.raises(TypeError, match="something else in it"):
        BackupSpec(included_namespaces=["shop", 5])
    with pytest.raises(TypeError, match="expected a list"):
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
            "document: expected no other fields than version, volumePolicies, "
            "includeExcludePolicy, got volumePolicy as well",
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
