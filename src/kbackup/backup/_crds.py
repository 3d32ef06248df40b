"""Which CustomResourceDefinitions belong to what was stored. Pure.

Custom resources without their definition cannot be restored anywhere, so it is added
whenever nothing but a missing include stands against it. (Velero 1.18 counts a missing
include as an exclude there, and stores custom resources without their definition.)
"""

from __future__ import annotations

from collections.abc import Iterable

from kbackup.models import GroupResource, ResourceIdentifier, well_known

# Groups that the API server itself serves: their types have no definition.
_BUILT_IN = frozenset(
    {
        "",
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "apps",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "autoscaling",
        "batch",
        "certificates.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "events.k8s.io",
        "extensions",
        "flowcontrol.apiserver.k8s.io",
        "internal.apiserver.k8s.io",
        "networking.k8s.io",
        "node.k8s.io",
        "policy",
        "rbac.authorization.k8s.io",
        "resource.k8s.io",
        "scheduling.k8s.io",
        "storage.k8s.io",
        "storagemigration.k8s.io",
    }
)


def definitions_of(
    stored: Iterable[GroupResource],
) -> tuple[ResourceIdentifier, ...]:
    """Return the definitions that the stored types may have, by name."""
    return tuple(
        ResourceIdentifier(well_known.CRDS, "", str(group_resource))
        for group_resource in sorted(set(stored), key=str)
        if group_resource.group not in _BUILT_IN
    )
