"""Blocks of items: what is backed up together, in which order, and what goes wrong."""

import threading
import time
from datetime import timedelta
from itertools import pairwise

import pytest
from pod_samples import FROZEN, bound_claim, pod

from kbackup import actions
from kbackup.backup._item_blocks import plan_blocks
from kbackup.backup._items import Candidate, Member
from kbackup.backup._ledger import Tally
from kbackup.models import (
    BackupHooks,
    BackupOptions,
    BackupPhase,
    BackupResourceHook,
    BackupResourceHookSpec,
    BackupSpec,
    EngineSettings,
    ExecHook,
    GroupResource,
    LabelSelector,
    ResourceIdentifier,
    ResourceSelector,
)
from kbackup.plugins import PluginManager
from offered_actions import plugins_offering

PODS, MAPS = GroupResource("", "pods"), GroupResource("", "configmaps")


class Ties:
    """An item block action whose answers are the test's, by the item's name."""

    name = "example.com/ties"
    applies_to = ResourceSelector(included_resources=("configmaps",))

    def __init__(self):
        self.answers = {}
        self.asked = []

    def related_items(self, given):
        """Answer as the test says."""
        self.asked.append(given.identifier.name)
        answer = self.answers.get(given.identifier.name, ())
        return answer(given) if callable(answer) else answer


@pytest.fixture
def blocks(spied):
    """A scene with both kinds of actions, whose commands are noted and answered."""
    spied.ties = Ties()
    spied.plugins = plugins_offering(
        actions, backup=[spied.spy], item_blocks=[spied.ties]
    )
    return spied


def load_pods(scene, pods, *, annotations=None, **labels):
    """Put running Pods into the cluster that mount claims: {name: claims}."""
    how = {"annotations": annotations, "labels": labels, "spec": {"nodeName": "node-1"}}
    for name, claims in pods.items():
        scene.load(pod(scene, name, *claims, **how))
        scene.set_phase("pods", name, "Running")


def load_frozen(scene, pods, **labels):
    """Alike, with a hook before and one afterwards."""
    load_pods(scene, pods, annotations=FROZEN, **labels)


def load_claims(scene, *names, **labels):
    """Put bound claims and their volumes into the cluster."""
    for name in names:
        scene.load(*bound_claim(scene, name, mode="ReadWriteMany", labels=labels))
        scene.set_phase("persistentvolumeclaims", name, "Bound")


def load_maps(scene, *names, **labels):
    """Put ConfigMaps into the cluster."""
    metadata = {"labels": labels}
    scene.load(*(scene.made("ConfigMap", n, "shop", metadata=metadata) for n in names))


def config_map(name):
    """A ConfigMap by its name."""
    return ResourceIdentifier(MAPS, "shop", name)


def done(scene):
    """What was done, but for what begins."""
    noted = [each for each in scene.seen if not each.startswith("begin")]
    return [each.removeprefix("execute ") for each in noted]


def told(results):
    """The errors and the warnings of results, as text."""
    return [str(each) for each in (*results.errors, *results.warnings)]


# --- Pods that share a claim -----------------------------------------------------------


def test_pods_that_share_a_claim_are_frozen_together(blocks):
    """All pre hooks, then Pods, claim and volume as they lead to each other, then all post."""
    load_frozen(blocks, {"a": ["data"], "b": ["own", "data"]})
    load_claims(blocks, "data", "own")

    result = blocks.back_up()

    assert done(blocks) == [
        *("freeze a", "freeze b"),
        *("a", "data", "pv-data", "b", "own", "pv-own"),
        *("thaw a", "thaw b"),
    ]
    assert result.results.errors == ()
    assert blocks.sums_hold(result)
    lists = {str(each.resource): each for each in result.report.lists}
    assert (lists["pods"].stored, lists["persistentvolumeclaims"].stored) == (2, 2)


def test_a_pod_without_hooks_that_shares_a_claim(blocks):
    """It is stored while the one that has hooks is frozen, once, and its list counts it."""
    load_frozen(blocks, {"db": ["data"]})
    load_pods(blocks, {"a": ["data"], "z": ["data"], "other": []})
    load_claims(blocks, "data")

    result = blocks.back_up()

    assert done(blocks)[:7] == [
        *("freeze db", "db", "data", "pv-data"),
        *("a", "z", "thaw db"),
    ]
    (pods,) = [each for each in result.report.lists if str(each.resource) == "pods"]
    assert (pods.listed, pods.stored) == (4, 4)
    assert blocks.sums_hold(result)


