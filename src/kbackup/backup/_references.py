"""What stored objects refer to, so that a backup can say what points outside of it.

One pure function for each kind that refers; `References` collects while items are
stored and answers once at the end. What every cluster has by itself is no gap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from kbackup._kits.nested import mapping_at, objects_at
from kbackup._kits.storage_classes import storage_class_of
from kbackup.catalog import MissingReference
from kbackup.models import GroupResource, ResourceIdentifier, well_known

_POD_CLASSES = {
    "priorityClassName": well_known.PRIORITY_CLASSES,
    "runtimeClassName": well_known.RUNTIME_CLASSES,
}
_RBAC = "rbac.authorization.k8s.io"
_ROLES = GroupResource(_RBAC, "roles")
_CLUSTER_ROLES = GroupResource(_RBAC, "clusterroles")
_WEBHOOKS = "admissionregistration.k8s.io"

_JSON = Mapping[str, Any]
_Target = tuple[GroupResource, str, str]  # type, namespace, name
_Finder = Callable[[_JSON, str], Iterable[_Target]]

# Of a claim that is not bound yet; a bound one is stored without its source. The plural
# of any other kind cannot be told from a claim.
_CLAIM_SOURCES = {
    ("", "PersistentVolumeClaim"): well_known.PERSISTENT_VOLUME_CLAIMS,
    ("snapshot.storage.k8s.io", "VolumeSnapshot"): well_known.VOLUME_SNAPSHOTS,
}
_IN_EVERY_NAMESPACE = {
    (well_known.SERVICE_ACCOUNTS, "default"),
    (well_known.CONFIG_MAPS, "kube-root-ca.crt"),
    (well_known.CONFIG_MAPS, "openshift-service-ca.crt"),
}
_BUILT_IN_ROLES = frozenset({"admin", "cluster-admin", "edit", "view"})


def finder_for(group_resource: GroupResource) -> _Finder | None:
    """Return what finds the references of a type's objects; None: it has none."""
    return _FINDERS.get(group_resource)


class References:
    """The references of everything stored in one run; used by one thread.

    Of each target only its first referrer is kept: memory follows the targets.
    """

    def __init__(self) -> None:
        self._first: dict[_Target, ResourceIdentifier] = {}

    def note(self, finder: _Finder, item: _JSON, source: ResourceIdentifier) -> None:
        """Keep what a stored item refers to."""
        for target in finder(item, source.namespace):
            if target not in self._first and not _is_everywhere(target):
                self._first[target] = source

    def missing(
        self, stored: Callable[[GroupResource, str, str], bool]
    ) -> tuple[MissingReference, ...]:
        """Return what is referred to and not stored, by type, namespace and name."""
        return tuple(
            MissingReference(
                item=source, refers_to=ResourceIdentifier(*target), kind=str(target[0])
            )
            for target, source in sorted(self._first.items())
            if not stored(*target)
        )


def _is_everywhere(target: _Target) -> bool:
    group_resource, _, name = target
    if (group_resource, name) in _IN_EVERY_NAMESPACE:
        return True
    if group_resource == _CLUSTER_ROLES:
        return name in _BUILT_IN_ROLES or name.startswith("system:")
    return group_resource == well_known.PRIORITY_CLASSES and name.startswith("system-")


def _of_claim(claim: _JSON, namespace: str) -> Iterator[_Target]:
    spec = mapping_at(claim, "spec")
    source = mapping_at(spec, "dataSourceRef") or mapping_at(spec, "dataSource")
    kind = _CLAIM_SOURCES.get((source.get("apiGroup") or "", source.get("kind", "")))
    if kind is not None and (name := source.get("name")):
        yield kind, source.get("namespace") or namespace, name
    if volume := spec.get("volumeName"):
        yield well_known.PERSISTENT_VOLUMES, "", volume
    if storage_class := storage_class_of(claim):
        yield well_known.STORAGE_CLASSES, "", storage_class


def _of_volume(volume: _JSON, _: str) -> Iterator[_Target]:
    if storage_class := storage_class_of(volume):
        yield well_known.STORAGE_CLASSES, "", storage_class


