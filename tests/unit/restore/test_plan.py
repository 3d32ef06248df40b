"""A plan is a value that can be read, printed and saved, without any secret."""

import json
from datetime import UTC, datetime

import attrs
import pytest
from plan_samples import HEAD, entry_of, plan_of, ref_of

from kbackup._kits.differences import Difference
from kbackup._kits.normalise import differences
from kbackup.models import (
    RestoreOptions,
    RestoreSpec,
)
from kbackup.restore import (
    ClaimLine,
    ClaimVerdict,
    Notice,
    PlanAction,
    Precondition,
    RestorePlan,
    quiesce,
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
        "          2 warnings, 1 error",
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
    assert plan_of(*(entry_of(action) for action in actions)).exit_code == code


def test_the_head_says_where_it_writes():
    """Server, context, cluster, version, origin, phase, age and gaps are told."""
    text = str(plan_of())

    for words in (
        "https://10.0.0.1:6443",
        "context prod",
        "v1.20.2",
        "c1",
        "another cluster",
        "PartiallyFailed",
        "3h0m1s old",
        "2 warnings, 1 error",
        "not covered: pods in shop: forbidden",
    ):
        assert words in text


def test_lines_tell_action_target_and_reason():
    """A line names the item, where it goes, why, and what is not confined."""
    text = str(
        plan_of(
            entry_of(PlanAction.CREATE, target=ref_of(namespace="copy"), reason="why"),
            entry_of(
                PlanAction.UPDATE,
                ref_of("clusterroles", "view", ""),
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
        entry_of(PlanAction.SKIP, ref_of("events", f"e{n}"), reason="theirs")
        for n in range(1000)
    ]

    text = str(plan_of(*events))

    assert "skip      1000 events in shop: theirs" in text
    assert "e17" not in text


def test_many_unchanged_objects_are_one_line():
    """A namespace that is there already is not listed; a few of its objects are."""
    maps = [
        entry_of(PlanAction.UNCHANGED, ref_of("configmaps", f"c{n}"), reason="")
        for n in range(21)
    ]

    assert "unchanged 21 configmaps in shop" in str(plan_of(*maps))
    assert "c17" not in str(plan_of(*maps))
    assert "unchanged configmaps/shop/c17" in str(plan_of(*maps[:20]))


def test_notices_and_claims_are_printed():
    """What reaches further and what becomes of the claims is told."""
    line = ClaimLine(
        claim=ref_of("persistentvolumeclaims", "data"),
        target=ref_of("persistentvolumeclaims", "data"),
        verdict=ClaimVerdict.NONE,
        text="data: none in this backup, a new empty volume",
        problems=("storage class x not in target",),
    )
    notice = Notice(what="grants rights", items=tuple(ref_of() for _ in range(7)))

    text = str(plan_of(claims=(line,), notices=(notice,)))

    assert "shop/data: data: none in this backup, a new empty volume; storage" in text
    assert "! grants rights: secrets/shop/tls" in text
    assert "and 2 more" in text


def test_no_value_of_a_secret_comes_out():
    """Neither text, JSON nor repr of a plan holds a Secret's value."""
    old = {"apiVersion": "v1", "kind": "Secret", "data": {"password": "b2xk"}}
    new = {"apiVersion": "v1", "kind": "Secret", "data": {"password": "bmV3"}}
    entry = entry_of(PlanAction.UPDATE, differences=tuple(differences(old, new)))
    plan = plan_of(entry)

    everything = f"{plan} {plan!r} {entry!r} {json.dumps(plan.to_json())}"
    everything += plan._repr_html_()

    assert "b2xk" not in everything
    assert "bmV3" not in everything
    assert "data.password: differs" in str(plan)


def test_a_plan_in_a_notebook():
    """What stands in the way comes first, then changes with fields, then the rest."""
    claims = [
        ClaimLine(
            claim=ref_of("persistentvolumeclaims", name),
            target=ref_of("persistentvolumeclaims", name),
            verdict=ClaimVerdict.NONE,
            text="a new empty volume",
            problems=problems,
        )
        for name, problems in (("fine", ()), ("stuck", ("no class x",)))
    ]
    change = Difference(path="data.<b>", op="change", left="<i>", right=2)
    plan = plan_of(
        entry_of(PlanAction.CREATE, ref_of(name="new"), reason="<script>x</script>"),
        entry_of(PlanAction.UPDATE, ref_of(name="<img>"), differences=(change,)),
        entry_of(PlanAction.CONFLICT, ref_of(name="clash"), reason="owned elsewhere"),
        claims=claims,
        notices=[Notice(what="grants <rights>")],
    )

    html = plan._repr_html_()

    found = [html.index(text) for text in ("clash<", "/&lt;img&gt;<", "/new<", "stuck")]
    assert found == sorted(found)
    assert html.index("stuck") < html.index("fine")
    assert "~ data.&lt;b&gt;: &#x27;&lt;i&gt;&#x27; -&gt; 2" in html
    assert "a new empty volume; no class x" in html
    assert "! grants &lt;rights&gt;" in html
    assert not any(tag in html for tag in ("<script", "<img", "<b>", "<i>", "<rights"))


def test_json_has_identity_and_no_bodies():
    """A saved plan names digests and what was seen of each object."""
    entry = entry_of(
        PlanAction.UPDATE,
        digest="cd" * 32,
        precondition=Precondition("8d", "41"),
        second_write=True,
    )

    document = plan_of(entry).to_json()

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
    plan = plan_of(
        entry_of(PlanAction.CREATE, second_write=True), entry_of(PlanAction.SKIP)
    )

    assert plan.numbers() == "1 create, 1 skip; 1 second writes for managedFields"
    assert "writes to https://10.0.0.1:6443" in plan.summary()
    assert not plan.is_empty


def test_the_summary_names_conflicts():
    """Who is asked to agree reads the first conflicts and unknowns, each with its reason."""
    conflicts = [
        entry_of(PlanAction.CONFLICT, ref_of(name=f"c{n}"), reason=f"why {n}")
        for n in range(9)
    ]
    unknown = [
        entry_of(PlanAction.UNKNOWN, ref_of(name=f"u{n}"), reason="forbidden")
        for n in range(3)
    ]
    plan = plan_of(*conflicts, entry_of(PlanAction.CREATE), *unknown)

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
        entry_of(PlanAction.UPDATE, ref_of(name=f"u{n}"), differences=(CHANGE, gone))
        for n in range(30)
    ]

    lines = plan_of(entry_of(PlanAction.CREATE), *updates).summary().splitlines()

    assert lines.count("            ~ spec.replicas: 3 -> 0") == 30
    assert lines.count("            - data.b: 'x'") == 30
    assert "update    secrets/shop/u29" in lines
    assert "create    secrets/shop/tls" not in lines


def test_what_others_changed_is_printed():
    """What an item that is created is made to be stands below its line, as of updates."""
    changed = [
        entry_of(PlanAction.CREATE, ref_of(name=f"c{n}"), changes=(CHANGE,))
        for n in range(12)
    ]
    plan = plan_of(*changed)

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
    plan = attrs.evolve(plan_of(), spec=spec, options=options)

    document = json.dumps(plan.to_json())
    saved = RestorePlan.from_json(document, transforms=[quiesce])

    for text in (str(saved), saved.summary()):
        assert "asked     namespaces shop -> shop-copy" in text.splitlines()
        assert "existing resource policy update; transforms kbackup.restore.q" in text


@pytest.mark.parametrize("namespace", ["copy", "co\rpy"])
def test_a_renamed_target_stays_on_its_line(namespace):
    """A name that a transform gave cannot pass for a line of the plan."""
    target = ref_of(
        name="tls\ncreate    secrets/shop/rogue\x1b[2K", namespace=namespace
    )
    plan = plan_of(entry_of(PlanAction.CREATE, target=target))

    for text in (str(plan), str(plan.entries[0])):
        (line,) = [each for each in text.splitlines() if "rogue" in each]
        assert line.isprintable()
        assert line.strip().startswith("create    secrets/shop/tls -> co")


def test_the_head_says_when_the_plan_was_made():
    """A saved plan tells its time: the age of its backup is that of then."""
    made = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    plan = attrs.evolve(plan_of(), head=attrs.evolve(HEAD, made_at=made))

    saved = RestorePlan.from_json(json.dumps(plan.to_json()))

    assert "of backup shop-1, planned at 2026-01-02T03:04:05Z" in saved.summary()
    assert "3h0m1s old then" in saved.summary()
    assert saved.head.made_at == made


def test_origin_unknown():
    """A backup that does not name its cluster is said to be of an unnamed one."""
    plan = attrs.evolve(plan_of(), head=attrs.evolve(HEAD, same_cluster=None))

    assert "a cluster that it does not name" in str(plan)


def test_target_unknown():
    """Where it is this cluster's uid that may not be read, the backup's is named."""
    unread = {"cluster_uid": "", "same_cluster": None}
    head = attrs.evolve(HEAD, **unread, backup_cluster_uid="5f0d3a52")
    plan = attrs.evolve(plan_of(), head=head)

    saved = RestorePlan.from_json(json.dumps(plan.to_json()))

    for each in (plan, saved):
        assert "cluster   uid not readable" in str(each)
        assert "backup    of cluster 5f0d3a52, which may be this one, " in str(each)
