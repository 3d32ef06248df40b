"""From an item of the backup to what would be written, the same every time."""

import json

import msgspec
import pytest

from kbackup.errors import ActionError, ActionTimeoutError, ForbiddenError
from kbackup.models import (
    Backup,
    EngineSettings,
    GroupResource,
    Item,
    ObjectMeta,
    ResourceIdentifier,
    ResourceSelector,
    Restore,
    RestoreOptions,
    RestoreSpec,
)
from kbackup.plugins import RestoreOutput, Run
from kbackup.plugins.engine import ActionIndex
from kbackup.restore._making.desired import DesiredMaker
from kbackup.restore._plan.claims import ClaimLine, ClaimVerdict
from kbackup.restore._request.filters import Filters


class Action:
    """An action made of a function."""

    applies_to = ResourceSelector()

    def __init__(self, function, name="example.com/test"):
        """Call *function* with the input."""
        self.name = name
        self._function = function

    def execute(self, given):
        """Call the function."""
        return self._function(given)


def _item(kind="ConfigMap", resource="configmaps", namespace="shop", **body):
    """An item of a backup."""
    metadata = {"name": "x", "uid": "8d", "labels": {"app": "web"}}
    if namespace:
        metadata["namespace"] = namespace
    content = {"apiVersion": "v1", "kind": kind, "metadata": metadata} | body
    ref = ResourceIdentifier(GroupResource.parse(resource), namespace, "x")
    raw = json.dumps(content).encode()
    return Item(identifier=ref, raw=raw, api_version="v1", kind=kind)


def _maker(*actions, mapping=None, settings=None, **options):
    """A maker with these actions and options."""
    return DesiredMaker(
        restore=Restore(
            metadata=ObjectMeta(name="try-1"), spec=RestoreSpec(backup_name="shop-1")
        ),
        backup=Backup(metadata=ObjectMeta(name="shop-1")),
        options=RestoreOptions(**options),
        filters=Filters(mapping=mapping or {}),
        actions=ActionIndex(actions, lambda _: None),
        cluster=None,
        run=Run(uid="r", kind="restore", name="try-1", settings=settings),
    )


def _make(item, *actions, line=None, **more):
    """The desired item."""
    return _maker(*actions, **more).make(item, item.content, line)


def test_reset_mapped_and_labelled():
    """The item loses its identity, moves and says where it came from."""
    desired = _make(_item(data={"a": "1"}), mapping={"shop": "copy"})

    assert desired.content == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "x",
            "namespace": "copy",
            "labels": {
                "app": "web",
                "velero.io/backup-name": "shop-1",
                "velero.io/restore-name": "try-1",
            },
        },
        "data": {"a": "1"},
    }
    assert json.loads(desired.body) == desired.content
    assert str(desired.target) == "configmaps/copy/x"


def test_the_same_digest_every_time():
    """Made twice, the item has the same bytes."""
    item = _item(data={"a": "1"})

    assert _make(item).digest == _make(item).digest
    assert _make(item).digest != _make(_item(data={"a": "2"})).digest


def test_a_namespace_gets_no_labels():
    """A Namespace is made without the labels of the restore."""
    desired = _make(_item("Namespace", "namespaces", ""), mapping={"x": "copy"})

    assert desired.content["metadata"] == {"name": "copy", "labels": {"app": "web"}}


def test_actions_see_what_they_were_promised():
    """An action is given the reset item, the stored one and the source identity."""
    seen = {}

    def look(given):
        seen["item"] = dict(given.item)
        seen["stored"] = dict(given.item_from_backup)
        seen["ref"] = str(given.identifier)
        return RestoreOutput(item={**given.item, "data": {"b": "2"}})

    desired = _make(_item(status={"x": 1}), Action(look), mapping={"shop": "copy"})

    assert "uid" not in seen["item"]["metadata"]
    assert "status" not in seen["item"]
    assert seen["stored"]["status"] == {"x": 1}
    assert seen["ref"] == "configmaps/shop/x"
    assert desired.content["data"] == {"b": "2"}


def test_actions_follow_each_other():
    """Each action is given what the one before made; additional items add up."""
    more = ResourceIdentifier(GroupResource.parse("pods"), "shop", "p")

    def first(given):
        return RestoreOutput(item={**given.item, "n": 1}, additional_items=(more,))

    def second(given):
        return RestoreOutput(
            item={**given.item, "n": given.item["n"] + 1}, additional_items=(more,)
        )

    desired = _make(_item(), Action(first, "a/1"), Action(second, "a/2"))

    assert desired.content["n"] == 2
    assert desired.additional == ((more, "a/1"), (more, "a/2"))


