"""Pods are restored free of what the source cluster put into them."""

import pytest

from kbackup.actions._restore_pod import PodAction
from kbackup.testing import restore_input

TOKEN = {"name": "web-token-x1x2x", "secret": {"secretName": "web-token-x1x2x"}}
TOKEN_MOUNT = {"name": "web-token-x1x2x", "mountPath": "/var/run/secrets"}
DATA = {"name": "data", "emptyDir": {}}
DATA_MOUNT = {"name": "data", "mountPath": "/data"}


def pod(**spec):
    """A Pod of the account ``web`` with this spec."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web-0", "namespace": "shop"},
        "spec": {"serviceAccountName": "web", **spec},
    }


def execute(item):
    """What the action answers for a Pod."""
    return PodAction().execute(restore_input("pods", item))


def test_what_the_target_chooses():
    """Node and number of the priority are dropped, the class's name stays."""
    item = pod(nodeName="node-1", priority=0, priorityClassName="important")

    output = execute(item)

    assert output.item == pod(priorityClassName="important")
    assert [str(found) for found in output.additional_items] == [
        "priorityclasses.scheduling.k8s.io/important"
    ]


@pytest.mark.parametrize(
    "spec",
    [
        {"nodeName": "node-1"},
        {"priority": 0},
        {"ephemeralContainers": [{"name": "shell"}]},
        {"volumes": [TOKEN]},
    ],
    ids=lambda spec: next(iter(spec)),
)
def test_each_field_of_the_source_goes_by_itself(spec):
    """What the source chose goes, also where the Pod has nothing else of it."""
    action, given = PodAction(), restore_input("pods", pod(**spec))

    assert action.concerns(given.item)
    assert action.execute(given).item == pod()


def test_the_class_alone_is_asked_for():
    """A Pod that has nothing of the source but its PriorityClass comes with that."""
    output = execute(pod(priorityClassName="important"))

    assert [found.name for found in output.additional_items] == ["important"]


def test_most_pods_are_no_concern():
    """Where there is nothing to drop and to ask for, the action need not be asked."""
    assert not PodAction().concerns(pod(containers=[{"name": "web"}]))


def test_the_place_of_the_old_node():
    """Zone and region are those of the node that the Pod gets; other labels stay."""
    item = pod()
    item["metadata"]["labels"] = {
        "app": "web",
        "topology.kubernetes.io/zone": "eu-1a",
        "topology.kubernetes.io/region": "eu-1",
    }

    assert execute(item).item["metadata"]["labels"] == {"app": "web"}


def test_token_volumes_and_their_mounts_go():
    """The source's token is unmounted from containers and init containers."""
    item = pod(
        volumes=[TOKEN, DATA],
        containers=[{"name": "a", "volumeMounts": [DATA_MOUNT, TOKEN_MOUNT]}],
        initContainers=[{"name": "b", "volumeMounts": [TOKEN_MOUNT]}, {"name": "c"}],
    )

    assert execute(item).item == pod(
        volumes=[DATA],
        containers=[{"name": "a", "volumeMounts": [DATA_MOUNT]}],
        initContainers=[{"name": "b"}, {"name": "c"}],
    )


def test_only_volume_was_the_token():
    """A Pod whose only volume was the token has no volumes afterwards."""
    assert execute(pod(volumes=[TOKEN])).item == pod()


def test_user_volumes_of_a_similar_name_stay():
    """A volume that is named like a token but holds something else is the user's."""
    volumes = [
        {"name": "web-token-config", "configMap": {"name": "tokens"}},
        {"name": "web-token-mine", "secret": {"secretName": "mine"}},
        {"name": "kube-api-access-x", "projected": {"sources": []}},
    ]

    assert execute(pod(volumes=volumes)).item == pod(volumes=volumes)


def test_account_by_default():
    """A Pod that names no account had the token of the account ``default``."""
    name = "default-token-x1x2x"
    item = pod(volumes=[{"name": name, "secret": {"secretName": name}}])
    del item["spec"]["serviceAccountName"]

    assert execute(item).item["spec"] == {}


def test_debug_containers_go():
    """Ephemeral containers are dropped: no Pod can be created with them."""
    assert execute(pod(ephemeralContainers=[{"name": "debugger"}])).item == pod()
