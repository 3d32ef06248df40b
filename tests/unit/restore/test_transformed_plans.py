"""What the transforms of the library do is in the plan, and only that is done."""

import json

import attrs
import pytest
from shop_samples import COPY, NAMESPACE, SECRET, WEB

from kbackup.errors import InvalidPlanError
from kbackup.models import RestoreOptions, qualified_name
from kbackup.restore import RestorePlan
from kbackup.restore.transforms import drop, from_name, registry, replicas
from kbackup.restore.transforms._base import Transform

MIRROR = registry({"docker.io": "r.example.com"})


def entry_of(plan, kind):
    """The one line about a kind."""
    (entry,) = [entry for entry in plan.entries if entry.kind == kind]
    return entry


@pytest.fixture(name="shop")
def fixture_shop(make_shop):
    """A Deployment and a Secret."""
    return make_shop([NAMESPACE, WEB, SECRET])


def test_the_plan_shows_what_is_changed_and_by_which_call(shop):
    """Whoever approves it reads the parameters, and what they come to."""
    options = RestoreOptions(
        transforms=[MIRROR, replicas(at_most=1), replicas(at_most=5)]
    )

    plan = shop.engine.plan("try-1", COPY, options)
    shop.engine.apply(plan)

    entry = entry_of(plan, "Deployment")
    assert entry.changed_by == tuple(map(qualified_name, options.transforms[:2]))
    assert {str(change.right) for change in entry.changes} == {
        "1",
        "r.example.com/library/web:1",
    }
    assert "replicas(at_most=1)" in str(plan)
    assert entry_of(plan, "Secret").reason == ""
    live = shop.object("deployments.apps", "copy", "web")["spec"]
    assert live["replicas"] == 1
    (container,) = live["template"]["spec"]["containers"]
    assert container["image"] == "r.example.com/library/web:1"


def test_what_is_left_out_is_skipped_and_says_by_whom(shop):
    """A kind that is dropped has its line, and is not written."""
    plan = shop.engine.plan("try-1", COPY, RestoreOptions(transforms=[drop("Secret")]))

    entry = entry_of(plan, "Secret")
    assert entry.action == "skip"
    assert entry.reason == "left out by kbackup.restore.transforms.drop('Secret')"


def test_a_saved_plan_is_held_to_its_parameters(shop):
    """Loaded with others it is refused by name; with its own it does what it says."""
    options = RestoreOptions(transforms=[MIRROR])
    document = json.dumps(shop.engine.plan("try-1", COPY, options).to_json())

    with pytest.raises(InvalidPlanError, match=r"given is .*'docker.io': 'b.io'"):
        RestorePlan.from_json(document, transforms=[registry({"docker.io": "b.io"})])

    names = json.loads(document)["options"]["transforms"]
    plan = RestorePlan.from_json(document, transforms=map(from_name, names))
    assert shop.engine.apply(plan).exit_code == 0


@attrs.frozen(slots=False, repr=False)
class _Counting(Transform):
    """Counts what it is asked to change."""

    factory = "counting"
    kinds = frozenset({("apps", "Deployment")})

    asked: list = attrs.field(eq=False)

    def _arguments(self):
        return ""

    def __call__(self, item):
        """Note the kind."""
        self.asked.append(item["kind"])
        return self._change(item)

    def _change(self, item):
        return item


def test_what_is_not_its_concern_is_not_even_copied(shop):
    """Tens of thousands of Secrets cost a look at their kind."""
    counting = _Counting([])

    shop.engine.plan("try-1", COPY, RestoreOptions(transforms=[counting]))

    assert set(counting.asked) == {"Deployment"}
