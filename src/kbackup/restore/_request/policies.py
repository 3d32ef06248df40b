"""Which policy an object of the target has, by its name, its type or its scope.

Pure: the user's words, resolved once for a restore. What a policy then means for one
object is decided in `_comparing.existing`.
"""

from collections.abc import Iterable, Iterator, Mapping

import attrs

from kbackup._kits.words import suggestion
from kbackup.errors import InvalidSpecError
from kbackup.models import (
    ExistingPolicy,
    ExistingResourcePolicy,
    GroupResource,
    ResourceIdentifier,
    RestoreOptions,
    RestoreSpec,
    well_known,
)
from kbackup.restore._comparing.existing import ExistingRules
from kbackup.restore._request.filters import TypeNames

_ALL = "*"
_OPTION = "existing_policies"
# With these goes what nobody could bring back: data, or all that is inside.
_NEVER_DELETED: Mapping[GroupResource, str] = {
    well_known.CRDS: "all objects of its type",
    well_known.NAMESPACES: "all that is in it",
    well_known.PERSISTENT_VOLUMES: "its data",
    well_known.PERSISTENT_VOLUME_CLAIMS: "its data",
}


@attrs.frozen
class Policies:
    """The rules for each object of one restore.

    Attributes:
        general: Where nothing more is said.
        named: By object of the target, and by type.
        namespaced: Of all that are in a namespace; None: the general rules.
        objects: What each name of an object may mean: one may be of several types.
    """

    general: ExistingRules
    named: Mapping[ResourceIdentifier | GroupResource, ExistingRules] = attrs.field(
        factory=dict
    )
    namespaced: ExistingRules | None = None
    objects: Mapping[str, tuple[ResourceIdentifier, ...]] = attrs.field(factory=dict)

    def of(self, target: ResourceIdentifier) -> ExistingRules:
        """The rules for one object of the target."""
        if self.named:
            named = self.named.get(target) or self.named.get(target.group_resource)
            if named is not None:
                return named
        if self.namespaced is not None and target.namespace:
            return self.namespaced
        return self.general


def policy_violations(options: RestoreOptions) -> list[str]:
    """What speaks against the policies before backup and target are known."""
    broken = []
    policies = options.existing_policies
    if policies.get(_ALL) == "recreate":
        broken.append(
            f"{_OPTION}: recreate is by type or object only, for what is deleted is to "
            "be named"
        )
    if options.force_conflicts and "apply" not in policies.values():
        broken.append("force_conflicts is for the policy apply, which nothing has")
    return broken


def type_of(name: str) -> str:
    """The type in the name of a type or of an object."""
    return name.partition("/")[0]


def make_policies(
    spec: RestoreSpec, options: RestoreOptions, names: TypeNames
) -> Policies:
    """Resolve what the user allows to be done to objects that exist.

    Raises:
        InvalidSpecError: A name means no type or object, or what holds others or data
            would be deleted.
    """
    general = _general_rules(spec, options)
    named: dict[ResourceIdentifier | GroupResource, ExistingRules] = {}
    broken: list[str] = []
    unknown: list[str] = []
    namespaced = None
    objects: dict[str, tuple[ResourceIdentifier, ...]] = {}
    for name, policy in options.existing_policies.items():
        rules = _rules_of(policy, general, force=options.force_conflicts)
        if name == _ALL:
            namespaced = rules
            continue
        types = names.all_of(type_of(name))
        if not types:
            unknown.append(name)
            broken.append(f"{_OPTION}: neither target nor backup has a type {name}")
        if policy == "recreate":
            broken += _guarded(name, types)
        meant = tuple(_meant(name, types, broken))
        named.update(dict.fromkeys(meant, rules))
        if refs := tuple(x for x in meant if isinstance(x, ResourceIdentifier)):
            objects[name] = refs
    if broken:
        slips = [names.nearest(type_of(name)) for name in unknown]
        raise InvalidSpecError(broken, hint=suggestion("type", slips))
    return Policies(general, named, namespaced, objects)


def _general_rules(spec: RestoreSpec, options: RestoreOptions) -> ExistingRules:
    update = ExistingResourcePolicy.UPDATE
    return ExistingRules(
        update=spec.existing_resource_policy == update,
        update_cluster=options.existing_cluster_resource_policy == update,
        keep_node_ports=bool(spec.preserve_node_ports),
        is_copy=any(a != b for a, b in spec.namespace_mapping.items()),
    )


def _rules_of(
    policy: ExistingPolicy, general: ExistingRules, *, force: bool
) -> ExistingRules:
    changes = policy != "none"
    return attrs.evolve(
        general,
        update=changes,
        update_cluster=changes,
        recreate=policy == "recreate",
        apply=policy == "apply",
        force=force and policy == "apply",
    )


def _guarded(name: str, types: Iterable[GroupResource]) -> Iterator[str]:
    """Why what a name means is never deleted."""
    for type_ in types:
        if goes := _NEVER_DELETED.get(type_):
            yield f"{_OPTION}: {name} is never deleted, for {goes} would go with it"


def _meant(
    name: str, types: Iterable[GroupResource], broken: list[str]
) -> Iterator[ResourceIdentifier | GroupResource]:
    """The types, or the objects, that a name means."""
    _, slash, rest = name.partition("/")
    namespace, _, of_object = rest.rpartition("/")
    if slash and (not of_object or "/" in namespace):
        broken.append(f"{_OPTION}: {name} is no TYPE, TYPE/NAME or TYPE/NAMESPACE/NAME")
        return
    for type_ in types:
        yield ResourceIdentifier(type_, namespace, of_object) if slash else type_