def test_pods_that_share_nothing_are_apart(blocks):
    """One block after the other, where only one may be backed up at a time."""
    load_frozen(blocks, {"a": ["a"], "b": ["b"]})
    load_claims(blocks, "a", "b")

    blocks.engine(settings=EngineSettings(item_block_worker_count=1)).run(
        "b", BackupSpec()
    )

    assert done(blocks) == [
        *("freeze a", "a", "a", "pv-a", "thaw a"),
        *("freeze b", "b", "b", "pv-b", "thaw b"),
    ]


def test_a_pod_that_does_not_run_is_not_of_the_block(blocks):
    """As with Velero: only running Pods write to a claim."""
    load_frozen(blocks, {"a": ["data"]})
    load_pods(blocks, {"ended": ["data"]})
    blocks.set_phase("pods", "ended", "Succeeded")
    load_claims(blocks, "data")

    blocks.back_up()

    assert done(blocks) == ["freeze a", "a", "data", "pv-data", "thaw a", "ended"]


def test_claims_of_one_volume_group_are_of_one_block(blocks):
    """With the Pods that mount them."""
    load_frozen(blocks, {"a": ["one"], "b": ["two"]})
    load_claims(blocks, "one", "two", **{"velero.io/volume-group": "db"})

    blocks.back_up()

    assert done(blocks)[:2] == ["freeze a", "freeze b"]
    assert done(blocks)[-2:] == ["thaw a", "thaw b"]


def test_a_failing_hook_costs_what_its_pod_shares(blocks):
    """Nothing begins on its claims; on those of the other Pod of the block it does."""
    load_frozen(blocks, {"a": ["data", "a"], "b": ["data", "b"]})
    load_claims(blocks, "data", "a", "b")
    blocks.answers["freeze"] = lambda call: int(call.pod == "a")

    result = blocks.back_up()

    assert len(result.results.errors) == 1
    assert {each for each in blocks.seen if each.startswith("begin")} == {
        *("begin b", "begin pv-b"),
    }
    assert done(blocks)[-2:] == ["thaw a", "thaw b"]
    assert {"pods/shop/a", "persistentvolumeclaims/shop/data"} <= set(blocks.stored())


def test_what_a_failing_hook_costs_beyond_the_block(blocks):
    """Nothing begins on what both Pods ask for, and on the other's own things it does."""
    load_frozen(blocks, {"a": ["data"], "b": ["data"]})
    load_claims(blocks, "data")
    load_maps(blocks, "both", "own")
    blocks.spy.asks = {
        "a": (config_map("both"),),
        "b": (config_map("own"), config_map("both")),
    }
    blocks.answers["freeze"] = lambda call: int(call.pod == "a")

    blocks.back_up()

    assert {"configmaps/shop/both", "configmaps/shop/own"} <= set(blocks.stored())
    assert [each for each in blocks.seen if each.startswith("begin")] == [
        *("begin b", "begin own"),
    ]
    assert done(blocks)[-2:] == ["thaw a", "thaw b"]


def test_a_block_that_a_selection_leads_to(blocks):
    """With a label selector the Pod that shares the claim comes along, hooks and all."""
    load_pods(blocks, {"web": ["data"]}, app="web")
    load_frozen(blocks, {"db": ["data"]}, app="db")
    load_claims(blocks, "data")

    plan = blocks.engine().plan(
        BackupSpec(label_selector=LabelSelector.parse("app=web"))
    )
    blocks.seen.clear()
    result = blocks.back_up(label_selector=LabelSelector.parse("app=web"))

    assert done(blocks) == ["freeze db", "web", "data", "pv-data", "db", "thaw db"]
    assert (plan.total, plan.hooked_pods) == (len(blocks.stored()), 1)
    assert result.backup.status.progress.items_backed_up == len(blocks.stored())


