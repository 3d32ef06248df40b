"""What a backup could not cover: each gap is named, and nothing else is lost."""

import copy
import threading
from datetime import timedelta

import pytest

from kbackup.cluster import DiscoveryFailure
from kbackup.errors import ClusterError, ClusterUnreachableError, ForbiddenError
from kbackup.models import (
    BackupOptions,
    BackupPhase,
    EngineSettings,
    GroupResource,
    ResourceIdentifier,
    ResourceSelector,
)
from kbackup.plugins import BackupOutput
from offered_actions import plugins_offering


def _gaps(scene):
    """Return what the manifest says is not covered, as pairs."""
    found = scene.store.manifest("b").not_covered
    return [(gap.resource, gap.namespace) for gap in found]


def test_a_type_that_fails_costs_only_itself(scene):
    """A LIST that keeps failing is an error by name; all other types are stored."""
    scene.load(scene.secret("s"), scene.made("ConfigMap", "c", "shop"))
    scene.server.faults.fail(verb="list", resource="configmaps", status=400, times=None)

    result = scene.back_up(included_namespaces=["shop"])

    assert "secrets/shop/s" in scene.stored()
    assert result.backup.status.phase is BackupPhase.PARTIALLY_FAILED
    assert result.exit_code == 3
    assert _gaps(scene) == [("configmaps", "shop")]
    assert "configmaps" in str(result.results.errors[0])


def test_a_group_that_discovery_cannot_read(scene):
    """A group behind a dead API server is an error unless nobody could want it."""
    scene.load(scene.secret("s"))
    scene.cluster = _with_failure(scene.cluster, "dead.example.com/v1")

    result = scene.back_up(included_namespaces=["shop"])
    named = scene.back_up(name="named", included_resources=["secrets"])

    assert result.backup.status.phase is BackupPhase.PARTIALLY_FAILED
    assert "dead.example.com/v1" in scene.store.manifest("b").not_covered[0].reason
    assert "secrets/shop/s" in scene.stored()
    assert named.backup.status.phase is BackupPhase.COMPLETED


def test_a_metrics_api_that_is_down(scene):
    """A group that holds nothing storable is no gap."""
    scene.load(scene.secret("s"))
    scene.cluster = _with_failure(scene.cluster, "metrics.k8s.io/v1beta1")

    result = scene.back_up(included_namespaces=["shop"])

    assert result.backup.status.phase is BackupPhase.COMPLETED
    assert _gaps(scene) == []


def test_forbidden_types_that_nobody_named(scene):
    """All types that may not be listed are told in one warning."""
    scene.load(scene.secret("s"), scene.made("ConfigMap", "c", "shop"))
    for name in ("secrets", "endpoints"):
        scene.server.faults.forbid(verb="list", resource=name)

    result = scene.back_up(included_namespaces=["shop"])

    assert result.backup.status.phase is BackupPhase.COMPLETED
    assert [str(each) for each in result.results.warnings] == [
        "2 types may not be read and are not in this backup: endpoints, secrets"
    ]
    assert sorted(_gaps(scene)) == [("endpoints", "shop"), ("secrets", "shop")]


@pytest.mark.parametrize(
    ("lenient", "phase", "errors"),
    [(False, BackupPhase.PARTIALLY_FAILED, 2), (True, BackupPhase.COMPLETED, 0)],
    ids=["error", "warning"],
)
def test_a_forbidden_type_of_the_whole_cluster(scene, lenient, phase, errors):
    """A backup of everything that lacks a type is not Completed, unless asked for."""
    scene.load(scene.secret("s"), scene.made("ConfigMap", "c", "shop"))
    for name in ("secrets", "endpoints"):
        scene.server.faults.forbid(verb="list", resource=name)

    result = scene.back_up(options=BackupOptions(skip_forbidden=lenient))

    assert result.backup.status.phase is phase
    assert len(result.results.errors) == errors
    assert sorted(_gaps(scene)) == [("endpoints", ""), ("secrets", "")]


def test_a_namespace_that_cannot_be_read_costs_only_its_object(scene):
    """One named Namespace that answers 500 is an error; all else is stored, its items too."""
    scene.load(scene.secret("s", "one"), scene.secret("t", "two"))
    scene.server.faults.fail(
        verb="get", resource="namespaces", name="two", status=500, times=None
    )

    result = scene.back_up(included_namespaces=["one", "two"])

    assert scene.stored() == ["namespaces/one", "secrets/one/s", "secrets/two/t"]
    assert result.backup.status.phase is BackupPhase.PARTIALLY_FAILED
    assert _gaps(scene) == [("namespaces", "two")]
    assert "two" in str(result.results.errors[0])


