"""ServiceAccounts in a backup bring what they are granted cluster-wide."""

import pytest

from kbackup.actions._backup_service_account import ServiceAccountAction
from kbackup.errors import ServerFaultError, UnsupportedByServerError
from kbackup.models import BackupSpec
from kbackup.plugins import Run
from kbackup.testing import StaticClusterReader, backup_input

BINDINGS = "clusterrolebindings.rbac.authorization.k8s.io"


def account(name="web", namespace="shop"):
    """A ServiceAccount."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": namespace},
    }


def binding(name, *subjects, role="view", kind="ClusterRole"):
    """A ClusterRoleBinding for subjects written ``Kind namespace name``."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"kind": kind, "name": role},
        "subjects": [
            dict(zip(("kind", "namespace", "name"), subject.split(), strict=True))
            for subject in subjects
        ],
    }


@pytest.fixture
def run():
    """The run of a backup."""
    return Run(uid="u-1", kind="backup", name="nightly")


@pytest.fixture
def action():
    """An action that has listed nothing yet."""
    return ServiceAccountAction()


def added(action, item, cluster, run, **spec):
    """What the action asks for."""
    given = backup_input(
        "serviceaccounts", item, cluster=cluster, run=run, spec=BackupSpec(**spec)
    )
    return [str(found) for found in action.execute(given).additional_items]


def test_bindings_and_roles(action, run):
    """Every binding that names the account is asked for, followed by its role."""
    cluster = StaticClusterReader(
        {
            BINDINGS: [
                binding("a", "ServiceAccount shop web", "ServiceAccount shop web"),
                binding("b:c", "User shop x", "ServiceAccount shop web", role="edit"),
                binding("other-name", "ServiceAccount shop other"),
                binding("other-namespace", "ServiceAccount bank web"),
                binding("a-group", "Group shop web"),
            ]
        }
    )

    assert added(action, account(), cluster, run) == [
        "clusterrolebindings.rbac.authorization.k8s.io/a",
        "clusterroles.rbac.authorization.k8s.io/view",
        "clusterrolebindings.rbac.authorization.k8s.io/b:c",
        "clusterroles.rbac.authorization.k8s.io/edit",
    ]


def test_bindings_are_listed_once_a_run(action, run):
    """A thousand accounts cost one LIST; another run lists again."""
    cluster = StaticClusterReader({BINDINGS: [binding("a", "ServiceAccount shop web")]})

    for number in range(1000):
        added(action, account(f"sa-{number}"), cluster, run)
    assert cluster.lists == {BINDINGS: 1}

    added(action, account(), cluster, Run(uid="u-2", kind="backup", name="next"))
    assert cluster.lists == {BINDINGS: 2}


def test_caller_with_rights_in_a_namespace_only(action, run):
    """Without the right to list bindings accounts are stored, with one warning."""
    cluster = StaticClusterReader(forbidden=[BINDINGS])

    assert added(action, account("a"), cluster, run) == []
    assert added(action, account("b"), cluster, run) == []

    (warning,) = run.results.warnings
    assert "clusterrolebindings" in warning.message
    assert "forbidden" in warning.message
    assert warning.plugin == "velero.io/service-account"


def test_a_list_of_bindings_that_fails(action, run):
    """Bindings that cannot be listed are one error; accounts are stored, asked for once."""

    class Broken(StaticClusterReader):
        asked = 0

        def list(self, group_resource, **selection):
            self.asked += 1
            raise ServerFaultError("list", str(group_resource), reason="no answer")

    cluster = Broken()

    assert added(action, account("a"), cluster, run) == []
    assert added(action, account("b"), cluster, run) == []

    (error,) = run.results.errors
    assert "clusterrolebindings" in error.message
    assert cluster.asked == 1


def test_cluster_scoped_items_left_out(action, run):
    """A backup without cluster-scoped items does not even look for grants."""
    cluster = StaticClusterReader({BINDINGS: [binding("a", "ServiceAccount shop web")]})

    found = added(action, account(), cluster, run, include_cluster_resources=False)

    assert found == []
    assert cluster.lists == {}


def test_cluster_without_rbac(action, run):
    """A server that does not serve RBAC grants nothing by it: no warning."""

    class Bare(StaticClusterReader):
        def list(self, group_resource, **selection):
            raise UnsupportedByServerError("list", str(group_resource))

    assert added(action, account(), Bare(), run) == []
    assert run.results.warnings == ()


def test_plain_roles_are_not_asked_for(action, run):
    """A binding to something that is not a ClusterRole comes alone."""
    cluster = StaticClusterReader(
        {BINDINGS: [binding("a", "ServiceAccount shop web", kind="Odd")]}
    )

    assert added(action, account(), cluster, run) == [
        "clusterrolebindings.rbac.authorization.k8s.io/a"
    ]