@pytest.mark.parametrize(
    "how",
    [
        {"where": True},
        {"spec": {"excluded_resources": ["pods"]}},
        {"label": {"velero.io/exclude-from-backup": "true"}},
    ],
    ids=["where", "type", "label"],
)
def test_what_is_left_out_is_in_no_block(blocks, how):
    """No command is run in a Pod that the filters leave out, whatever it shares."""
    load_claims(blocks, "data", app="web")
    load_frozen(blocks, {"db": ["data"]}, **how.get("label", {}))
    load_pods(blocks, {"web": ["data"]}, app="web")
    options = BackupOptions()
    if "where" in how:
        options = BackupOptions(where=lambda item: item["metadata"]["name"] != "db")

    result = blocks.back_up(
        options=options,
        label_selector=LabelSelector.parse("app=web"),
        **how.get("spec", {}),
    )

    assert "freeze db" not in blocks.seen
    assert "pods/shop/db" not in blocks.stored()
    assert "persistentvolumes/pv-data" in blocks.stored()
    assert blocks.sums_hold(result)


def test_ordered_pods_keep_their_order(blocks):
    """The first one's block comes first, and brings the other where they share a claim."""
    load_frozen(blocks, {"a": ["data"], "b": ["data"], "c": []})
    load_claims(blocks, "data")

    result = blocks.back_up(ordered_resources={"pods": "shop/c,shop/b,shop/a"})

    assert done(blocks) == [
        *("freeze c", "c", "thaw c"),
        *("freeze b", "freeze a", "b", "data", "pv-data", "a", "thaw b", "thaw a"),
    ]
    assert not any("orderedResources" in each for each in told(result.results))
    assert blocks.sums_hold(result)


def test_pods_that_may_not_be_listed(blocks):
    """One warning for a namespace, and the claims are stored without them."""
    load_pods(blocks, {"a": ["data"], "b": ["more"]})
    load_claims(blocks, "data", "more", app="yes")
    blocks.server.faults.fail(verb="list", resource="pods", status=403, times=None)

    result = blocks.back_up(
        included_namespaces=["shop"], label_selector=LabelSelector.parse("app=yes")
    )

    warnings = [x for x in result.results.warnings if "without the Pods" in x.message]
    assert [(each.namespace, each.plugin) for each in warnings] == [
        ("shop", "velero.io/pvc")
    ]
    assert result.results.errors == ()
    assert {"persistentvolumeclaims/shop/data", "persistentvolumes/pv-more"} <= set(
        blocks.stored()
    )


def test_a_function_that_fails_on_what_a_block_brings(blocks):
    """It costs the item, as for any other, and the list of its type counts it."""
    load_frozen(blocks, {"db": ["data"]})
    load_claims(blocks, "data")

    def where(item):
        return item["metadata"]["name"] != "data" or 1 / 0

    result = blocks.back_up(options=BackupOptions(where=where))

    (error,) = result.results.errors
    assert error.item.name == "data"
    assert "persistentvolumeclaims/shop/data" not in blocks.stored()
    assert done(blocks)[:3] == ["freeze db", "db", "thaw db"]
    lists = {str(each.resource): each for each in result.report.lists}
    claims = lists["persistentvolumeclaims"]
    assert (claims.listed, claims.failed) == (1, 1)


# --- actions of plugins ----------------------------------------------------------------


def test_the_order_of_a_block(blocks):
    """What an item is related to follows it, with all that this leads to."""
    load_maps(blocks, "a", "b", "c", "d", "e")
    blocks.ties.answers = {
        "a": (config_map("d"), config_map("c")),
        "d": (config_map("e"),),
    }

    result = blocks.back_up()

    assert done(blocks) == ["a", "d", "e", "c", "b"]
    assert blocks.sums_hold(result)


def test_hooks_reached_from_other_items(blocks):
    """A block that a ConfigMap begins is stored while its Pod is frozen."""
    load_maps(blocks, "a", app="yes")
    load_frozen(blocks, {"db": []}, app="no")
    blocks.ties.answers = {"a": (ResourceIdentifier(PODS, "shop", "db"),)}

    blocks.back_up(label_selector=LabelSelector.parse("app=yes"))

    assert done(blocks) == ["freeze db", "a", "db", "thaw db"]


