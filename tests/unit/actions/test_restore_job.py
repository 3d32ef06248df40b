"""Jobs are restored without the uid of the Job they were."""

import pytest

from kbackup.actions._restore_job import JobAction
from kbackup.testing import restore_input


def job(selector, labels, **spec):
    """A Job with these labels in its selector and its Pod template."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "once", "namespace": "shop"},
        "spec": {
            "selector": {"matchLabels": selector},
            "template": {"metadata": {"labels": labels}, "spec": {}},
            **spec,
        },
    }


def restored(item):
    """The Job that would be written."""
    return JobAction().execute(restore_input("jobs.batch", item)).item


@pytest.mark.parametrize(
    "label", ["controller-uid", "batch.kubernetes.io/controller-uid"]
)
def test_uid_labels_go(label):
    """Either spelling of the uid is dropped from selector and Pod template."""
    uid = {label: "2f6c"}

    item = restored(job({**uid}, {**uid, "job-name": "once", "app": "x"}))

    assert item == job({}, {"job-name": "once", "app": "x"})


def test_manual_selectors_stay():
    """With manualSelector the labels are the user's: an empty one would take all Pods."""
    uid = {"controller-uid": "2f6c"}
    item = job(uid, uid, manualSelector=True)

    assert restored(item) == item


def test_nothing_to_drop():
    """A Job without the labels is written as it is."""
    item = job({"app": "x"}, {"app": "x"})

    assert restored(item) == item
