"""A target that is older than what the backup has."""

import pytest

from kbackup.models import RestoreSpec
from kbackup.testing import SimulatedCluster, sample_shop

SPACE = next(item for item in sample_shop() if item["kind"] == "Namespace")
CONTAINER = {"name": "main", "image": "example.com/any:1"}
JOB = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "import", "namespace": "shop"},
    "spec": {
        "suspend": True,
        "template": {"spec": {"restartPolicy": "Never", "containers": [CONTAINER]}},
    },
}


@pytest.fixture
def simulated():
    """An empty target cluster of another age."""
    with SimulatedCluster(git_version="v1.20.2") as cluster:
        yield cluster


def test_suspended_job_that_would_run(make_shop):
    """The plan says which suspended Jobs the target would start, before it is written."""
    shop = make_shop([SPACE, JOB])

    plan = shop.engine.plan("try-1", RestoreSpec(backup_name="shop-1"))

    [notice] = (each for each in plan.notices if "spec.suspend" in each.what)
    assert [item.name for item in notice.items] == ["import"]
    assert "runs at once: this server drops spec.suspend of Jobs" in str(plan)
    assert shop.names("jobs.batch", "shop") == []
