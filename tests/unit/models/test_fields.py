"""What cannot stand in a field is refused where it is put there, field by field."""

from datetime import timedelta

import attrs
import pytest

from kbackup import models
from kbackup.errors import InvalidConfigError, InvalidSpecError
from kbackup.models import (
    BackupHooks,
    BackupOptions,
    BackupResourceHook,
    BackupResourceHookSpec,
    BackupSpec,
    BackupStorageLocation,
    BackupStorageLocationSpec,
    EngineSettings,
    ExecHook,
    LabelSelector,
    ObjectMeta,
    ObjectStorage,
    RestoreOptions,
    RestoreSpec,
    SecretKeySelector,
    TemplateMetadata,
)

REFUSALS = {
    BackupSpec: InvalidSpecError,
    RestoreSpec: InvalidSpecError,
    BackupOptions: InvalidConfigError,
    RestoreOptions: InvalidConfigError,
    EngineSettings: InvalidConfigError,
    BackupStorageLocation: InvalidConfigError,
    BackupStorageLocationSpec: InvalidConfigError,
    ObjectStorage: InvalidConfigError,
}
FIELDS = [(cls, field.name) for cls in REFUSALS for field in attrs.fields(cls)]


PARTS = [  # what stands in specifications and records: no check of all fields at once
    (cls, field.name)
    for cls in (getattr(models, name) for name in models.__all__)
    if attrs.has(cls) and cls not in REFUSALS
    for field in attrs.fields(cls)
    if field.converter and field.name != "extra"
]


NEEDED = {(models.VolumeAction, "type"): "skip"}  # what else is refused first


class Odd:
    """What stands in no field of anything."""


@pytest.mark.parametrize(
    "value", [Odd(), (Odd(),), {1: Odd()}], ids=["object", "list", "mapping"]
)
@pytest.mark.parametrize(
    ("cls", "field"), FIELDS, ids=[f"{cls.__name__}.{name}" for cls, name in FIELDS]
)
def test_every_field_refuses_another_type(cls, field, value):
    """Whatever field is filled with another type, our own error names it."""
    if field == "extra" and isinstance(value, dict):
        value = 7  # what a document held beside the fields may be anything

    with pytest.raises(REFUSALS[cls]) as caught:
        cls(**{field: value})

    assert str(caught.value).startswith(field)
    assert "expected" in str(caught.value)
    assert "got" in str(caught.value)


@pytest.mark.parametrize("cls", REFUSALS, ids=lambda cls: cls.__name__)
def test_all_faults_are_told_at_once(cls):
    """Whoever filled all fields wrongly need not run into them one after the other."""
    names = [field.name for field in attrs.fields(cls)]

    with pytest.raises(REFUSALS[cls]) as caught:
        cls(**dict.fromkeys(names, Odd()))

    told = str(caught.value).split("; ")
    assert [sentence.partition(":")[0] for sentence in told] == names


def test_violations_are_apart():
    """A program finds each fault of a specification for itself."""
    with pytest.raises(InvalidSpecError) as caught:
        BackupSpec(ttl="72h", included_namespaces="shop")

    assert caught.value.violations == (
        "included_namespaces: expected a list of strings, got the string 'shop'",
        "ttl: expected a timedelta such as timedelta(hours=72), got the string '72h'",
    )


