"""What the old cluster wrote is stripped, what the user wrote stays."""

import json

from kbackup.models import ResourceIdentifier, labels, well_known
from kbackup.restore._making.reset import is_labelled, label, reset, settle


def _item(**metadata):
    """A ConfigMap with the metadata of a live object."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "settings",
            "namespace": "shop",
            "labels": {"app": "web"},
            "annotations": {"note": "keep"},
            **metadata,
        },
        "data": {"a": "1"},
        "status": {"x": 1},
    }


def test_reset_strips_what_the_cluster_wrote():
    """Identity, owners, managed fields and status of the old cluster are gone."""
    item = reset(
        _item(
            uid="8d",
            resourceVersion="4",
            generation=2,
            creationTimestamp="2024",
            deletionTimestamp="2024",
            deletionGracePeriodSeconds=30,
            generateName="settings-",
            selfLink="/x",
            ownerReferences=[{"uid": "1"}],
            managedFields=[{}],
        )
    )

    assert item == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "settings",
            "namespace": "shop",
            "labels": {"app": "web"},
            "annotations": {"note": "keep"},
        },
        "data": {"a": "1"},
    }


def test_finalizers_stay_but_for_those_of_an_old_deletion():
    """A finalizer of the user's stays; those of a deletion under way do not."""
    finalizers = ["foregroundDeletion", "example.com/guard", "orphan"]

    assert reset(_item(finalizers=finalizers))["metadata"]["finalizers"] == [
        "example.com/guard"
    ]
    assert "finalizers" not in reset(_item(finalizers=["orphan"]))["metadata"]


def test_a_token_secret_is_emptied_for_the_target_to_fill():
    """A token of the old cluster, whom it was for and since when it is refused go."""
    secret = {
        "kind": "Secret",
        "type": "kubernetes.io/service-account-token",
        "metadata": {
            "name": "ci",
            "labels": {
                "team": "ci",
                "kubernetes.io/legacy-token-last-used": "2024-05-01",
                "kubernetes.io/legacy-token-invalid-since": "2025-05-01",
            },
            "annotations": {
                "kubernetes.io/service-account.name": "ci",
                "kubernetes.io/service-account.uid": "8d",
            },
        },
        "data": {"token": "YQ==", "ca.crt": "Yg==", "extra": "Yw=="},
    }

    item = reset(secret)

    assert item["data"] == {"extra": "Yw=="}
    assert item["metadata"]["labels"] == {"team": "ci"}
    assert item["metadata"]["annotations"] == {
        "kubernetes.io/service-account.name": "ci"
    }


def test_the_name_label_of_a_namespace_follows_its_name():
    """A mapped namespace carries its new name in the well-known label."""
    item = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "shop", "labels": {"kubernetes.io/metadata.name": "shop"}},
    }

    target = ResourceIdentifier(well_known.NAMESPACES, "", "copy")
    settle(item, target)

    assert item["metadata"]["name"] == "copy"
    assert item["metadata"]["labels"] == {"kubernetes.io/metadata.name": "copy"}


def test_labels_say_where_an_object_came_from():
    """The labels of backup and restore are added, also where there were none."""
    item = _item(labels=None)

    label(item, {labels.BACKUP_NAME: "shop-1", labels.RESTORE_NAME: "try-1"})

    assert item["metadata"]["labels"] == {
        "velero.io/backup-name": "shop-1",
        "velero.io/restore-name": "try-1",
    }
    assert is_labelled(item["metadata"]["labels"], "try-1")
    assert not is_labelled(item["metadata"]["labels"], "try-2")
    assert not is_labelled(None, "try-1")


def test_the_status_of_an_autoscaler_is_stripped_from_its_annotations():
    """What autoscaling/v1 tells there of the old cluster is not written anew."""
    prefix = "autoscaling.alpha.kubernetes.io/"
    item = reset(
        {
            "apiVersion": "autoscaling/v1",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {
                "name": "web",
                "annotations": {
                    f"{prefix}conditions": "[]",
                    f"{prefix}current-metrics": "[]",
                    f"{prefix}metrics": "[]",
                },
            },
        }
    )

    assert item["metadata"]["annotations"] == {f"{prefix}metrics": "[]"}


def test_what_is_only_called_an_autoscaler():
    """A custom resource of that kind keeps the annotations that it had."""
    name = "autoscaling.alpha.kubernetes.io/current-metrics"
    item = {**_item(annotations={name: "[]"}), "kind": "HorizontalPodAutoscaler"}

    other = reset(json.loads(json.dumps({**item, "apiVersion": "example.com/v1"})))
    own = reset({**item, "apiVersion": "autoscaling/v1"})

    assert other["metadata"]["annotations"] == {name: "[]"}
    assert own["metadata"]["annotations"] == {}
