"""A plan as a document: nothing of it is lost, and nothing odd is taken for one."""

import json
from datetime import timedelta
from pathlib import Path

import attrs
import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_samples import full_plan

from kbackup._kits.differences import Difference
from kbackup.errors import InvalidPlanError
from kbackup.models import (
    ExistingResourcePolicy,
    GroupResource,
    LabelSelector,
    PatchData,
    ResourceIdentifier,
    ResourceModifierRule,
    ResourceModifiers,
    RestoreOptions,
    RestoreSpec,
)
from kbackup.restore import (
    ClaimLine,
    ClaimVerdict,
    Notice,
    PlanAction,
    PlanEntry,
    PlanHead,
    PlanModifiers,
    Precondition,
    RestorePlan,
)
from kbackup.restore._plan.digest import plan_digest

SCHEMA = json.loads(
    Path(__file__)
    .parents[3]
    .joinpath("docs/formats/schemas/plan.json")
    .read_text(encoding="utf-8")
)
DIGEST = "ab" * 32


def keep(item):
    """A transform."""
    return item


def drop(_item):
    """Another one."""


def is_wanted(_item):
    """A selection."""
    return True


TEXTS = st.text(max_size=8)
NAMES = st.text("abc.-:é", min_size=1, max_size=8)
DIGESTS = st.binary(min_size=32, max_size=32).map(bytes.hex)
TYPES = st.sampled_from(["secrets", "configmaps", "widgets.example.com"])
REFS = st.builds(
    ResourceIdentifier,
    TYPES.map(GroupResource.parse),
    st.one_of(st.just(""), NAMES),
    NAMES,
)
CLAIMS = st.builds(
    ResourceIdentifier,
    st.just(GroupResource("", "persistentvolumeclaims")),
    NAMES,
    NAMES,
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 2**40) | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2)
    ),
    max_leaves=4,
)
DIFFERENCES = st.one_of(
    st.builds(Difference, path=TEXTS, op=st.just("add"), right=VALUES),
    st.builds(Difference, path=TEXTS, op=st.just("remove"), left=VALUES),
    st.builds(Difference, path=TEXTS, op=st.just("change"), left=VALUES, right=VALUES),
)
SEEN = st.builds(Precondition, NAMES, NAMES)
ENTRIES = st.builds(
    PlanEntry,
    identifier=REFS,
    target=REFS,
    action=st.sampled_from(PlanAction),
    wave=st.integers(0, 200),
    reason=TEXTS,
    differences=st.lists(DIFFERENCES, max_size=2).map(tuple),
    changes=st.lists(DIFFERENCES, max_size=2).map(tuple),
    changed_by=st.lists(TEXTS, max_size=2).map(tuple),
    errors=st.lists(TEXTS, max_size=2).map(tuple),
    digest=DIGESTS,
    precondition=SEEN,
    cluster_wide=st.booleans(),
    second_write=st.booleans(),
    status=st.sampled_from(["", "create", "second"]),
    api_version=NAMES,
    kind=NAMES,
)
QUIET = st.builds(
    PlanEntry,
    identifier=REFS,
    target=REFS,
    action=st.sampled_from([x for x in PlanAction if not x.writes]),
)
LINES = st.builds(
    ClaimLine,
    claim=CLAIMS,
    target=CLAIMS,
    verdict=st.sampled_from(ClaimVerdict),
    volume=TEXTS,
    text=TEXTS,
    problems=st.lists(TEXTS, max_size=2).map(tuple),
    loses_data=st.booleans(),
)
NOTICES = st.builds(Notice, what=TEXTS, items=st.lists(REFS, max_size=2).map(tuple))
HEADS = st.builds(
    PlanHead,
    server=TEXTS,
    context=TEXTS,
    cluster_uid=TEXTS,
    cluster_version=TEXTS,
    same_cluster=st.sampled_from([True, False, None]),
    restore_name=TEXTS,
    restore_uid=TEXTS,
    backup_name=st.just("shop-1"),
    backup_uid=TEXTS,
    backup_phase=TEXTS,
    backup_age=st.one_of(
        st.none(), st.integers(-(10**5), 10**9).map(lambda s: timedelta(seconds=s))
    ),
    backup_warnings=st.integers(0, 9),
    backup_errors=st.integers(0, 9),
    not_covered=st.lists(TEXTS, max_size=2).map(tuple),
    archive_digest=st.one_of(st.just(""), DIGESTS),
    writer_version=TEXTS,
    settings_from=st.dictionaries(NAMES, NAMES, max_size=2),
    modifiers=st.none()
    | st.builds(
        PlanModifiers,
        source=TEXTS,
        rules=st.integers(1, 9),
        digest=DIGESTS.map("sha256:{}".format),
    ),
)
RULES = ResourceModifiers(
    resource_modifier_rules=[
        ResourceModifierRule(merge_patches=[PatchData(patch_data="{}")])
    ]
)
SPECS = st.builds(
    RestoreSpec,
    backup_name=st.just("shop-1"),
    included_namespaces=st.lists(NAMES, max_size=2),
    excluded_resources=st.lists(NAMES, max_size=2),
    namespace_mapping=st.dictionaries(NAMES, NAMES, max_size=2),
    label_selector=st.sampled_from([None, LabelSelector.parse("a=b,c!=d,e in (f,g)")]),
    restore_pvs=st.sampled_from([True, False, None]),
    existing_resource_policy=st.sampled_from([None, *ExistingResourcePolicy]),
    item_operation_timeout=st.sampled_from([None, timedelta(hours=4)]),
)
OPTIONS = st.builds(
    RestoreOptions,
    transforms=st.sampled_from([(), (keep,), (keep, drop), (drop, drop)]),
    resource_modifiers=st.sampled_from([None, RULES]),
    where=st.sampled_from([None, is_wanted]),
    action_settings=st.dictionaries(
        NAMES, st.dictionaries(NAMES, TEXTS, max_size=2), max_size=2
    ),
    priorities=st.sampled_from([None, (), ("secrets", "pods")]),
    existing_cluster_resource_policy=st.sampled_from([None, *ExistingResourcePolicy]),
    controlled=st.sampled_from(["recreate", "adopt"]),
    relink_owners=st.booleans(),
    managed_fields=st.sampled_from(["auto", "restore", "drop"]),
    redact=st.sampled_from([(), ("configmaps", "*")]),
    released_volumes=st.sampled_from(["leave", "reattach"]),
    expect_cluster=st.sampled_from([None, "prod"]),
    salvage=st.booleans(),
    max_in_flight=st.integers(1, 64),
    deadline=st.integers(0, 10**6).map(lambda ms: timedelta(milliseconds=ms)),
)
PLANS = st.builds(
    RestorePlan,
    head=HEADS,
    entries=st.lists(ENTRIES | QUIET, max_size=3).map(tuple),
    claims=st.lists(LINES, max_size=2).map(tuple),
    notices=st.lists(NOTICES, max_size=2).map(tuple),
    spec=SPECS,
    options=OPTIONS,
)


