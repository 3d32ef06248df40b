"""The sample shop in a simulated cluster, which lives on after it was backed up."""

from kbackup.backup import BackupEngine
from kbackup.models import BackupSpec
from kbackup.testing import load_sample_shop


class LivingShop:
    """A cluster with the sample shop in it, and a store.

    Attributes:
        simulated: The cluster.
        cluster: A connection to it.
        store: Where the backups go.
    """

    def __init__(self, simulated, cluster, store):
        """Load the shop."""
        self.simulated, self.cluster, self.store = simulated, cluster, store
        load_sample_shop(cluster)

    def back_up(self, name="b", options=None, **spec):
        """Make a backup; without a spec, of namespace shop."""
        given = spec or {"included_namespaces": ["shop"]}
        BackupEngine(self.cluster, self.store).run(name, BackupSpec(**given), options)

    def load(self, *objects):
        """Put objects into the cluster."""
        self.simulated.load(objects)

    def delete(self, api_version, kind, name, namespace="shop"):
        """Delete an object."""
        resource = self.cluster.discover().by_kind(api_version, kind)
        self.cluster.delete(resource, name, namespace=namespace)

    def patch(self, kind, name, patch, namespace="shop"):
        """Change an object of the core group."""
        resource = self.cluster.discover().by_kind("v1", kind)
        self.cluster.patch(resource, name, patch, namespace=namespace)