def test_a_named_namespace_that_its_label_keeps_out(scene):
    """Who names a namespace that is labelled out of backups is told, and the record says so."""
    excluded = {"velero.io/exclude-from-backup": "true"}
    scene.load(
        scene.made("Namespace", "shop", metadata={"labels": excluded}),
        scene.secret("s"),
        scene.secret("t", "other"),
    )

    result = scene.back_up(included_namespaces=["shop", "other"])

    assert scene.stored() == ["namespaces/other", "secrets/other/t"]
    assert [str(each) for each in result.results.warnings] == [
        (
            "namespace shop is labelled velero.io/exclude-from-backup=true: "
            "nothing of it is stored"
        )
    ]
    assert result.backup.spec.excluded_namespaces == ("shop",)
    assert scene.store.get("b").spec.excluded_namespaces == ("shop",)


def test_a_named_namespace_that_is_being_deleted(scene):
    """Who names a namespace that is going away is told that it is not stored."""
    finalizers = ["example.com/hold"]
    scene.load(
        scene.made("Namespace", "shop"),
        scene.made("ConfigMap", "c", "shop", metadata={"finalizers": finalizers}),
    )
    scene.cluster.delete(scene.cluster.discover().resolve("namespaces"), "shop")

    result = scene.back_up(included_namespaces=["shop"])

    told = [str(each) for each in result.results.warnings]
    [words] = [each for each in told if "namespace shop is Terminating" in each]
    assert "its Namespace object is not stored" in words
    assert "back it up again once it is made anew" in words


@pytest.mark.parametrize(
    ("lenient", "phase"),
    [(False, BackupPhase.PARTIALLY_FAILED), (True, BackupPhase.COMPLETED)],
    ids=["error", "warning"],
)
def test_a_forbidden_type_that_was_named(scene, lenient, phase):
    """A named type that may not be listed is an error, or a warning where asked for."""
    scene.load(scene.secret("s"), scene.made("ConfigMap", "c", "shop"))
    scene.server.faults.forbid(verb="list", resource="secrets")

    result = scene.back_up(
        included_namespaces=["shop"],
        included_resources=["secrets", "configmaps"],
        options=BackupOptions(skip_forbidden=lenient),
    )

    assert scene.stored() == ["configmaps/shop/c"]
    assert result.backup.status.phase is phase
    assert _gaps(scene) == [("secrets", "shop")]


def test_rights_in_one_namespace_are_enough(scene):
    """With a namespace named, nothing outside of it has to be readable."""
    scene.load_shop()
    cluster_wide = ("namespaces", "nodes", "clusterrolebindings", "apiservices")
    for name in (*cluster_wide, "persistentvolumes", "customresourcedefinitions"):
        scene.server.faults.forbid(resource=name)

    result = scene.back_up(included_namespaces=["shop"])

    assert "secrets/shop/payment" in scene.stored()
    assert result.backup.status.phase is BackupPhase.COMPLETED
    told = [str(each) for each in result.results.warnings]
    assert any("may not be read" in text and "namespaces" in text for text in told)


@pytest.mark.parametrize(
    ("lenient", "phase"),
    [(False, BackupPhase.PARTIALLY_FAILED), (True, BackupPhase.COMPLETED)],
    ids=["error", "warning"],
)
def test_a_named_namespace_that_perhaps_does_not_exist(scene, lenient, phase):
    """A slip in a name is told also where rights are too few to know that it is one."""
    scene.load(scene.secret("s"))
    scene.server.faults.forbid(resource="namespaces")

    result = scene.back_up(
        included_namespaces=["shop", "nonexist"],
        options=BackupOptions(skip_forbidden=lenient),
    )

    told = result.results.warnings if lenient else result.results.errors
    assert result.backup.status.phase is phase
    reason = "may not be read, and nothing was found in it: it may not exist"
    said = [str(each) for each in told if "nonexist" in str(each)]
    assert said == [f"namespace nonexist {reason}"]
    assert ("namespaces", "nonexist") in _gaps(scene)
    assert len(result.results.errors) == (0 if lenient else 1)