@given(plan=PLANS)
def test_a_plan_comes_back_as_it_was(plan):
    """What is written and read again is equal, and fits the published schema."""
    document = plan.to_json()
    given_again = {
        "transforms": plan.options.transforms,
        "where": plan.options.where,
        "resource_modifiers": plan.options.resource_modifiers,
    }

    read = RestorePlan.from_json(json.dumps(document), **given_again)

    assert read == plan
    assert read == RestorePlan.from_json(document, **given_again)
    assert read.to_json() == document
    jsonschema.validate(document, SCHEMA)


_GONE = ...  # told by its name, which is the same in each process


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("apiVersion", "kbackup.io/v2", "apiVersion: expected kbackup.io/v1"),
        ("apiVersion", _GONE, "apiVersion: expected kbackup.io/v1, got None"),
        ("kind", "RestoreResult", "kind: expected RestorePlan, got 'RestoreResult'"),
        ("head", _GONE, "`head`"),
        ("head", [], "head: "),
        ("head.cluster.uid", 7, "head.cluster.uid: "),
        ("head.sameCluster", "no", "head.sameCluster: "),
        ("head.backup.ageSeconds", 10**30, "head.backup.ageSeconds: "),
        ("head.backup.archive", "sha256:12", "head.backup.archive: "),
        ("head.backup.name", "other", "spec.backupName: the head names other"),
        ("head.modifiers", {"source": "a", "rules": 1}, "head.modifiers: "),
        (
            "options.resource_modifiers",
            "sha256:12",
            "named is sha256:12, given is none",
        ),
        ("spec", _GONE, "`spec`"),
        (
            "spec.includedNamespaces",
            "shop",
            "spec: includedNamespaces: expected a list",
        ),
        ("spec.restorePVs", "yes", "spec: restorePVs: expected"),
        ("options", 3, "options: "),
        ("options.frobnicate", True, "frobnicate: this version has no such option"),
        ("options.validate", "false", "options: validate: "),
        ("options.controlled", "never", "options: controlled: "),
        ("options.max_in_flight", 0, "max_in_flight"),
        ("options.deadline", "10m", "options: deadline: "),
        ("options.deadline", 1e300, "options: deadline: "),
        ("options.deadline", -5, "options: deadline: expected at least 0s, got -5s"),
        ("options.transforms", 5, "options: transforms: named is 5, given is none"),
        ("notices", None, "notices: "),
        ("notices.0.items.0", "secrets", "notices[0]: 'secrets' is no item"),
        ("claims.0.verdict", "maybe", "claims[0].verdict: "),
        ("claims.0.claim", "data", "claims[0]: 'data' is no claim"),
        ("entries", {}, "entries: "),
        ("entries.0", None, "entries[0]: "),
        ("entries.0.action", "erase", "entries[0].action: Invalid enum value 'erase'"),
        ("entries.0.action", _GONE, "entries[0]: "),
        ("entries.0.item", "secrets/shop/", "entries[0]: 'secrets/shop/' is no item"),
        ("entries.0.target", "secrets/a/b/c", "entries[0]: 'secrets/a/b/c' is no item"),
        ("entries.0.target", "secrets//tls", "entries[0]: 'secrets//tls' is no item"),
        ("entries.0.wave", 1.5, "entries[0].wave: "),
        ("entries.0.wave", True, "entries[0].wave: "),
        ("entries.0.digest", _GONE, "entries[0]: action update without digest"),
        ("entries.0.digest", "", "entries[0]: action update without digest"),
        ("entries.0.digest", "sha256:xyz", "entries[0].digest: "),
        ("entries.0.kind", _GONE, "entries[0]: action update without kind"),
        ("entries.0.seen", _GONE, "entries[0]: action update without seen"),
        ("entries.0.seen", {"uid": "1"}, "entries[0].seen: "),
        ("entries.0.differences.0.op", "swap", "entries[0].differences[0].op: "),
    ],
    ids=str,
)
def test_what_is_no_plan_is_refused_by_its_place(path, value, said):
    """A wrong type, an unknown word or a missing field is one error with its path."""
    document = json.loads(json.dumps(full_plan().to_json()))
    *way, last = path.split(".")
    parent = document
    for key in way:
        parent = parent[int(key) if key.isdigit() else key]
    key = int(last) if last.isdigit() else last
    if value is _GONE:
        del parent[key]
    else:
        parent[key] = value
    document["digest"] = plan_digest(document)

    with pytest.raises(InvalidPlanError) as caught:
        RestorePlan.from_json(document)

    assert str(caught.value).startswith("the saved plan cannot be used: ")
    assert said in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("key", ["spec", "options", "entries"])
