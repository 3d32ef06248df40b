"""A target that refuses for want of room for as long as the restore asks."""

import pytest

from kbackup.errors import ThrottledError
from kbackup.models import RestoreSpec
from kbackup.plugins import WaitingFor
from patient_runs import without_time

SPEC = RestoreSpec(backup_name="shop-1")


@pytest.fixture
def clock(monkeypatch):
    """Shows what the pauses would have taken."""
    return without_time(monkeypatch)


def test_a_plan_ends_within_the_budget(make_shop, clock):
    """It says that it waits, and its error names a request and how long that was refused."""
    seen = []
    shop = make_shop(observer=seen.append, clock=clock)
    shop.simulated.faults.fail(status=429, times=None)

    with pytest.raises(ThrottledError, match=r"cannot .*the server has refused for"):
        shop.engine.run("try-1", SPEC)

    assert clock.monotonic() <= 620
    assert any("HTTP 429" in each.what for each in seen if isinstance(each, WaitingFor))


def test_writes_end_with_their_deadlines(make_shop, clock):
    """What was planned and is refused for ever ends, each item with the last answer."""
    seen = []
    shop = make_shop(observer=seen.append, clock=clock)
    plan = shop.engine.plan("try-1", SPEC)
    shop.simulated.faults.fail(verb="create", status=429, times=None)

    result = shop.engine.apply(plan)

    assert clock.monotonic() <= 3600
    errors = [str(each) for each in result.results.errors]
    assert any("cannot create namespaces shop: throttled" in each for each in errors)
    assert any("HTTP 429" in each.what for each in seen if isinstance(each, WaitingFor))
