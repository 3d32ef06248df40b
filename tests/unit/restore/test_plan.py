"""A plan is a value that can be read, printed and saved, without any secret."""

import json
from datetime import UTC, datetime

import attrs
import pytest
from plan_samples import HEAD

from kbackup._kits.normalise import Difference, differences
from kbackup.models import (
    GroupResource,
    ResourceIdentifier,
    RestoreOptions,
    RestoreSpec,
)
from kbackup.restore import (
    ClaimLine,
    ClaimVerdict,
    Notice,
    PlanAction,
    PlanEntry,
    Precondition,
    RestorePlan,
    quiesce,
)


def _ref(kind="secrets", name="tls", namespace="shop"):
    """An identifier, from text."""
    return ResourceIdentifier(GroupResource.parse(kind), namespace, name)


def _entry(action, ref=None, **more):
    """A line of a plan."""
    ref = ref or _ref()
    return PlanEntry(
        identifier=ref, target=more.pop("target", ref), action=action, **more
    )


def _plan(*entries, **more):
    """A plan of these lines."""
    return RestorePlan(
        head=HEAD,
        entries=entries,
        spec=RestoreSpec(backup_name="shop-1"),
        options=RestoreOptions(),
        **more,
    )


def test_head_that_knows_little():
    """What neither cluster nor backup tells is said to be unknown, never left empty."""
    head = attrs.evolve(
        HEAD,
        **dict.fromkeys(("context", "cluster_uid", "cluster_version"), ""),
        **dict.fromkeys(("same_cluster", "backup_age")),
        backup_phase="",
        not_covered=(),
    )

    assert head.lines()[1:] == [
        "writes to https://10.0.0.1:6443, version unknown",
        "cluster   uid not readable",
        "backup    of a cluster that it does not name, without a phase, of unknown age",
        "          2 warnings, 1 errors",
    ]


@pytest.mark.parametrize(
    ("actions", "code"),
    [
        ((), 3),
        ((PlanAction.UNCHANGED, PlanAction.SKIP), 0),
        ((PlanAction.CREATE,), 4),
        ((PlanAction.UPDATE, PlanAction.SKIP), 4),
        ((PlanAction.CREATE, PlanAction.CONFLICT), 5),
        ((PlanAction.UNKNOWN,), 5),
    ],
)
def test_exit_code(actions, code):
    """0 for nothing to do, 3 for nothing selected, 4 for changes, 5 for conflicts."""
    assert _plan(*(_entry(action) for action in actions)).exit_code == code


def test_the_head_says_where_it_writes():
    """Server, context, cluster, version, origin, phase, age and gaps are told."""
    text = str(_plan())

    for words in (
        "https://10.0.0.1:6443",
        "context prod",
        "v1.20.2",
        "c1",
        "another cluster",
        "PartiallyFailed",
        "3h0m1s old",
        "2 warnings, 1 errors",
        "not covered: pods in shop: forbidden",
    ):
        assert words in text


def test_lines_tell_action_target_and_reason():
    """A line names the item, where it goes, why, and what is not confined."""
    text = str(
        _plan(
            _entry(PlanAction.CREATE, target=_ref(namespace="copy"), reason="why"),
            _entry(
                PlanAction.UPDATE,
                _ref("clusterroles", "view", ""),
                cluster_wide=True,
                differences=(
                    Difference(path="rules", op="change", left=1, right=2),
                    Difference(path="a", op="remove", left=1),
                    Difference(path="b", op="add", right=1),
                ),
            ),
        )
    )

    assert "create    secrets/shop/tls -> copy/tls: why" in text
    assert "update    clusterroles/view [cluster-wide]" in text
    assert "~ rules: 1 -> 2" in text
    assert "- a: 1" in text
    assert "+ b: 1" in text


def test_many_skips_for_one_reason_are_one_line():
    """A thousand skipped events do not hide what matters."""
    events = [
        _entry(PlanAction.SKIP, _ref("events", f"e{n}"), reason="theirs")
        for n in range(1000)
    ]

    text = str(_plan(*events))

    assert "skip      1000 events in shop: theirs" in text
    assert "e17" not in text


def test_notices_and_claims_are_printed():
    """What reaches further and what becomes of the claims is told."""
    line = ClaimLine(
        claim=_ref("persistentvolumeclaims", "data"),
        target=_ref("persistentvolumeclaims", "data"),
        verdict=ClaimVerdict.NONE,
        text="data: none in this backup, a new empty volume",
        problems=("storage class x not in target",),
    )
    notice = Notice(what="grants rights", items=tuple(_ref() for _ in range(7)))

    text = str(_plan(claims=(line,), notices=(notice,)))

    assert "shop/data: data: none in this backup, a new empty volume; storage" in text
    assert "! grants rights: secrets/shop/tls" in text
    assert "and 2 more" in text


def test_no_value_of_a_secret_comes_out():
    """Neither text, JSON nor repr of a plan holds a Secret's value."""
    old = {"apiVersion": "v1", "kind": "Secret", "data": {"password": "b2xk"}}
    new = {"apiVersion": "v1", "kind": "Secret", "data": {"password": "bmV3"}}
    entry = _entry(PlanAction.UPDATE, differences=tuple(differences(old, new)))
    plan = _plan(entry)

    everything = f"{plan} {plan!r} {entry!r} {json.dumps(plan.to_json())}"

    assert "b2xk" not in everything
    assert "bmV3" not in everything
    assert "data.password: differs" in str(plan)