def test_a_text_that_is_no_unicode_is_no_plan(key):
    """A lone surrogate in a parsed document is refused as every other nonsense."""
    document = {**full_plan().to_json(), key: "\ud800"}

    with pytest.raises(InvalidPlanError, match="a text is no Unicode"):
        RestorePlan.from_json(document)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "kind: RestorePlan",
        b"\xff\xfe",
        "[" * 100_000,
        json.dumps(full_plan().to_json())[:-200],
    ],
    ids=["empty", "list", "null", "YAML", "bytes", "deep", "truncated"],
)
def test_a_file_that_is_no_plan_is_one_error(text):
    """Whatever is read in a plan's place, the error says that it is none."""
    with pytest.raises(InvalidPlanError, match="the saved plan cannot be used"):
        RestorePlan.from_json(text)


@pytest.mark.parametrize(
    ("options", "again", "said"),
    [
        ({"transforms": (keep,)}, {}, f"named is {__name__}.keep, given is none"),
        ({}, {"transforms": (keep,)}, f"named is none, given is {__name__}.keep"),
        (
            {"transforms": (keep, drop)},
            {"transforms": (drop, keep)},
            f"named is {__name__}.keep, {__name__}.drop, given is {__name__}.drop",
        ),
        ({"where": is_wanted}, {}, f"where: named is {__name__}.is_wanted"),
        ({"where": is_wanted}, {"where": keep}, f"given is {__name__}.keep"),
        ({}, {"where": keep}, "where: named is none"),
    ],
    ids=["missing", "extra", "order", "no where", "another where", "extra where"],
)
def test_functions_have_to_be_given_again(options, again, said):
    """A plan names its functions: others, or none, are refused."""
    document = full_plan(options=RestoreOptions(**options)).to_json()

    with pytest.raises(InvalidPlanError) as caught:
        RestorePlan.from_json(document, **again)

    assert said in str(caught.value)
    assert "given again" in caught.value.hint


def test_what_a_later_version_adds_is_ignored():
    """Further keys, and options that are not there yet, do no harm."""
    document = json.loads(json.dumps(full_plan().to_json()))
    document["entries"][0]["later"] = document["later"] = {"a": 1}
    del document["options"]["redact"]
    document["digest"] = plan_digest(document)

    assert RestorePlan.from_json(document) == full_plan()


def test_ages_are_whole_seconds():
    """Of a backup's age a document keeps seconds, as the head prints them."""
    age = timedelta(seconds=7, microseconds=9)
    plan = attrs.evolve(
        full_plan(), head=attrs.evolve(full_plan().head, backup_age=age)
    )

    read = RestorePlan.from_json(plan.to_json())

    assert read.head.backup_age == timedelta(seconds=7)