def test_a_skip_ends_the_actions():
    """Once an action skips the item, no other is asked."""
    skip = Action(lambda given: RestoreOutput(item=given.item, skip="not here"))
    never = Action(lambda given: pytest.fail("asked"), "example.com/never")

    assert _make(_item(), skip, never).skip == "not here"


def test_why_a_secret_is_skipped_does_not_quote_it():
    """A foreign action's words about a Secret may quote it: only who skips is told."""
    skip = Action(
        lambda given: RestoreOutput(item=given.item, skip=str(given.item["data"]))
    )
    item = _item("Secret", "secrets", data={"password": "c2VjcmV0"})

    assert _make(item, skip).skip == "left out by action example.com/test"


def test_an_action_that_fails_is_named():
    """Whatever an action raises becomes an error with its name and the item."""

    def fail(given):
        raise KeyError("spec")

    with pytest.raises(ActionError, match=r"example.com/test failed on configmaps"):
        _make(_item(), Action(fail))


def test_an_action_that_may_not_read_is_named():
    """What the cluster answers an action is told as that action's failure."""

    def fail(given):
        raise ForbiddenError("get", "secrets", "shop/y")

    with pytest.raises(ActionError, match="cannot get secrets shop/y") as caught:
        _make(_item(), Action(fail))
    assert str(caught.value).startswith("example.com/test failed on configmaps/shop/x")
    assert isinstance(caught.value.__cause__, ForbiddenError)


def test_only_actions_of_our_own_are_asked_whether_an_item_concerns_them():
    """An attribute that a foreign action happens to have means nothing."""
    action = Action(lambda given: RestoreOutput(item=given.item, skip="asked"))
    action.concerns = lambda item: 1 / 0

    assert _make(_item(), action).skip == "asked"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda item: None, "a NoneType, not a RestoreOutput"),
        (lambda item: {"x": item}, "a dict, not a RestoreOutput"),
        (lambda item: "x", "a str, not a RestoreOutput"),
        (lambda item: RestoreOutput(item=item, skip=5), "an? int as the reason"),
        (lambda item: RestoreOutput(item=item, additional_items=None), "NoneType as"),
        (lambda item: RestoreOutput(item=item, additional_items="ab"), "a str as the"),
        (lambda item: RestoreOutput(item=item, additional_items=("a",)), "str as an"),
    ],
)
def test_an_answer_that_is_none_fails_its_item(answer, said):
    """An action that answers something else is named, with what it answered."""
    with pytest.raises(ActionError, match=f"example.com/test failed on .*{said}"):
        _make(_item(), Action(lambda given: answer(given.item)))


def _stored():
    """An item as it was stored: with all that the old cluster wrote into it."""
    old = {"apiVersion": "v1", "kind": "Secret", "name": "s", "uid": "old"}
    item = _item(data={"a": "1"})
    content = item.content
    content["metadata"] |= {
        "uid": "8d",
        "resourceVersion": "7",
        "generation": 2,
        "ownerReferences": [old],
        "managedFields": [],
    }
    return msgspec.structs.replace(item, raw=json.dumps(content).encode())


def test_an_action_that_begins_with_the_stored_item():
    """What it puts back of the old cluster is not written: nothing could be created."""
    back = Action(lambda given: RestoreOutput(item=dict(given.item_from_backup)))

    metadata = _make(_stored(), back).content["metadata"]

    assert metadata.keys() == {"name", "namespace", "labels"}


def test_owners_that_an_action_gives():
    """An owner that it found in the target stays; those of the old cluster go."""
    new = {"apiVersion": "v1", "kind": "Secret", "name": "n", "uid": "new"}

    def own(given):
        metadata = dict(given.item_from_backup["metadata"])
        metadata["ownerReferences"] = [*metadata["ownerReferences"], new]
        return RestoreOutput(item={**given.item, "metadata": metadata})

    metadata = _make(_stored(), Action(own)).content["metadata"]

    assert metadata["ownerReferences"] == [new]


@pytest.mark.parametrize("change", [{"name": "other"}, {"namespace": "other"}])
def test_an_action_that_moves_its_item(change):
    """Where an item goes is no action's to say: it is told, not passed over."""

    def move(given):
        metadata = {**given.item["metadata"], **change}
        return RestoreOutput(item={**given.item, "metadata": metadata})

    with pytest.raises(ActionError, match="changed name or namespace"):
        _make(_item(), Action(move), mapping={"shop": "copy"})