def test_what_is_left_out_of_a_namespace_shows_that_it_exists(scene):
    """A namespace that may not be read and holds something unwanted is no error."""
    excluded = {"velero.io/exclude-from-backup": "true"}
    scene.load(scene.secret("s"), scene.secret("t", "other", labels=excluded))
    scene.server.faults.forbid(resource="namespaces")

    result = scene.back_up(included_namespaces=["shop", "other"])

    assert scene.stored() == ["secrets/shop/s"]
    assert result.backup.status.phase is BackupPhase.COMPLETED


def test_wildcards_without_the_right_to_list_namespaces(scene):
    """Where wildcards cannot be expanded there is no backup rather than a wrong one."""
    scene.load(scene.secret("s"))
    scene.server.faults.forbid(resource="namespaces")

    with pytest.raises(ForbiddenError, match="list namespaces"):
        scene.back_up(included_namespaces=["sh*"])

    assert scene.store.list() == []


def test_an_unreachable_cluster(scene):
    """A cluster that does not answer ends the run; nothing is published."""
    scene.server.close()

    with pytest.raises(ClusterError) as caught:
        scene.back_up()

    assert caught.value.result.backup.status.phase is BackupPhase.FAILED
    assert not [key for key in scene.objects.objects if key.startswith("backups/")]


def test_a_list_that_expires_on_the_way(scene):
    """Objects that come and go across 410 Gone leave every sum right."""
    scene.load(*(scene.secret(f"s{number:04}") for number in range(250)))

    def interrupt():
        scene.server.load([scene.secret("s0000-new"), scene.secret("z")])
        scene.server.forget_history()

    scene.cluster = _Interrupted(scene.cluster, "secrets", interrupt)

    result = scene.back_up(included_namespaces=["shop"], included_resources=["secrets"])

    assert scene.sums_hold(result)
    assert result.backup.status.phase is BackupPhase.COMPLETED
    assert "secrets/shop/z" in scene.stored()
    assert len(scene.stored()) >= 251
    record = result.report.lists[0]
    assert record.exact is False
    manifest = scene.store.manifest("b")
    assert manifest.consistent is False
    [drift] = manifest.consistency.drifts
    assert str(drift).startswith(f"secrets in shop: at {record.resource_version}")


def test_a_list_that_ends_early(scene):
    """A list that breaks after some pages keeps what came and is an error."""
    scene.load(*(scene.secret(f"s{number:04}") for number in range(150)))
    scene.server.faults.fail(
        verb="list", resource="secrets", status=400, times=None, skip=1
    )

    result = scene.back_up(included_namespaces=["shop"])

    (record,) = (r for r in result.report.lists if str(r.resource) == "secrets")
    assert 0 < record.stored < 150
    assert len([text for text in scene.stored() if "secrets" in text]) == record.stored
    assert result.backup.status.phase is BackupPhase.PARTIALLY_FAILED
    assert f"ended early after {record.stored} items" in str(result.results.errors[0])
    assert scene.sums_hold(result)


@pytest.mark.parametrize(
    ("consistency", "expected"), [("exact", False), ("newest", True)]
)
def test_what_appears_while_a_backup_runs(scene, consistency, expected):
    """All lists show the cluster at the moment of the first one, if not told not to."""
    scene.load(scene.secret("s"), scene.made("ConfigMap", "c", "shop"))
    late = scene.made("Service", "late", "shop", spec={"ports": [{"port": 80}]})
    scene.cluster = _Interrupted(
        scene.cluster, "pods", lambda: scene.server.load([late])
    )

    result = scene.back_up(
        included_namespaces=["shop"], options=BackupOptions(consistency=consistency)
    )

    assert ("services/shop/late" in scene.stored()) is expected
    versions = {record.resource_version for record in result.report.lists}
    assert (len(versions) > 1) is expected
    assert scene.store.manifest("b").consistent is True


# --- types that go --------------------------------------------------------------------

_WIDGETS = "widgets.example.com"
_WENT = f"{_WIDGETS} was deleted while the backup ran"
_MORE_THAN_A_PAGE = 150


def _load_widgets(scene, number):
    """Put a Secret, a definition and objects of its type into the cluster."""
    made = [
        scene.made("Widget", f"w{each:03}", "shop", api_version="example.com/v1")
        for each in range(number)
    ]
    scene.load(scene.secret("s"), scene.definition("widgets", "Widget"), *made)


