"""What lives in the target is listed while what was listed before is planned."""

import threading
from collections import Counter
from types import SimpleNamespace

import pytest
from plan_samples import config_map, namespace

from kbackup.errors import ClusterUnreachableError
from kbackup.models import RestoreSpec
from kbackup.restore import PlanAction
from kbackup.restore._live_objects import LiveObjects

HERE, THERE, ELSEWHERE = (("secrets", name) for name in ("here", "there", "elsewhere"))
SOON = 10  # seconds; it is there in a millisecond


class Listed:
    """A cluster whose LISTs are noted when they begin.

    Attributes:
        begun: How often each place was listed.
        pages: Of each place; an error is raised instead of a page.
    """

    def __init__(self, pages):
        self.pages = pages
        self.begun = Counter()
        self._told = threading.Condition()

    def list(self, resource, *, namespace):
        """Begin a LIST, at its first page."""
        return SimpleNamespace(pages=lambda: self._pages_of((resource, namespace)))

    def _pages_of(self, place):
        with self._told:
            self.begun[place] += 1
            self._told.notify_all()
        for items in self.pages.get(place, ()):
            if isinstance(items, Exception):
                raise items
            yield SimpleNamespace(items=items)

    def begins(self, place):
        """Whether a LIST begins, or has begun."""
        with self._told:
            return self._told.wait_for(lambda: self.begun[place], SOON)


def test_the_next_list_begins_while_one_is_planned():
    """The server is at work while the last page is looked at, and not asked twice."""
    cluster = Listed({HERE: [["a", "b"]], THERE: [["c"], ["d"]]})
    with LiveObjects(cluster) as live:
        found = live.of(HERE, THERE)

        assert next(found) == "a"
        assert cluster.begins(THERE)
        assert [*found] == ["b"]
        assert [*live.of(THERE, None)] == ["c", "d"]

    assert cluster.begun == {HERE: 1, THERE: 1}


def test_the_next_list_waits_for_the_last_page():
    """As long as there are pages they come first: a token does not live for ever."""
    cluster = Listed({HERE: [["a"], ["b"], ["c"]], THERE: [["d"]]})
    with LiveObjects(cluster) as live:
        found = live.of(HERE, THERE)

        assert next(found) == "a"
        assert next(found) == "b"
        assert not cluster.begun[THERE]
        assert next(found) == "c"
        assert cluster.begins(THERE)


def test_a_list_that_was_not_expected():
    """Another place than the expected one is listed all the same."""
    cluster = Listed({HERE: [["a"]], THERE: [["b"]], ELSEWHERE: [["c"]]})
    with LiveObjects(cluster) as live:
        assert [*live.of(HERE, THERE)] == ["a"]
        assert [*live.of(ELSEWHERE, None)] == ["c"]
        assert [*live.of(THERE, None)] == ["b"]


def test_a_list_that_fails_ahead_fails_where_it_is_asked_for():
    """What is planned by then is not to suffer for what comes after it."""
    error = ClusterUnreachableError("https://example.com", "no answer")
    cluster = Listed({HERE: [["a", "b"]], THERE: [error]})
    with LiveObjects(cluster) as live:
        assert [*live.of(HERE, THERE)] == ["a", "b"]
        with pytest.raises(ClusterUnreachableError):
            next(live.of(THERE, None))
        assert [*live.of(HERE, None)] == ["a", "b"]


def test_the_thread_ends_with_the_plan():
    """Nothing is left running, nor of a LIST that nobody asked for after all."""
    cluster = Listed({HERE: [["a"]], THERE: [["b"]]})
    before = set(threading.enumerate())
    with LiveObjects(cluster) as live:
        assert [*live.of(HERE, THERE)] == ["a"]
        own = set(threading.enumerate()) - before
        assert own

    for thread in own:
        thread.join(SOON)
        assert not thread.is_alive()


def test_a_plan_lists_each_place_once(make_shop):
    """Whatever is begun ahead is what is asked for next: no LIST is in vain."""
    spaces = ("shop", "team")
    here = [
        config_map(f"{kind.lower()}-{n}", space, a="MQ==") | {"kind": kind}
        for space in spaces
        for kind in ("ConfigMap", "Secret", "ServiceAccount")
        for n in range(5)
    ]
    shop = make_shop(here)
    shop.simulated.load([*map(namespace, spaces), *here])

    plan = shop.engine.plan("try-1", RestoreSpec(backup_name="shop-1"))

    calls = shop.simulated.calls
    assert calls["list secrets"] == calls["list serviceaccounts"] == len(spaces)
    assert {x.action for x in plan.entries} == {PlanAction.UNCHANGED}
    assert len(plan.entries) == len(here)