@pytest.mark.parametrize(
    ("answer", "fact"),
    [
        (lambda _: 1 / 0, "ZeroDivisionError"),
        (lambda _: None, "it returned a NoneType as the related items"),
        (lambda _: ["a"], "it returned a str as a related item"),
    ],
    ids=["raises", "none", "text"],
)
def test_an_action_that_fails(blocks, answer, fact):
    """It is an error with item and plugin; the item and the rest of its block are stored."""
    load_maps(blocks, "a", "b")
    blocks.ties.answers = {"a": answer}

    result = blocks.back_up()

    (error,) = result.results.errors
    assert fact in str(error)
    assert (error.item, error.plugin) == (config_map("a"), Ties.name)
    assert result.backup.status.phase is BackupPhase.PARTIALLY_FAILED
    assert {"configmaps/shop/a", "configmaps/shop/b"} <= set(blocks.stored())


def test_an_action_that_hangs(blocks):
    """It is given up after its time, not asked again, and nothing is lost."""
    load_maps(blocks, "a", "b", "c")
    hang = threading.Event()
    blocks.ties.answers = {"a": lambda _: hang.wait(60)}
    settings = EngineSettings(action_timeout=timedelta(seconds=0.3))

    started = time.monotonic()
    result = blocks.engine(settings=settings).run("b", BackupSpec())
    hang.set()

    assert time.monotonic() - started < 30
    errors = [str(each) for each in result.results.errors]
    assert any("configmaps/shop/a" in x and "did not come back" in x for x in errors)
    assert any("was not asked about 2 items" in each for each in errors)
    assert blocks.ties.asked == ["a"]
    assert {f"configmaps/shop/{name}" for name in "abc"} <= set(blocks.stored())


def test_an_action_that_changes_what_it_is_given(blocks):
    """What is stored is what the cluster has."""
    load_maps(blocks, "a")
    blocks.ties.answers = {"a": lambda given: given.item.update(data={"k": "v"}) or ()}

    blocks.back_up()

    assert "data" not in blocks.item("configmaps/shop/a")


def test_items_that_name_themselves_and_each_other(blocks):
    """A circle ends, and each item of it is stored once."""
    load_maps(blocks, "a", "b", "c")
    blocks.ties.answers = {
        "a": (config_map("a"), config_map("b"), config_map("b")),
        "b": (config_map("c"), config_map("b")),
        "c": (config_map("a"),),
    }

    result = blocks.back_up()

    assert done(blocks) == ["a", "b", "c"]
    assert blocks.ties.asked == ["a", "b", "c"]
    assert result.results.errors == ()
    assert blocks.sums_hold(result)


def test_items_that_are_not_there(blocks):
    """A missing item, a missing type, a namespace that is not selected: nothing is lost."""
    load_maps(blocks, "a")
    blocks.load(blocks.made("ConfigMap", "x", "other"))
    widget = ResourceIdentifier(GroupResource("example.com", "widgets"), "shop", "w")
    elsewhere = ResourceIdentifier(MAPS, "other", "x")
    blocks.ties.answers = {"a": (config_map("no"), widget, elsewhere)}

    result = blocks.back_up(included_namespaces=["shop"])

    by_item = {x.item: x.message for x in result.results.warnings if x.item is not None}
    assert "does not exist" in by_item[config_map("no")]
    assert "serves no such type" in by_item[widget]
    asker = "asked for by action example.com/ties for configmaps/shop/a, "
    assert by_item[config_map("no")].startswith(asker)
    assert by_item[widget].startswith(asker)
    assert result.results.errors == ()
    maps = [each for each in blocks.stored() if each.startswith("configmaps")]
    assert maps == ["configmaps/shop/a"]


def test_a_related_item_that_cannot_be_read(blocks):
    """It is read again after all lists, and an error of its own if that fails too."""
    load_maps(blocks, "a", app="yes")
    load_maps(blocks, "b", "c")
    blocks.ties.answers = {"a": (config_map("b"),)}
    blocks.server.faults.fail(verb="get", resource="configmaps", status=403)
    selector = LabelSelector.parse("app=yes")

    result = blocks.back_up(label_selector=selector)

    assert result.results.errors == ()
    assert "configmaps/shop/b" in blocks.stored()