def _lose_widgets(scene, *, after="secrets"):
    """Let the definition be deleted after the first page of a type."""
    inner = scene.cluster

    def happens():
        inner.delete(inner.discover().resolve("crds"), _WIDGETS)

    scene.cluster = _Interrupted(inner, after, happens)


def test_a_type_that_is_deleted_while_the_backup_runs(scene):
    """Of a type that is gone nothing is left to cover: a warning, and Completed."""
    _load_widgets(scene, 1)
    _lose_widgets(scene)

    result = scene.back_up(included_namespaces=["shop"])

    assert "secrets/shop/s" in scene.stored()
    assert result.backup.status.phase is BackupPhase.COMPLETED
    assert [str(each) for each in result.results.warnings] == [_WENT]
    assert _gaps(scene) == []
    assert scene.sums_hold(result)


def test_a_type_that_is_deleted_while_it_is_read(scene):
    """What came of it before it went is kept, and the warning says how much that is."""
    _load_widgets(scene, _MORE_THAN_A_PAGE)
    _lose_widgets(scene, after="widgets")

    result = scene.back_up(included_namespaces=["shop"])

    kept = sum(text.startswith(_WIDGETS) for text in scene.stored())
    told = f"{_WENT}, after {kept} items of it had been read"
    assert 0 < kept < _MORE_THAN_A_PAGE
    assert result.backup.status.phase is BackupPhase.COMPLETED
    assert told in [str(each) for each in result.results.warnings]
    assert scene.sums_hold(result)


def test_a_type_that_goes_is_told_once(scene):
    """One warning, though the type is read in each namespace by itself."""
    _load_widgets(scene, 1)
    scene.load(scene.secret("t", "other"))
    _lose_widgets(scene)

    result = scene.back_up(included_namespaces=["other", "shop"])

    assert [str(each) for each in result.results.warnings] == [_WENT]


def test_types_are_asked_for_again_only_where_one_may_have_gone(scene):
    """A list that fails for another reason costs no further look at what is served."""
    _load_widgets(scene, 1)
    scene.server.faults.fail(verb="list", resource="widgets", status=400, times=None)
    scene.cluster = _AskedAgain(scene.cluster, lambda _: pytest.fail("was asked"))

    scene.back_up(included_namespaces=["shop"])

    assert _gaps(scene) == [(_WIDGETS, "shop")]


@pytest.mark.parametrize("again", ["came back", "group unread", "no answer"])
def test_a_type_that_has_not_certainly_gone(scene, again):
    """What is served in the end, or may be, and could not be read is an error."""
    _load_widgets(scene, 1)
    _lose_widgets(scene)

    def answer(inner):
        if again == "no answer":
            raise ClusterUnreachableError("discover", "/apis")
        if again == "group unread":
            inner = _with_failure(inner, "example.com/v1")
        else:
            scene.load(scene.definition("widgets", "Widget"))
        return inner.discover(refresh=True)

    scene.cluster = _AskedAgain(scene.cluster, answer)
    result = scene.back_up(included_namespaces=["shop"])

    assert result.backup.status.phase is BackupPhase.PARTIALLY_FAILED
    assert _gaps(scene) == [(_WIDGETS, "shop")]
    assert result.results.warnings == ()


# --- actions --------------------------------------------------------------------------


def _plugin(**action):
    """Return plugins with one action beside the built-in ones."""

    class Action:
        """What the test says."""

        name = "example.com/test"
        applies_to = ResourceSelector(included_resources=("secrets",))

    for key, value in action.items():
        setattr(Action, key, staticmethod(value) if callable(value) else value)

    return plugins_offering(backup=[Action()])


def test_a_broken_action_costs_its_item(scene):
    """What an action raises is an error with its name; the other items are stored."""
    scene.load(scene.secret("good"), scene.secret("bad"))

    def execute(given):
        if given.identifier.name == "bad":
            raise ValueError("no idea")
        return BackupOutput(item=given.item)

    scene.plugins = _plugin(execute=execute)
    result = scene.back_up(included_resources=["secrets"])

    assert scene.stored() == ["secrets/shop/good"]
    (error,) = result.results.errors
    assert error.plugin == "example.com/test"
    assert "ValueError" in str(error)
    assert error.item.name == "bad"
    assert scene.sums_hold(result)


