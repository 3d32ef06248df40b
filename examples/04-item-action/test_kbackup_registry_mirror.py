"""Images move to the mirror, and the action keeps its contract."""

from typing import Any

import pytest
from kbackup_registry_mirror import RegistryMirrorAction

from kbackup.plugins import RestoreInput
from kbackup.testing import RestoreItemActionContract, restore_input


def deployment(*images: str, **pod: Any) -> dict[str, Any]:
    """A Deployment with a container for each image."""
    containers = [{"name": f"c{n}", "image": image} for n, image in enumerate(images)]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"template": {"spec": {"containers": containers, **pod}}},
    }


INPUTS = {
    "mirrored": deployment("docker.io/library/nginx:1"),
    "elsewhere": deployment("quay.io/x/y:1"),
    "bare": {key: deployment()[key] for key in ("apiVersion", "kind", "metadata")},
}


class TestRegistryMirrorAction(RestoreItemActionContract):
    """The action keeps the promises of every restore item action."""

    @pytest.fixture
    def action(self) -> RegistryMirrorAction:
        """The action."""
        return RegistryMirrorAction()

    @pytest.fixture(params=INPUTS.values(), ids=list(INPUTS))
    def given(self, request: pytest.FixtureRequest) -> RestoreInput:
        """What the action is given."""
        return restore_input("deployments.apps", request.param)


def test_images_of_docker_hub_move() -> None:
    """Only images of Docker Hub are pulled from the mirror, init containers' too."""
    init = [{"name": "i", "image": "docker.io/library/busybox:1"}]
    item = deployment("docker.io/library/nginx:1", "quay.io/x/y:1", initContainers=init)

    given = restore_input("deployments.apps", item)
    output = RegistryMirrorAction().execute(given)

    moved = [{"name": "i", "image": "mirror.example.com/library/busybox:1"}]
    assert output.item == deployment(
        "mirror.example.com/library/nginx:1", "quay.io/x/y:1", initContainers=moved
    )
