"""How the target serves each type of a backup, decided once for each version of it.

A definition that this restore writes, or that the target has, counts before discovery
shows what it brings. Asked by the planner, item by item.
"""

from collections.abc import Mapping

import attrs

from kbackup._kits.controlled import TOLD_BY_STATUS
from kbackup._kits.crds import has_status, served_versions
from kbackup._kits.kinds import CRD
from kbackup.archive import TWINS, ArchiveContents, misfiled
from kbackup.models import (
    APIResource,
    GroupResource,
    Item,
    ResourceIdentifier,
    well_known,
)
from kbackup.restore._plan.state import PlanState
from kbackup.restore._request.request import RestoreRequest
from kbackup.restore._target.conversion import needed_conversion
from kbackup.restore._target.seen import TypeView
from kbackup.restore._target.serving import LEFT_AS_IT_IS, UNCHANGEABLE, unserved


class TypeViews:
    """The types of one backup as one target sees them; used by one thread."""

    def __init__(
        self,
        request: RestoreRequest,
        contents: ArchiveContents,
        state: PlanState,
        waves: Mapping[GroupResource, int],
    ) -> None:
        self._request = request
        self._contents = contents
        self._state = state
        self._waves = waves
        # By apiVersion, kind and type.
        self._views: dict[tuple[str, str, GroupResource], TypeView] = {}

    def of(self, item: Item) -> TypeView:
        """Return how items like this one are written and compared."""
        resource = item.identifier.group_resource
        key = (item.api_version, item.kind, resource)
        view = self._views.get(key)
        if view is None:
            made = self._make(resource, item)
            view = self._views[key] = attrs.evolve(
                made,
                is_claim=resource == well_known.PERSISTENT_VOLUME_CLAIMS,
                is_volume=resource == well_known.PERSISTENT_VOLUMES,
                is_endpoints=resource == well_known.ENDPOINTS,
                conversion=self._conversion(item),
                newer=TWINS.get(resource),
                status_apart=self._writes_status_apart(item, made.resource),
            )
            if _is_plain(view, item.kind):
                view = self._views[key] = attrs.evolve(view, is_plain=True)
        return view

    def _writes_status_apart(self, item: Item, served: APIResource | None) -> bool:
        """Whether the target has, or will have, a status sub-resource of the type."""
        if served is not None:
            return "status" in served.subresources
        type_name = str(item.identifier.group_resource)
        definition = ResourceIdentifier(well_known.CRDS, "", type_name)
        stored = self._contents.get(definition)
        version = item.api_version.rpartition("/")[2]
        return stored is None or has_status(stored.content, version)

    def _conversion(self, item: Item) -> str:
        request = self._request
        return needed_conversion(
            item,
            self._contents,
            request.discovery,
            request.reader,
            is_brought=str(item.identifier.group_resource) in self._state.brought,
        )

    def use(self, item: Item, view: TypeView) -> None:
        """Let *view* hold from now on for items like this one."""
        key = (item.api_version, item.kind, item.identifier.group_resource)
        self._views[key] = view

    def _make(self, resource: GroupResource, item: Item) -> TypeView:
        discovery = self._request.discovery
        wave = self._waves[resource]
        served = discovery.by_kind(item.api_version, item.kind)
        if served is not None:
            head = (item.api_version, item.kind)
            problem = misfiled(resource, served.group_resource, head)
            if problem:  # the live objects to look at are those of the other items
                served = discovery.get(resource)
            return TypeView(resource=served, wave=wave, problem=problem)
        if (CRD, "", str(resource)) in self._state.present:
            problem = self._not_brought(resource, item)
            return TypeView(resource=None, wave=wave, problem=problem)
        for failure in discovery.failures:
            if failure.group_version.partition("/")[0] == resource.group:
                reason = f"the target's {failure.group_version} cannot be read"
                return TypeView(resource=None, wave=wave, unreadable=reason)
        problem = self._unserved(resource, item)
        if conversion := self._request.conversions.of(item):  # and it was refused
            served = discovery.by_kind(conversion.target, item.kind)
            return TypeView(resource=served, wave=wave, problem=problem)
        definition = ResourceIdentifier(well_known.CRDS, "", str(resource))
        if discovery.get(resource) is None and definition in self._contents:
            problem += "; its CRD is in the backup, but not in this restore"
        return TypeView(resource=None, wave=wave, problem=problem)

    def _unserved(self, resource: GroupResource, item: Item) -> str:
        request, stored = self._request, self._contents.other_versions(resource)
        if request.options.enable_api_group_versions:
            stored = ()  # whoever chose from them has found none
        head = (item.api_version, item.kind)
        return unserved(resource, *head, request.discovery, stored=stored)

    def _not_brought(self, resource: GroupResource, item: Item) -> str:
        """Why the target's definition, which stays as it is, does not bring a version."""
        if str(resource) in self._state.brought:
            return ""
        definition = ResourceIdentifier(well_known.CRDS, "", str(resource))
        kept = self._request.reader.find(definition).content
        if kept is None or item.api_version.rpartition("/")[2] in served_versions(kept):
            return ""  # discovery was a moment too early
        problem = self._unserved(resource, item)
        updates = self._request.policies.of(definition).update_cluster
        return f"{problem}; {UNCHANGEABLE if updates else LEFT_AS_IT_IS}"


def _is_plain(view: TypeView, kind: str) -> bool:
    """Whether most items of a type are decided about by themselves alone."""
    is_served = view.resource is not None and not (view.problem or view.unreadable)
    is_special = view.is_claim or view.is_volume or view.is_endpoints or view.newer
    return is_served and not (is_special or view.conversion or kind in TOLD_BY_STATUS)
