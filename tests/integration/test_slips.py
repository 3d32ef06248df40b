"""Names that a real API server knows nothing of, in what a backup is to hold."""

import pytest

from kbackup.backup import BackupEngine
from kbackup.catalog import BackupStore
from kbackup.cluster import Cluster
from kbackup.errors import InvalidSpecError
from kbackup.models import BackupSpec, LabelSelector

pytestmark = pytest.mark.integration


def test_slips_in_what_is_named(real_cluster, namespace, tmp_path):
    """What the cluster does not have is refused with what was meant; excludes are told."""
    api = real_cluster.api()
    api.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    with (
        Cluster.connect(real_cluster.kubeconfig) as cluster,
        BackupStore.open(tmp_path) as store,
    ):
        engine = BackupEngine(cluster, store)
        with pytest.raises(InvalidSpecError) as absent:
            engine.run("b", BackupSpec(included_namespaces=[f"{namespace}x"]))
        with pytest.raises(InvalidSpecError) as unknown:
            engine.run("b", BackupSpec(included_resources=["deploymnts"]))
        spec = BackupSpec(
            included_namespaces=[namespace], excluded_resources=["seccrets"]
        )
        told = [str(each) for each in engine.run("b", spec).results.warnings]
        selector = LabelSelector(match_labels={"app": "none"})
        spec = BackupSpec(included_namespaces=[namespace], label_selector=selector)
        mere = engine.run("mere", spec)

    assert absent.value.hint == f"the nearest namespace is {namespace}"
    assert unknown.value.hint == "the nearest type is deployments.apps"
    assert "excluded resource 'seccrets': the cluster serves no such type" in told
    words = f"nothing was selected: this backup holds only Namespace {namespace}"
    assert words in [str(each) for each in mere.results.warnings]
    assert mere.exit_code == 3