def test_a_thousand_related_items(blocks):
    """However many one item names, and however long a chain is, each is stored once."""
    names = [f"c{n:04}" for n in range(1500)]
    load_maps(blocks, *names)
    following = dict(pairwise(names[1000:]))
    blocks.ties.answers = {each: (config_map(following[each]),) for each in following}
    blocks.ties.answers[names[0]] = tuple(map(config_map, names[:1001]))

    result = blocks.back_up()

    assert [each for each in done(blocks) if each != "c"] == names
    assert blocks.sums_hold(result)
    assert result.results.errors == ()


def test_what_was_stored_is_not_read_again(blocks, monkeypatch):
    """However many blocks come to it."""
    load_maps(blocks, "a", "b", "c", app="yes")
    load_maps(blocks, "shared")
    blocks.ties.answers = dict.fromkeys("abc", (config_map("shared"),))
    reads, get = [], type(blocks.cluster).get
    monkeypatch.setattr(
        type(blocks.cluster), "get", lambda *x, **y: reads.append(x[2]) or get(*x, **y)
    )

    blocks.back_up(
        label_selector=LabelSelector.parse("app=yes"),
        ordered_resources={"configmaps": "shop/b,shop/a"},
    )

    assert reads.count("shared") == 1
    assert done(blocks) == ["b", "shared", "a", "c"]


def test_a_chain_that_no_list_has(blocks):
    """It is followed to its end by single reads, whatever its length."""
    names = [f"c{n:03}" for n in range(60)]
    load_maps(blocks, *names)
    load_maps(blocks, "start", app="yes")
    chain = ["start", *names]
    blocks.ties.answers = {
        each: (config_map(after),) for each, after in zip(chain, names, strict=False)
    }

    blocks.back_up(label_selector=LabelSelector.parse("app=yes"))

    assert done(blocks) == chain


def test_a_plan_has_the_blocks_too(blocks):
    """What a plan counts is what the backup then stores."""
    load_maps(blocks, "a", app="yes")
    load_maps(blocks, "b", "c")
    blocks.ties.answers = {"a": (config_map("b"),)}
    spec = BackupSpec(label_selector=LabelSelector.parse("app=yes"))

    plan = blocks.engine().plan(spec)
    blocks.engine().run("b", spec)

    assert plan.total == len(blocks.stored())
    assert "configmaps/shop/b" in blocks.stored()


# --- how many at once ------------------------------------------------------------------


def test_no_more_blocks_at_once_than_workers(blocks):
    """The setting counts blocks, whatever the number of requests in flight."""
    busy, most = set(), []

    def freeze(call):
        busy.add(call.pod)
        most.append(len(busy))

    blocks.answers = {"freeze": freeze, "thaw": lambda call: busy.discard(call.pod)}
    load_frozen(blocks, {f"db-{n}": [] for n in range(6)})

    settings = EngineSettings(item_block_worker_count=2)
    blocks.engine(settings=settings).run("b", BackupSpec())

    assert max(most) <= 2
    assert not busy


def test_actions_of_several_blocks_run_side_by_side(blocks):
    """None keeps the Pods of another block frozen: four that wait for each other all end."""
    load_frozen(blocks, {f"db-{n}": [] for n in range(4)})
    load_maps(blocks, *(f"map-{n}" for n in range(4)))
    pods, maps = threading.Barrier(4, timeout=30), threading.Barrier(4, timeout=30)
    execute = blocks.spy.execute

    def wait(given):
        kind, name = given.item["kind"], given.identifier.name
        (pods if kind == "Pod" else maps).wait()
        blocks.spy.asks[name] = (config_map(f"map-{name[-1]}"),)
        return execute(given)

    blocks.spy.execute = wait

    result = blocks.back_up()

    assert result.results.errors == ()
    assert blocks.sums_hold(result)
    assert {f"configmaps/shop/map-{n}" for n in range(4)} <= set(blocks.stored())


