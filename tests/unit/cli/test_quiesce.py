"""``kbackup restore --quiesce``, and when a plan hints at it."""

import pytest

HINT = "--quiesce, or the transform kbackup.restore.quiesce, keeps a copy still"
COPY = ("--from-backup", "jobs", "--namespace-mappings", "shop:copy")
TEMPLATE = {
    "spec": {
        "containers": [{"name": "c", "image": "example.com/c:1"}],
        "restartPolicy": "Never",
    }
}
CRON_JOB = {
    "apiVersion": "batch/v1",
    "kind": "CronJob",
    "metadata": {"name": "mail", "namespace": "shop"},
    "spec": {
        "schedule": "* * * * *",
        "jobTemplate": {"spec": {"template": TEMPLATE}},
    },
}


@pytest.fixture(name="with_jobs")
def fixture_with_jobs(kbackup, simulated):
    """The command line after a backup of the shop and a CronJob in it."""
    simulated.load([CRON_JOB])
    done = kbackup("backup", "create", "jobs", "--include-namespaces", "shop")
    assert done.code == 0, done.err
    return kbackup


def one(simulated, resource, namespace):
    """Return the only object of a type in a namespace."""
    (found,) = simulated.objects(resource, namespace)
    return found


def test_quiet_copy(with_jobs, simulated):
    """The copy runs nothing; the original goes on."""
    done = with_jobs("restore", "create", *COPY, "--quiesce", "--yes")

    copied = one(simulated, "deployments.apps", "copy")
    assert done.code == 0, done.err
    assert copied["spec"]["replicas"] == 0
    assert copied["metadata"]["annotations"]["kbackup.io/original-replicas"] == "2"
    assert one(simulated, "cronjobs.batch", "copy")["spec"]["suspend"] is True
    assert one(simulated, "deployments.apps", "shop")["spec"]["replicas"] == 2
    assert one(simulated, "cronjobs.batch", "shop")["spec"]["suspend"] is False


def test_copy_beside_its_original_gets_a_hint(with_jobs):
    """A plan that would do twice what the original does says how to avoid it."""
    done = with_jobs("restore", "plan", *COPY)

    assert "! starts work" in done.out
    assert HINT in done.out


def test_copy_of_who_may_not_read_which_cluster_it_is_gets_a_hint(with_jobs, simulated):
    """The plan said that the backup names no cluster: it is this one's uid that hides."""
    simulated.faults.forbid(verb="get", resource="namespaces")

    done = with_jobs("restore", "plan", *COPY)

    assert "which may be this one" in done.out
    assert (
        f"the original, which may be in this cluster, does the same: {HINT}" in done.out
    )


def test_quiet_copy_needs_no_hint(with_jobs):
    """Where nothing starts nothing is said; the next command is quiet as well."""
    done = with_jobs("restore", "plan", *COPY, "--quiesce")

    assert "starts work" not in done.out
    assert HINT not in done.out
    assert done.next.endswith("--namespace-mappings shop:copy --quiesce")


def test_restore_in_place_gets_no_hint(with_jobs, simulated):
    """What comes back where it was is wanted as it was."""
    with simulated.connect() as cluster:
        cron_jobs = cluster.discover().resolve("cronjobs")
        cluster.delete(cron_jobs, "mail", namespace="shop")

    done = with_jobs("restore", "plan", "--from-backup", "jobs")

    assert "! starts work" in done.out
    assert HINT not in done.out