@pytest.mark.parametrize("by", ["action", "where"])
def test_what_fails_on_a_secret_is_not_quoted(scene, by):
    """The text of an error about a Secret, which may quote a value, is nowhere to be read."""
    scene.load(scene.secret("s"))

    def fail(*_):
        raise ValueError("hunter2 is no password")

    if by == "action":
        scene.plugins = _plugin(execute=fail)
    where = fail if by == "where" else None
    result = scene.back_up(
        included_resources=["secrets"], options=BackupOptions(where=where)
    )

    (error,) = result.results.errors
    assert "ValueError" in str(error)
    assert "hunter2" not in repr(result) + str(error) + str(error.cause)
    assert "hunter2" not in "".join(scene.store.logs("b"))


def test_a_hanging_action_costs_its_item(scene):
    """It is given up after its time, not called again, and the rest is stored."""
    scene.load(*(scene.secret(name) for name in ("a", "b", "c")))
    release = threading.Event()

    def execute(given):
        if given.identifier.name == "b":
            release.wait(30)
        return BackupOutput(item=given.item)

    scene.plugins = _plugin(execute=execute)
    settings = EngineSettings(action_timeout=timedelta(seconds=0.2))
    spec = scene.spec(included_resources=["secrets"])
    result = scene.engine(settings=settings).run("b", spec)
    release.set()

    assert scene.stored() == ["secrets/shop/a", "secrets/shop/c"]
    told = [str(each) for each in result.results.errors]
    assert "did not come back from secrets/shop/b" in told[0]
    assert "was not asked about 1 item (plugin example.com/test of" in told[1]
    assert scene.sums_hold(result)


def test_what_an_action_changes_is_stored(scene):
    """The archive has the item as the actions left it."""
    scene.load(scene.secret("s"))

    def execute(given):
        metadata = {**given.item["metadata"], "annotations": {"seen": "yes"}}
        return BackupOutput(item={**given.item, "metadata": metadata})

    scene.plugins = _plugin(execute=execute)
    scene.back_up(included_resources=["secrets"])

    assert scene.item("secrets/shop/s")["metadata"]["annotations"] == {"seen": "yes"}


def test_an_item_that_an_action_skips(scene):
    """What an action does not want stored is counted with its reason."""
    scene.load(scene.made("ConfigMap", "c", "shop"))
    scene.plugins = _plugin(
        applies_to=ResourceSelector(included_resources=("configmaps",)),
        execute=lambda given: BackupOutput(item=given.item, skip="made anew"),
    )

    result = scene.back_up(included_resources=["configmaps"])

    assert scene.stored() == []
    (record,) = (r for r in result.report.lists if str(r.resource) == "configmaps")
    assert dict(record.skipped) == {"skipped by an action: made anew": 1}


@pytest.mark.parametrize(
    ("forced", "expected"), [(False, False), (True, True)], ids=["filtered", "forced"]
)
def test_items_that_an_action_asks_for(scene, forced, expected):
    """Filters decide about additional items unless the action says they must not."""
    scene.load(scene.secret("s"), scene.made("ConfigMap", "c", "bank"))
    asked = ResourceIdentifier(GroupResource("", "configmaps"), "bank", "c")
    scene.plugins = _plugin(
        execute=lambda given: BackupOutput(
            item=given.item,
            additional_items=(asked,),
            must_include_additional_items=forced,
        )
    )

    scene.back_up(included_namespaces=["shop"])

    assert ("configmaps/bank/c" in scene.stored()) is expected


@pytest.mark.parametrize("forced", [False, True], ids=["filtered", "forced"])
def test_an_item_asked_for_in_a_namespace_kept_out_by_its_label(scene, forced):
    """What the owner of a namespace keeps out no action brings in."""
    label = {"velero.io/exclude-from-backup": "true"}
    scene.load(
        scene.made("Namespace", "private", metadata={"labels": label}),
        scene.made("ConfigMap", "c", "private"),
        scene.secret("s"),
    )
    asked = ResourceIdentifier(GroupResource("", "configmaps"), "private", "c")
    scene.plugins = _plugin(
        execute=lambda given: BackupOutput(
            item=given.item,
            additional_items=(asked,),
            must_include_additional_items=forced,
        )
    )

    scene.back_up(included_resources=["secrets", "configmaps"])

    assert "secrets/shop/s" in scene.stored()
    assert "configmaps/private/c" not in scene.stored()