def test_without_hooks_and_plugins_nobody_is_asked(scene, monkeypatch):
    """A plain backup reads no claim and lists no Pods for the sake of blocks."""
    scene.plugins = PluginManager(plugins=[actions])
    load_pods(scene, {"a": ["data"], "b": ["data"]})
    load_claims(scene, "data")
    reads = []
    get = type(scene.cluster).get
    monkeypatch.setattr(
        type(scene.cluster), "get", lambda *x, **y: reads.append(x[1]) or get(*x, **y)
    )

    scene.back_up()

    assert not {"pods", "persistentvolumeclaims"} & {str(each) for each in reads}


# --- the decision ----------------------------------------------------------------------


def member(name):
    """A member with nothing but its name."""
    candidate = Candidate(identifier=config_map(name), body=b"", item={}, labels={})
    return Member(resource=None, candidate=candidate, tally=Tally())


def planned(roots, related):
    """The names in the blocks; *related* by names of one letter."""
    ties = {config_map(x): tuple(map(config_map, y)) for x, y in related.items()}
    names = {*roots, *related}
    members = {config_map(name): member(name) for name in names}
    blocks = plan_blocks(map(config_map, roots), members, ties)
    return ["".join(x.identifier.name for x in block.members) for block in blocks]


@pytest.mark.parametrize(
    ("roots", "related", "expected"),
    [
        ("ab", {}, ["a", "b"]),
        ("ab", {"a": "b", "b": "a"}, ["ab"]),
        ("ab", {"a": "x", "b": "x", "x": ""}, ["ax", "b"]),
        ("ab", {"b": "a"}, ["a", "b"]),
        ("a", {"a": "bc", "b": "d", "c": "", "d": ""}, ["abdc"]),
        ("a", {"a": "bc", "b": "c", "c": ""}, ["abc"]),
        ("a", {"a": "z"}, ["a"]),
    ],
    ids=["apart", "circle", "first", "behind", "depth", "once", "absent"],
)
def test_which_block_an_item_is_in(roots, related, expected):
    """The first that comes to it, going into the depth; as Velero."""
    assert planned(roots, related) == expected


def spec_hooks(command):
    """A pre hook for all Pods."""
    hook = BackupResourceHook(exec=ExecHook(command=[command]))
    return BackupHooks(resources=[BackupResourceHookSpec(name="all", pre=[hook])])


def test_hooks_of_the_specification(blocks):
    """They are run around the block as those of annotations are."""
    load_pods(blocks, {"a": ["data"], "b": ["data"]})
    load_claims(blocks, "data")

    blocks.back_up(hooks=spec_hooks("sync"))

    assert done(blocks) == ["sync a", "sync b", "a", "data", "pv-data", "b"]


def test_a_pod_on_an_earlier_page(blocks):
    """Pods that share a claim are one block also where the server's page ended between."""
    load_pods(blocks, {f"a-{n:03}": ["data"] for n in range(120)})
    load_frozen(blocks, {"db": ["data"]})
    load_claims(blocks, "data")

    result = blocks.back_up()

    lists = {str(each.resource): each for each in result.report.lists}
    assert lists["pods"].listed == 121
    assert (done(blocks)[0], done(blocks)[-1]) == ("freeze db", "thaw db")
    assert blocks.sums_hold(result)


@pytest.mark.parametrize("may_list", [True, False])
def test_many_related_items_are_one_request(blocks, monkeypatch, may_list):
    """Of one type they are picked from its list; who may not list reads each of them."""
    names = [f"c{n:03}" for n in range(80)]
    load_maps(blocks, *names)
    load_pods(blocks, {"web": []}, app="yes")
    blocks.ties.applies_to = ResourceSelector(included_resources=("pods",))
    blocks.ties.answers = {"web": tuple(map(config_map, [*names, "no"]))}
    reads, get = [], type(blocks.cluster).get
    monkeypatch.setattr(
        type(blocks.cluster), "get", lambda *x, **y: reads.append(x[2]) or get(*x, **y)
    )
    if not may_list:
        fault = {"verb": "list", "resource": "configmaps", "status": 403}
        blocks.server.faults.fail(**fault, times=None)

    result = blocks.back_up(
        included_namespaces=["shop"], label_selector=LabelSelector.parse("app=yes")
    )

    assert done(blocks) == ["web", *names]
    assert [x.item for x in result.results.warnings if x.item] == [config_map("no")]
    assert len(set(reads) & {*names, "no"}) == (1 if may_list else 81)
