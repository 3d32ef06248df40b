"""Which type is written before which.

Velero 1.18's order with the changes that keep controllers, webhooks and quotas from
working against the restore. Pure: types in, waves out. Called by the planner.
"""

from collections.abc import Iterable, Mapping, Sequence

import attrs

from kbackup.models import GroupResource, ResourceIdentifier, well_known

Edge = tuple[ResourceIdentifier, ResourceIdentifier]

HIGH: tuple[str, ...] = (
    "customresourcedefinitions.apiextensions.k8s.io",
    "namespaces",
    "storageclasses.storage.k8s.io",
    "volumesnapshotclasses.snapshot.storage.k8s.io",
    "volumesnapshotcontents.snapshot.storage.k8s.io",
    "volumesnapshots.snapshot.storage.k8s.io",
    "datauploads.velero.io",
    "persistentvolumes",
    "persistentvolumeclaims",
    "clusterroles.rbac.authorization.k8s.io",
    "roles.rbac.authorization.k8s.io",
    "serviceaccounts",
    "clusterrolebindings.rbac.authorization.k8s.io",
    "rolebindings.rbac.authorization.k8s.io",
    "secrets",
    "configmaps",
    "limitranges",
    "priorityclasses.scheduling.k8s.io",
    "runtimeclasses.node.k8s.io",
    # A Pod that starts before its policy exists may talk to everybody.
    "networkpolicies.networking.k8s.io",
    "pods",
    # Children before owners: the Deployment adopts what it finds instead of making it.
    "controllerrevisions.apps",
    "replicasets.apps",
    "clusterclasses.cluster.x-k8s.io",
    "endpoints",
    "services",
)
"""Written in this order before everything that is not named here."""

LOW: tuple[str, ...] = (
    "clusterbootstraps.run.tanzu.vmware.com",
    "clusters.cluster.x-k8s.io",
    "clusterresourcesets.addons.cluster.x-k8s.io",
    "apps.kappctrl.k14s.io",
    "packageinstalls.packaging.carvel.dev",
    # After the workloads: each of these can refuse or redirect what comes later.
    "apiservices.apiregistration.k8s.io",
    "resourcequotas",
    "validatingadmissionpolicybindings.admissionregistration.k8s.io",
    "mutatingadmissionpolicybindings.admissionregistration.k8s.io",
    "validatingwebhookconfigurations.admissionregistration.k8s.io",
    "mutatingwebhookconfigurations.admissionregistration.k8s.io",
)
"""Written last, in this order."""

_OLD_GROUPS = {
    # Twins and earlier homes of the types above take the same place.
    GroupResource.parse(
        "networkpolicies.extensions"
    ): "networkpolicies.networking.k8s.io",
    GroupResource.parse("replicasets.extensions"): "replicasets.apps",
}
_STEP = 10  # from type to type: a chain of nine items that ask for the next fits in
SEPARATOR = "-"
"""Velero's sign between high and low priorities in one list."""


@attrs.frozen(kw_only=True)
class Priorities:
    """An order of types: first, everything else by name, last.

    Attributes:
        high: Written first, in this order.
        low: Written last, in this order.
    """

    high: tuple[str, ...] = HIGH
    low: tuple[str, ...] = LOW
    _ranks: Mapping[str, tuple[int, int, str]] = attrs.field(init=False, repr=False)

    @_ranks.default
    def _make_ranks(self) -> dict[str, tuple[int, int, str]]:
        low = {name: (2, index, "") for index, name in enumerate(self.low)}
        high = {name: (0, index + 1, "") for index, name in enumerate(self.high)}
        return {
            **low,
            **high,
            str(well_known.CRDS): (0, -1, ""),
            str(well_known.NAMESPACES): (0, 0, ""),
        }

    @classmethod
    def of(cls, names: Sequence[str] | None) -> "Priorities":
        """The user's own list, a lone ``-`` before the last ones; None: the usual.

        Types stand there by their full names.

        CRDs and Namespaces stay first whatever the list says: nothing can be written
        without them.
        """
        if names is None:
            return cls()
        names = tuple(names)
        if SEPARATOR not in names:
            return cls(high=names, low=())
        at = names.index(SEPARATOR)
        return cls(high=names[:at], low=names[at + 1 :])

    def rank(self, resource: GroupResource) -> tuple[int, int, str]:
        """Sorts types: lower is written earlier."""
        name = _OLD_GROUPS.get(resource, str(resource))
        return self._ranks.get(name, (1, 0, ""))


def type_waves(
    resources: Iterable[GroupResource], priorities: Priorities
) -> dict[GroupResource, int]:
    """Number the wave of each type; types of equal rank share one.

    The numbers leave room between them for what `pull_forward` puts there.
    """
    ranks = {resource: priorities.rank(resource) for resource in resources}
    order = {rank: index for index, rank in enumerate(sorted(set(ranks.values())), 1)}
    return {resource: order[rank] * _STEP for resource, rank in ranks.items()}


def pull_forward(
    waves: Mapping[ResourceIdentifier, int],
    edges: Iterable[Edge],
) -> dict[ResourceIdentifier, int]:
    """Number anew what an item asked for and would come too late.

    Args:
        waves: The wave of every item of the edges, by its type.
        edges: Pairs (item, additional item that it asked for): the second is written
            in an earlier wave. Where items ask for each other in a circle they share
            one, because nobody may wait for himself.

    Returns:
        The items that move, with their new waves.
    """
    known = [pair for pair in edges if pair[0] in waves and pair[1] in waves]
    pairs = _without_circles(known)
    moved: dict[ResourceIdentifier, int] = {}
    # Each round settles one more link of the longest chain, as far as there is room
    # between two types.
    for _ in range(_STEP - 1):
        before = dict(moved)
        for asks, wanted in pairs:
            limit = moved.get(asks, waves[asks])
            late = moved.get(wanted, waves[wanted]) >= limit
            if late:
                moved[wanted] = limit - 1
        if moved == before:
            break
    return moved


def _without_circles(edges: Iterable[Edge]) -> list[Edge]:
    """Return the edges, each once, that are part of no circle."""
    wanted_by: dict[ResourceIdentifier, list[ResourceIdentifier]] = {}
    for asks, wanted in dict.fromkeys(edges):
        wanted_by.setdefault(asks, []).append(wanted)

    def leads(start: ResourceIdentifier, goal: ResourceIdentifier) -> bool:
        seen, waiting = {start}, [start]
        while waiting:
            here = waiting.pop()
            if here == goal:
                return True
            following = set(wanted_by.get(here, ())) - seen
            seen |= following
            waiting += following
        return False

    return [
        (asks, wanted)
        for asks, all_wanted in wanted_by.items()
        for wanted in all_wanted
        if not leads(wanted, asks)
    ]