def _of_pod(pod: _JSON, namespace: str) -> Iterator[_Target]:
    spec = mapping_at(pod, "spec")
    if account := spec.get("serviceAccountName"):
        yield well_known.SERVICE_ACCOUNTS, namespace, account
    for key, classes in _POD_CLASSES.items():
        if name := spec.get(key):
            yield classes, "", name
    for pull_secret in objects_at(spec, "imagePullSecrets"):
        if name := pull_secret.get("name"):
            yield well_known.SECRETS, namespace, name
    for volume in objects_at(spec, "volumes"):
        for group_resource, name in _of_pod_volume(volume):
            yield group_resource, namespace, name
    containers = objects_at(spec, "containers") + objects_at(spec, "initContainers")
    for container in containers:
        for group_resource, name in _of_environment(container):
            yield group_resource, namespace, name


def _of_pod_volume(volume: _JSON) -> Iterator[tuple[GroupResource, str]]:
    if name := mapping_at(volume, "persistentVolumeClaim").get("claimName"):
        yield well_known.PERSISTENT_VOLUME_CLAIMS, name
    yield from _required(volume, "secret", well_known.SECRETS, "secretName")
    yield from _required(volume, "configMap", well_known.CONFIG_MAPS)
    for source in objects_at(volume, "projected", "sources"):
        yield from _required(source, "secret", well_known.SECRETS)
        yield from _required(source, "configMap", well_known.CONFIG_MAPS)


def _of_environment(container: _JSON) -> Iterator[tuple[GroupResource, str]]:
    for source in objects_at(container, "envFrom"):
        yield from _required(source, "secretRef", well_known.SECRETS)
        yield from _required(source, "configMapRef", well_known.CONFIG_MAPS)
    for variable in objects_at(container, "env"):
        value = mapping_at(variable, "valueFrom")
        yield from _required(value, "secretKeyRef", well_known.SECRETS)
        yield from _required(value, "configMapKeyRef", well_known.CONFIG_MAPS)


def _required(
    holder: _JSON, field: str, group_resource: GroupResource, key: str = "name"
) -> Iterator[tuple[GroupResource, str]]:
    """Yield what the source in *field* names, unless the Pod can do without."""
    source = mapping_at(holder, field)
    name = source.get(key)
    if name and not source.get("optional"):
        yield group_resource, name


def _of_binding(binding: _JSON, namespace: str) -> Iterator[_Target]:
    role = mapping_at(binding, "roleRef")
    name = role.get("name")
    if not name:
        return
    if role.get("kind") == "ClusterRole":
        yield _CLUSTER_ROLES, "", name
    else:
        yield _ROLES, namespace, name


def _of_ingress(ingress: _JSON, _: str) -> Iterator[_Target]:
    if name := mapping_at(ingress, "spec").get("ingressClassName"):
        yield well_known.INGRESS_CLASSES, "", name


def _of_webhooks(configuration: _JSON, _: str) -> Iterator[_Target]:
    for webhook in objects_at(configuration, "webhooks"):
        service = mapping_at(webhook, "clientConfig", "service")
        if name := service.get("name"):
            yield well_known.SERVICES, service.get("namespace", ""), name


def _of_definition(definition: _JSON, _: str) -> Iterator[_Target]:
    client = mapping_at(definition, "spec", "conversion", "webhook", "clientConfig")
    service = mapping_at(client, "service")
    if name := service.get("name"):
        yield well_known.SERVICES, service.get("namespace", ""), name


_FINDERS: dict[GroupResource, _Finder] = {
    well_known.PERSISTENT_VOLUME_CLAIMS: _of_claim,
    well_known.PERSISTENT_VOLUMES: _of_volume,
    well_known.PODS: _of_pod,
    GroupResource(_RBAC, "rolebindings"): _of_binding,
    GroupResource(_RBAC, "clusterrolebindings"): _of_binding,
    well_known.INGRESSES: _of_ingress,
    well_known.CRDS: _of_definition,
    GroupResource("extensions", "ingresses"): _of_ingress,
    GroupResource(_WEBHOOKS, "mutatingwebhookconfigurations"): _of_webhooks,
    GroupResource(_WEBHOOKS, "validatingwebhookconfigurations"): _of_webhooks,
}
