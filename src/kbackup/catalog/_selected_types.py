"""What the types that an action's selector names mean in one backup.

The cluster in which is cleaned up need not be the one that was backed up, nor serve the
same types: what is in the archive counts first.
"""

from __future__ import annotations

from collections.abc import Collection

from kbackup.errors import BackupOwnsDataError
from kbackup.models import APIResource, GroupResource, well_known
from kbackup.plugins.engine import ActingCluster

_CORE = frozenset(
    {
        well_known.CONFIG_MAPS,
        well_known.ENDPOINTS,
        well_known.NAMESPACES,
        well_known.NODES,
        well_known.PERSISTENT_VOLUMES,
        well_known.PERSISTENT_VOLUME_CLAIMS,
        well_known.PODS,
        well_known.SECRETS,
        well_known.SERVICES,
        well_known.SERVICE_ACCOUNTS,
    }
)


class TypeNames:
    """Resolves names of types; asks the cluster only where the backup cannot tell.

    Args:
        backup: Its name.
        types: Those of which it holds items.
        cluster: None: a name that the backup cannot tell is refused, as an action that
            is passed over leaves behind what nobody will look for.
    """

    def __init__(
        self,
        backup: str,
        types: Collection[GroupResource],
        cluster: ActingCluster | None,
    ) -> None:
        self._backup = backup
        self._types = types
        self._cluster = cluster

    def resolve(self, text: str) -> GroupResource | APIResource | None:
        """Return the type that a full name, a plural or a short name means.

        Raises:
            BackupOwnsDataError: Only a cluster could tell, and there is none.
        """
        named = GroupResource.parse(text)
        if named.group or named in self._types or named in _CORE:
            return named
        plurals = [each for each in self._types if each.resource == named.resource]
        if len(plurals) == 1:
            return plurals[0]
        if self._cluster is not None:
            return self._cluster.reader().resolve(text)
        raise BackupOwnsDataError(
            self._backup,
            f"without a cluster nobody can tell whether {text!r}, which a "
            "DeleteItemAction applies to, means a type of its items",
            hint="give the cluster, or --files-only, which runs no action",
        )
