"""What lives in the target is listed while what was listed before is planned."""

import threading
from collections import Counter
from types import SimpleNamespace

import pytest
from plan_samples import config_map, namespace

from kbackup.errors import ClusterUnreachableError
from kbackup.models import RestoreSpec
from kbackup.restore import PlanAction
from kbackup.restore._target.live_objects import Expected, LiveObjects, Place

PLACES = [Place("secrets", f"team-{n}") for n in range(6)]
HERE, THERE, ELSEWHERE = PLACES[:3]
SOON = 10  # seconds; it is there in a millisecond


class Listed:
    """A cluster whose LISTs are noted when they begin.

    Attributes:
        begun: How often each place was listed.
        limits: How many objects were asked for at first.
        pages: Of each place; an error is raised instead of a page.
    """

    def __init__(self, pages):
        self.pages = pages
        self.begun = Counter()
        self.limits = {}
        self._told = threading.Condition()

    def list(self, resource, *, namespace, limit):
        """Begin a LIST, at its first page."""
        place = Place(resource, namespace)
        self.limits[place] = limit
        return SimpleNamespace(pages=lambda: self._pages_of(place))

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


def expected(*places):
    """Say that these are asked for, ten objects at first."""
    return [Expected(place, 10) for place in places]


def test_the_next_lists_begin_while_one_is_planned():
    """The server is at work while a page is looked at, and not asked twice."""
    cluster = Listed({HERE: [["a", "b"]], THERE: [["c"], ["d"]]})
    with LiveObjects(cluster, expected(HERE, THERE), 3) as live:
        found = live.of(HERE)

        assert next(found) == "a"
        assert cluster.begins(THERE)
        assert [*found] == ["b"]
        assert [*live.of(THERE)] == ["c", "d"]

    assert cluster.begun == {HERE: 1, THERE: 1}
    assert cluster.limits == {HERE: 10, THERE: 10}


def test_no_more_than_three_are_under_way():
    """What nobody looks at yet stays in memory, page by page."""
    cluster = Listed({place: [["a"]] for place in PLACES})
    with LiveObjects(cluster, expected(*PLACES), 3) as live:
        assert [*live.of(HERE)] == ["a"]
        assert all(map(cluster.begins, PLACES[:4]))
        assert not cluster.begun[PLACES[4]]
        assert [*live.of(THERE)] == ["a"]
        assert cluster.begins(PLACES[4])
        assert not cluster.begun[PLACES[5]]


def test_one_page_of_a_list_is_ahead():
    """A long list is not read on while nobody takes its pages."""
    read = []

    def pages():
        for number in range(5):
            read.append(number)
            yield SimpleNamespace(items=[number])

    cluster = SimpleNamespace(list=lambda *_, **__: SimpleNamespace(pages=pages))
    with LiveObjects(cluster) as live:
        found = live.of(HERE)
        assert next(found) == 0
        assert next(found) == 1

    assert set(read) <= {0, 1, 2}


def test_a_list_that_was_not_expected():
    """Another place than the expected ones is listed all the same, and costs them nothing."""
    cluster = Listed({HERE: [["a"]], THERE: [["b"]], ELSEWHERE: [["c"]]})
    with LiveObjects(cluster, expected(HERE, THERE), 3) as live:
        assert [*live.of(HERE)] == ["a"]
        assert [*live.of(ELSEWHERE)] == ["c"]
        assert [*live.of(THERE)] == ["b"]

    assert cluster.begun == {HERE: 1, THERE: 1, ELSEWHERE: 1}


def test_a_list_that_is_not_asked_for_after_all():
    """It is passed over: what comes after it is not listed twice."""
    cluster = Listed({HERE: [["a"]], THERE: [["b"]], ELSEWHERE: [["c"]]})
    with LiveObjects(cluster, expected(HERE, THERE, ELSEWHERE), 3) as live:
        assert [*live.of(HERE)] == ["a"]
        assert [*live.of(ELSEWHERE)] == ["c"]

    assert cluster.begun[ELSEWHERE] == 1


def test_lists_in_vain_do_not_keep_others_back():
    """Of places that nobody asks for one goes with each that nobody expected."""
    cluster = Listed({place: [["a"]] for place in PLACES})
    with LiveObjects(cluster, expected(*PLACES[:5]), 3) as live:
        assert [*live.of(PLACES[5])] == ["a"]
        assert cluster.begins(PLACES[3])
        assert [*live.of(PLACES[3])] == ["a"]
        assert [*live.of(PLACES[4])] == ["a"]

    assert cluster.begun[PLACES[3]] == cluster.begun[PLACES[4]] == 1


def test_nothing_ahead():
    """With one worker one LIST is under way at a time."""
    cluster = Listed({HERE: [["a"]], THERE: [["b"]]})
    with LiveObjects(cluster, expected(HERE, THERE), 0) as live:
        assert [*live.of(HERE)] == ["a"]
        assert not cluster.begun[THERE]
        assert [*live.of(THERE)] == ["b"]


def test_a_list_that_fails_ahead_fails_where_it_is_asked_for():
    """What is planned by then is not to suffer for what comes after it."""
    error = ClusterUnreachableError("https://example.com", "no answer")
    cluster = Listed({HERE: [["a", "b"]], THERE: [error]})
    with LiveObjects(cluster, expected(HERE, THERE), 3) as live:
        assert [*live.of(HERE)] == ["a", "b"]
        with pytest.raises(ClusterUnreachableError):
            next(live.of(THERE))
        assert [*live.of(HERE)] == ["a", "b"]


def test_the_threads_end_with_the_plan():
    """Nothing is left running, nor of a LIST that nobody asked for after all."""
    cluster = Listed({HERE: [["a"]], THERE: [["b"]]})
    before = set(threading.enumerate())
    with LiveObjects(cluster, expected(HERE, THERE), 3) as live:
        assert [*live.of(HERE)] == ["a"]
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