def test_an_item_asked_for_that_does_not_exist(scene):
    """It is a warning with its name and who asks for it; the item that asks is stored."""
    scene.load(scene.secret("s"))
    asked = ResourceIdentifier(GroupResource("", "configmaps"), "shop", "gone")
    scene.plugins = _plugin(
        execute=lambda given: BackupOutput(item=given.item, additional_items=(asked,))
    )

    result = scene.back_up(included_namespaces=["shop"])

    assert "secrets/shop/s" in scene.stored()
    assert result.backup.status.phase is BackupPhase.COMPLETED
    (told,) = [each for each in result.results.warnings if each.item == asked]
    assert told.message == (
        "asked for by action example.com/test for secrets/shop/s, but it does not exist"
    )
    assert told.plugin == "example.com/test"


def test_an_item_asked_for_that_cannot_be_read(scene):
    """It is an error and a gap of its own, and the item that asks is stored."""
    scene.load(scene.secret("s"), scene.made("ConfigMap", "c", "shop"))
    asked = ResourceIdentifier(GroupResource("", "configmaps"), "shop", "c")
    scene.server.faults.fail(verb="get", resource="configmaps", status=400, times=None)
    scene.server.faults.fail(verb="list", resource="configmaps", status=400, times=None)
    scene.plugins = _plugin(
        execute=lambda given: BackupOutput(item=given.item, additional_items=(asked,))
    )

    result = scene.back_up(included_namespaces=["shop"])

    assert "secrets/shop/s" in scene.stored()
    assert result.backup.status.phase is BackupPhase.PARTIALLY_FAILED
    assert asked in [each.item for each in result.results.errors]


def test_an_action_that_wants_to_act_and_cannot(scene):
    """An operation that is not started is an error, not a silence."""
    scene.load(scene.secret("s"))
    scene.plugins = _plugin(
        execute=lambda given: BackupOutput(item=given.item, wants_begin=True)
    )

    result = scene.back_up(included_resources=["secrets"])

    assert scene.stored() == ["secrets/shop/s"]
    assert result.backup.status.phase is BackupPhase.PARTIALLY_FAILED


# --- helpers --------------------------------------------------------------------------


class _Wrapped:
    """A cluster that passes everything on; subclasses change what they change."""

    def __init__(self, inner):
        self._inner = inner

    def for_run(self, cancel, **more):
        """Return the view of a run, wrapped alike."""
        view = object.__new__(type(self))
        vars(view).update(vars(self), _inner=self._inner.for_run(cancel, **more))
        return view

    def __getattr__(self, name):
        return getattr(self._inner, name)


class _Interrupted(_Wrapped):
    """A cluster where something happens after the first page of one type."""

    def __init__(self, inner, resource, happens):
        super().__init__(inner)
        self._resource = resource
        self._happens = [happens]

    def list(self, resource, **more):
        """List, and let it happen where it shall."""
        listing = self._inner.list(resource, **more)
        if resource.resource != self._resource:
            return listing
        return _InterruptedList(listing, self._happens)


class _InterruptedList(_Wrapped):
    """A list of which the first page is followed by something."""

    def __init__(self, inner, happens):
        super().__init__(inner)
        self._happens = happens

    def pages(self):
        """Yield the pages."""
        for page in self._inner.pages():
            if self._happens:
                self._happens.pop()()
            yield page


class _with_failure(_Wrapped):  # noqa: N801 - reads as what it does
    """A cluster one of whose groups discovery cannot read."""

    def __init__(self, inner, group_version):
        super().__init__(inner)
        self._group_version = group_version

    def discover(self, *, refresh=False):
        """Return what is served, but for the group."""
        found = copy.copy(self._inner.discover(refresh=refresh))
        reason = "503 Service Unavailable"
        found.failures = (DiscoveryFailure(self._group_version, reason),)
        return found


class _AskedAgain(_Wrapped):
    """A cluster that gives another answer when it is asked anew what it serves."""

    def __init__(self, inner, answer):
        super().__init__(inner)
        self._answer = answer
        self._asked = []

    def discover(self, *, refresh=False):
        """Return what is served; the second time that it is asked, what the test says."""
        if refresh and self._asked:
            return self._answer(self._inner)
        self._asked += [refresh] * refresh
        return self._inner.discover(refresh=refresh)
