"""Which conversion an item of a version needs, told from what the target serves."""

import pytest

from kbackup.cluster import Discovery, DiscoveryFailure
from kbackup.models import APIResource, GroupResource
from kbackup.restore._target.converting import conversion_for


def served(api_version, resource="ingresses", kind="Ingress"):
    """A type as a target serves it."""
    group, _, version = api_version.rpartition("/")
    return APIResource(
        group=group, version=version, resource=resource, kind=kind, namespaced=True
    )


EXTENSIONS = GroupResource.parse("ingresses.extensions")
HEAD = ("extensions/v1beta1", "Ingress")


@pytest.mark.parametrize(
    ("versions", "target"),
    [
        (["extensions/v1beta1", "networking.k8s.io/v1"], ""),
        (["networking.k8s.io/v1"], "networking.k8s.io/v1"),
        (["networking.k8s.io/v1beta1"], "networking.k8s.io/v1beta1"),
        (
            ["networking.k8s.io/v1beta1", "networking.k8s.io/v1"],
            "networking.k8s.io/v1beta1",
        ),
        (["networking.k8s.io/v2"], ""),
        ([], ""),
    ],
    ids=["served", "newest", "same fields", "both", "unknown", "none"],
)
def test_the_target_converts_what_it_can(versions, target):
    """Of the versions that are served the one with the same fields is taken."""
    discovery = Discovery(map(served, versions))

    found = conversion_for(EXTENSIONS, HEAD, discovery)

    assert (found.target if found else "") == target


def test_an_item_that_is_filed_under_another_type():
    """What an archive files wrongly is not made right by a conversion."""
    discovery = Discovery([served("networking.k8s.io/v1")])

    assert conversion_for(GroupResource.parse("secrets"), HEAD, discovery) is None


def test_a_group_that_the_target_cannot_tell_of():
    """A version that may be served after all is not converted on a guess."""
    failure = DiscoveryFailure("extensions/v1beta1", "503")
    discovery = Discovery([served("networking.k8s.io/v1")], [failure])

    assert conversion_for(EXTENSIONS, HEAD, discovery) is None
