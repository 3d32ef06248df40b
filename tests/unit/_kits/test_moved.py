"""An object as it would be under another namespace's name."""

import copy

import pytest

from kbackup._kits.moved import moved

RBAC = "rbac.authorization.k8s.io/v1"
ACCOUNT = {"kind": "ServiceAccount", "name": "web"}


def _object(kind, *, api_version="v1", namespace="", name="x", **parts):
    """An object."""
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **parts}


CASES = {
    "namespaced": lambda ns: _object("Secret", namespace=ns),
    "namespace": lambda ns: _object("Namespace", name=ns),
    "role binding": lambda ns: _object(
        "RoleBinding",
        api_version=RBAC,
        namespace=ns,
        subjects=[{**ACCOUNT, "namespace": ns}, {"kind": "Group", "name": "g"}],
    ),
    "cluster role binding": lambda ns: _object(
        "ClusterRoleBinding",
        api_version=RBAC,
        subjects=[{**ACCOUNT, "namespace": ns}],
    ),
    "volume": lambda ns: _object(
        "PersistentVolume", spec={"claimRef": {"namespace": ns, "name": "c"}}
    ),
    "unbound volume": lambda _: _object("PersistentVolume", spec={}),
    "of another group": lambda _: _object(
        "RoleBinding", api_version="example.com/v1", subjects=[{"namespace": "shop"}]
    ),
}


@pytest.mark.parametrize("make", CASES.values(), ids=CASES)
def test_what_is_renamed(make):
    """Names of namespaces are renamed where a restore renames them, and nowhere else."""
    given = make("shop")
    before = copy.deepcopy(given)

    assert moved(given, {"shop": "copy"}) == make("copy")
    assert moved(given, {"bank": "copy"}) == before
    assert given == before