def test_json_has_identity_and_no_bodies():
    """A saved plan names digests and what was seen of each object."""
    entry = _entry(
        PlanAction.UPDATE,
        digest="cd" * 32,
        precondition=Precondition("8d", "41"),
        second_write=True,
    )

    document = _plan(entry).to_json()

    assert document["apiVersion"] == "kbackup.io/v1"
    assert document["kind"] == "RestorePlan"
    assert document["head"]["backup"]["archive"] == f"sha256:{'ab' * 32}"
    assert document["entries"] == [
        {
            "item": "secrets/shop/tls",
            "target": "secrets/shop/tls",
            "wave": 0,
            "action": "update",
            "digest": f"sha256:{'cd' * 32}",
            "seen": {"uid": "8d", "resourceVersion": "41"},
            "secondWrite": True,
        }
    ]
    json.dumps(document)


def test_the_summary_counts():
    """The numbers name every action and the second writes."""
    plan = _plan(_entry(PlanAction.CREATE, second_write=True), _entry(PlanAction.SKIP))

    assert plan.numbers() == "1 create, 1 skip; 1 second writes for managedFields"
    assert "writes to https://10.0.0.1:6443" in plan.summary()
    assert not plan.is_empty


def test_the_summary_names_conflicts():
    """Who is asked to agree reads the first conflicts and unknowns, each with its reason."""
    conflicts = [
        _entry(PlanAction.CONFLICT, _ref(name=f"c{n}"), reason=f"why {n}")
        for n in range(9)
    ]
    unknown = [
        _entry(PlanAction.UNKNOWN, _ref(name=f"u{n}"), reason="forbidden")
        for n in range(3)
    ]
    plan = _plan(*conflicts, _entry(PlanAction.CREATE), *unknown)

    text = plan.summary()

    assert "conflict  secrets/shop/c8: why 8" in text
    assert "unknown   secrets/shop/u0: forbidden" in text
    assert "secrets/shop/u1" not in text
    assert "and 2 more" in text
    assert "create" not in text.replace(plan.numbers(), "")


CHANGE = Difference(path="spec.replicas", op="change", left=3, right=0)


def test_the_summary_lists_every_update():
    """Who is asked to agree reads each change to what exists, removals too."""
    gone = Difference(path="data.b", op="remove", left="x")
    updates = [
        _entry(PlanAction.UPDATE, _ref(name=f"u{n}"), differences=(CHANGE, gone))
        for n in range(30)
    ]

    lines = _plan(_entry(PlanAction.CREATE), *updates).summary().splitlines()

    assert lines.count("            ~ spec.replicas: 3 -> 0") == 30
    assert lines.count("            - data.b: 'x'") == 30
    assert "update    secrets/shop/u29" in lines
    assert "create    secrets/shop/tls" not in lines


def test_what_others_changed_is_printed():
    """What an item that is created is made to be stands below its line, as of updates."""
    changed = [
        _entry(PlanAction.CREATE, _ref(name=f"c{n}"), changes=(CHANGE,))
        for n in range(12)
    ]
    plan = _plan(*changed)

    assert str(plan).count("~ spec.replicas: 3 -> 0") == 12
    assert plan.summary().count("~ spec.replicas: 3 -> 0") == 10
    assert "          and 2 more" in plan.summary().splitlines()


def test_the_head_says_what_was_asked_for():
    """A saved plan tells its mapping, policies and transforms to whoever approves it."""
    spec = RestoreSpec(
        backup_name="shop-1",
        namespace_mapping={"shop": "shop-copy"},
        existing_resource_policy="update",
    )
    options = RestoreOptions(transforms=[quiesce])
    plan = attrs.evolve(_plan(), spec=spec, options=options)

    document = json.dumps(plan.to_json())
    saved = RestorePlan.from_json(document, transforms=[quiesce])

    for text in (str(saved), saved.summary()):
        assert "asked     namespaces shop -> shop-copy" in text.splitlines()
        assert "existing resource policy update; transforms kbackup.restore.q" in text


def test_the_head_says_when_the_plan_was_made():
    """A saved plan tells its time: the age of its backup is that of then."""
    made = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    plan = attrs.evolve(_plan(), head=attrs.evolve(HEAD, made_at=made))

    saved = RestorePlan.from_json(json.dumps(plan.to_json()))

    assert "of backup shop-1, planned at 2026-01-02T03:04:05Z" in saved.summary()
    assert "3h0m1s old then" in saved.summary()
    assert saved.head.made_at == made


def test_origin_unknown():
    """A backup that does not name its cluster is said to be of an unnamed one."""
    plan = attrs.evolve(_plan(), head=attrs.evolve(HEAD, same_cluster=None))

    assert "a cluster that it does not name" in str(plan)


def test_target_unknown():
    """Where it is this cluster's uid that may not be read, the backup's is named."""
    unread = {"cluster_uid": "", "same_cluster": None}
    head = attrs.evolve(HEAD, **unread, backup_cluster_uid="5f0d3a52")
    plan = attrs.evolve(_plan(), head=head)

    saved = RestorePlan.from_json(json.dumps(plan.to_json()))

    for each in (plan, saved):
        assert "cluster   uid not readable" in str(each)
        assert "backup    of cluster 5f0d3a52, which may be this one, " in str(each)