def test_an_action_that_maps_the_namespace():
    """To go where the item goes anyway is no other place."""

    def move(given):
        metadata = {**given.item["metadata"], "namespace": "copy"}
        return RestoreOutput(item={**given.item, "metadata": metadata})

    desired = _make(_item(), Action(move), mapping={"shop": "copy"})

    assert str(desired.target) == "configmaps/copy/x"


def test_an_action_that_takes_the_item_apart():
    """An item that is no object any more is the action's error, also if in place."""

    def take(given):
        del given.item["metadata"]
        return RestoreOutput(item=given.item)

    with pytest.raises(ActionError, match="did not return a Kubernetes object"):
        _make(_item(), Action(take))


def test_an_action_that_makes_another_kind():
    """An object of another type is nothing that the plan has a line for."""
    other = Action(lambda given: RestoreOutput(item={**given.item, "kind": "Secret"}))

    with pytest.raises(ActionError, match="of another type"):
        _make(_item(), other)


@pytest.mark.parametrize("error", [SystemExit(1), TimeoutError("of a socket")])
def test_an_action_that_ends_or_times_out_by_itself_fails_its_item(error):
    """An action may neither end the host nor be taken for hung by what it raises."""

    def fail(given):
        raise error

    maker = _maker(Action(fail))
    item = _item()

    for _ in range(2):
        with pytest.raises(ActionError, match=type(error).__name__):
            maker.make(item, item.content)


def test_an_error_about_a_secret_does_not_quote_it():
    """What a foreign error says about a Secret is not repeated."""

    def fail(given):
        raise ValueError(f"bad: {given.item['data']}")

    item = _item("Secret", "secrets", data={"password": "c2VjcmV0"})

    with pytest.raises(ActionError) as caught:
        _make(item, Action(fail))
    assert "c2VjcmV0" not in str(caught.value)


def test_an_action_that_hangs_is_given_up():
    """An action that does not come back is not called again in this run."""
    import threading  # noqa: PLC0415 - for this test only
    from datetime import timedelta  # noqa: PLC0415 - for this test only

    release = threading.Event()
    settings = EngineSettings(action_timeout=timedelta(milliseconds=20))
    maker = _maker(Action(lambda given: release.wait()), settings=settings)
    item = _item()

    with pytest.raises(ActionTimeoutError):
        maker.make(item, item.content)
    with pytest.raises(ActionError, match="not called again"):
        maker.make(item, item.content)
    release.set()


def test_transforms_see_the_item_as_it_would_be_written():
    """A transform gets the target's namespace and may rename the item."""

    def rename(item):
        assert item["metadata"]["namespace"] == "copy"
        item["metadata"]["name"] = "y"
        return item

    desired = _make(_item(), mapping={"shop": "copy"}, transforms=(rename,))

    assert str(desired.target) == "configmaps/copy/y"


def test_a_transform_may_leave_an_item_out():
    """None leaves the item out, and the reason names the function."""

    def leave(item):
        return None

    assert "leave" in _make(_item(), transforms=(leave,)).skip


@pytest.mark.parametrize("bad", [1, {}, {"kind": "X", "apiVersion": "v1"}])
def test_a_transform_must_return_an_object(bad):
    """What is no Kubernetes object is refused, with the function's name."""

    def broken(item):
        return bad

    with pytest.raises(ActionError, match="broken"):
        _make(_item(), transforms=(broken,))


@pytest.mark.parametrize(
    ("verdict", "volume"), [(ClaimVerdict.NONE, None), (ClaimVerdict.REUSE, "pv-1")]
)
def test_a_claim_follows_its_line(verdict, volume):
    """The claim names its old volume only where the plan says so."""
    item = _item(
        "PersistentVolumeClaim", "persistentvolumeclaims", spec={"volumeName": "pv-1"}
    )
    line = ClaimLine(claim=item.identifier, target=item.identifier, verdict=verdict)

    desired = _make(item, line=line)

    assert desired.content["spec"].get("volumeName") == volume


def test_a_volume_is_pointed_at_the_mapped_claim():
    """The claim reference of a volume follows the mapping."""
    item = _item(
        "PersistentVolume",
        "persistentvolumes",
        "",
        spec={"claimRef": {"namespace": "shop", "name": "data", "uid": "1"}},
    )

    desired = _make(item, mapping={"shop": "copy"})

    assert desired.content["spec"]["claimRef"] == {"namespace": "copy", "name": "data"}