HOOK = BackupResourceHook(exec=ExecHook(timeout=30))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (
            lambda: RestoreSpec(existing_resource_policy="overwrite"),
            (
                "existing_resource_policy: expected 'none' or 'update', "
                "got the string 'overwrite'"
            ),
        ),
        (
            lambda: RestoreOptions(existing_cluster_resource_policy="yes"),
            (
                "existing_cluster_resource_policy: expected 'none' or 'update', "
                "got the string 'yes'"
            ),
        ),
        (
            lambda: BackupOptions(consistency="exakt"),
            "consistency: expected 'exact' or 'newest', got the string 'exakt'",
        ),
        (
            lambda: BackupOptions(skip_forbidden="no"),
            "skip_forbidden: expected True or False, got the string 'no'",
        ),
        (
            lambda: BackupOptions(labels="team"),
            "labels: expected a mapping, got the string 'team'",
        ),
        (
            lambda: BackupOptions(where="shop"),
            "where: expected a function, got the string 'shop'",
        ),
        (
            lambda: RestoreOptions(transforms=print),
            "transforms: expected a list, got a builtin_function_or_method",
        ),
        (
            lambda: RestoreOptions(max_in_flight=True),
            "max_in_flight: expected a whole number, got True",
        ),
        (
            lambda: RestoreOptions(max_in_flight=1.5),
            "max_in_flight: expected a whole number, got the number 1.5",
        ),
        (
            lambda: RestoreSpec(included_namespaces=["shop", None]),
            "included_namespaces[1]: expected a string, got None",
        ),
        (
            lambda: BackupSpec(included_resources="p" * 99),
            (
                f"included_resources: expected a list of strings, "
                f"got the string '{'p' * 40}...'"
            ),
        ),
        (
            lambda: BackupSpec(label_selector="app=web"),
            (
                "label_selector: expected a LabelSelector such as "
                "LabelSelector.parse('app=web'), got the string 'app=web'"
            ),
        ),
        (
            lambda: BackupSpec(
                hooks=BackupHooks(
                    resources=[BackupResourceHookSpec(name="a", pre=[HOOK])]
                )
            ),
            (
                "hooks.resources[0].pre[0].exec.timeout: expected a timedelta such as "
                "timedelta(hours=72), got the number 30"
            ),
        ),
        (
            lambda: BackupStorageLocation(metadata=ObjectMeta(name=7)),
            "metadata.name: expected a string, got the number 7",
        ),
        (
            lambda: EngineSettings(read_timeout=60),
            (
                "read_timeout: expected a timedelta such as timedelta(hours=72), "
                "got the number 60"
            ),
        ),
    ],
)
def test_what_is_told(make, told):
    """It says what the field takes, and what came."""
    with pytest.raises((InvalidSpecError, InvalidConfigError)) as caught:
        make()

    assert str(caught.value) == told


@pytest.mark.parametrize(
    "given",
    [
        {"config": {"password": ["hunter2"]}},
        {"config": "password=hunter2"},
        {"config": ["hunter2"]},
    ],
)
def test_a_value_that_may_be_secret_is_not_told(given):
    """Of what stands in a location's config nothing is told but its type."""
    with pytest.raises(InvalidConfigError, match=r"^config") as caught:
        BackupStorageLocationSpec(**given)

    assert "hunter2" not in str(caught.value)


def test_what_can_be_meant_is_taken():
    """Lists, words of a choice, numbers for a rate and paths as text are fine."""
    spec = RestoreSpec(included_namespaces=["a"], existing_resource_policy="update")
    settings = EngineSettings(max_writes_per_second=5, spool_directory="/spool")

    assert spec.included_namespaces == ("a",)
    assert settings.max_writes_per_second == 5
    assert BackupSpec(
        metadata=TemplateMetadata(labels={"a": "b"}),
        or_label_selectors=[LabelSelector.parse("a=b")],
        ttl=timedelta(hours=1),
    )
    assert BackupStorageLocationSpec(credential=SecretKeySelector(key="a"))


@pytest.mark.parametrize("value", [Odd(), "ls"], ids=["object", "string"])
@pytest.mark.parametrize(
    ("cls", "field"), PARTS, ids=[f"{cls.__name__}.{name}" for cls, name in PARTS]
)
def test_parts_name_the_field(cls, field, value):
    """A hook's command given as a string is told as such, not how it failed inside."""
    needed = [each.name for each in attrs.fields(cls) if each.default is attrs.NOTHING]
    given = {name: NEEDED.get((cls, name)) for name in needed} | {field: value}

    with pytest.raises((TypeError, ValueError)) as caught:
        cls(**given)

    assert str(caught.value).startswith(f"{cls.__name__}.{field}: ")
