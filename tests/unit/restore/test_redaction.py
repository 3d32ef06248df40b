"""What a user names beside Secrets is as hidden as those, wherever it could come out."""

import json

import pytest

from kbackup.errors import InvalidSpecError
from kbackup.models import GroupResource, RestoreOptions, RestoreSpec
from kbackup.restore import PlanAction, RestoreEngine, RestorePlan
from kbackup.restore._request.filters import TypeNames
from kbackup.restore._request.redaction import Redaction, make_redaction

UPDATE = RestoreSpec(backup_name="shop-1", existing_resource_policy="update")
VALUES = ("stored-pw", "live-pw")
CONFIG_MAPS = GroupResource("", "configmaps")
WIDGETS = GroupResource("example.com", "widgets")


def _config_map(password, name="settings"):
    """A ConfigMap with a password in it."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "shop"},
        "data": {"password": password},
    }


def _namespace():
    """A Namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}


@pytest.fixture(name="changed")
def fixture_changed(make_shop):
    """A shop with another password in the backup than in the target."""
    shop = make_shop([_namespace(), _config_map(VALUES[0])])
    shop.simulated.load([_namespace(), _config_map(VALUES[1])])
    return shop


def _assert_hidden(*outputs):
    """No value is in any of the texts."""
    for output in outputs:
        assert not [value for value in VALUES if value in str(output)], output


@pytest.mark.parametrize("name", ["configmaps", "cm", "ConfigMap", "*"])
def test_differences_show_no_value(changed, name, caplog):
    """Keys are named, values are in no text, document, record or log."""
    events = []
    engine = RestoreEngine(changed.cluster, changed.store, observer=events.append)
    options = RestoreOptions(redact=[name])

    plan = engine.plan("try-1", UPDATE, options)
    stored = json.dumps(plan.to_json())
    result = engine.apply(RestorePlan.from_json(stored))

    (entry,) = [x for x in plan.entries if x.kind == "ConfigMap"]
    assert entry.action is PlanAction.UPDATE
    assert "data.password: differs" in str(plan)
    assert [o.action for o in result.outcomes if o.identifier.name == "settings"] == [
        "updated"
    ]
    _assert_hidden(plan, repr(plan), repr(plan.entries), stored, caplog.text, events)
    _assert_hidden(result, list(changed.store.restore_logs("try-1")))


def test_without_a_name_other_types_are_shown(changed):
    """A plan is there to be reviewed: only what is named is hidden."""
    plan = changed.engine.plan("try-1", UPDATE)

    assert "data.password: 'live-pw' -> 'stored-pw'" in str(plan)


def test_what_moved_is_left_alone(changed):
    """Of what is hidden nobody can tell whether it is what was reviewed."""
    options = RestoreOptions(redact=["configmaps"])
    plan = changed.engine.plan("try-1", UPDATE, options)
    resource = changed.cluster.discover().by_kind("v1", "ConfigMap")
    patch = {"data": {"password": "newer"}}
    changed.cluster.patch(resource, "settings", patch, namespace="shop")

    result = changed.engine.apply(plan)

    assert changed.object("configmaps", "shop", "settings")["data"] == patch["data"]
    assert any("changed since the plan" in w.message for w in result.results.warnings)


@pytest.mark.parametrize(
    ("status", "said"), [(422, "refused as invalid"), (403, "denied the request")]
)
def test_words_of_the_server_are_left_out(make_shop, status, said):
    """What the server or a webhook says about a hidden object may quote it."""
    shop = make_shop([_namespace(), _config_map(VALUES[0])])
    words = f'admission webhook "w" denied the request: {VALUES[0]} is weak'
    shop.simulated.faults.fail(
        verb="create", resource="configmaps", status=status, message=words
    )

    options = RestoreOptions(redact=["configmaps"])
    result = shop.engine.run("try-1", UPDATE, options)

    (error,) = result.results.errors
    assert said in error.message
    _assert_hidden(result)


@pytest.mark.parametrize("part", ["transforms", "where"])
def test_text_of_a_function_that_fails_is_left_out(make_shop, part):
    """An exception's text may quote the object: of a hidden one its kind is told."""
    shop = make_shop([_namespace(), _config_map(VALUES[0])])

    def failing(item):
        if item["kind"] != "ConfigMap":
            return item
        raise ValueError(item["data"]["password"])

    given = {"transforms": [failing]} if part == "transforms" else {"where": failing}
    options = RestoreOptions(redact=["configmaps"], **given)

    plan = shop.engine.plan("try-1", UPDATE, options)

    (entry,) = [x for x in plan.entries if x.identifier.name == "settings"]
    assert entry.action is PlanAction.CONFLICT
    assert entry.reason.endswith(": ValueError")
    _assert_hidden(plan)


def test_a_name_that_means_nothing_is_refused(changed):
    """A slip of the pen must not show what was to be hidden."""
    options = RestoreOptions(redact=["confgmaps", "configmaps", "wigets.example.com"])

    with pytest.raises(InvalidSpecError) as caught:
        changed.engine.plan("try-1", UPDATE, options)

    assert caught.value.violations == (
        "redact: neither target nor backup has a type confgmaps",
        "redact: neither target nor backup has a type wigets.example.com",
    )
    assert caught.value.hint == "the nearest type is configmaps"


def test_a_plural_hides_its_type_in_every_group():
    """Without a group all types of that plural in the backup are meant."""
    other = GroupResource("other.example.com", "widgets")
    names = TypeNames({}, [WIDGETS, other, CONFIG_MAPS])

    found = make_redaction(["widgets"], names)
    one = make_redaction(["widgets.example.com"], names)

    assert found.types == {WIDGETS, other}
    assert one.types == {WIDGETS}
    assert not found.hides(CONFIG_MAPS, "ConfigMap")


def test_secrets_are_always_hidden():
    """Nothing shows a Secret, whatever is named or not."""
    assert Redaction().hides(GroupResource("", "secrets"), "Secret")
    assert not Redaction().hides(CONFIG_MAPS, "ConfigMap")
    assert Redaction(everything=True).hides(CONFIG_MAPS, "ConfigMap")
