"""What stored objects refer to, so that a backup can say what points outside of it.

One pure function for each kind that refers; `References` collects while items are
stored and answers once at the end. What every cluster has by itself is no gap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from kbackup._kits.kinds import GroupKind, kind_of
from kbackup._kits.nested import mapping_at, objects_at, value_at
from kbackup._kits.storage_classes import storage_class_of
from kbackup.catalog import MissingReference
from kbackup.models import GroupResource, ResourceIdentifier, well_known
from kbackup.plugins.engine import ODD

_POD_CLASSES = {
    "priorityClassName": well_known.PRIORITY_CLASSES,
    "runtimeClassName": well_known.RUNTIME_CLASSES,
}
_DEPLOYMENT = ("apps", "Deployment")
_CRON_JOB = ("batch", "CronJob")
_STATEFUL_SETS = GroupResource("apps", "statefulsets")
# What an autoscaler scales; the plural of any other kind cannot be told from it.
_SCALABLE = {
    _DEPLOYMENT: GroupResource("apps", "deployments"),
    ("apps", "ReplicaSet"): well_known.REPLICA_SETS,
    ("", "ReplicationController"): GroupResource("", "replicationcontrollers"),
    ("apps", "StatefulSet"): _STATEFUL_SETS,
}
# Of a backend that stands for an action of the AWS Load Balancer Controller.
_PORT_OF_NO_SERVICE = "use-annotation"
# A label of what the server itself makes.
_BOOTSTRAPPING = "kubernetes.io/bootstrapping"
_RBAC = "rbac.authorization.k8s.io"
_ROLES = GroupResource(_RBAC, "roles")

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
        with suppress(*ODD):  # an item as no server has it refers to nothing further
            for target in finder(item, source.namespace):
                if _is_named(target) and not _is_everywhere(target):
                    self._first.setdefault(target, source)

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


def _is_named(target: _Target) -> bool:
    return all(isinstance(part, str) for part in target[1:])


def _is_everywhere(target: _Target) -> bool:
    group_resource, _, name = target
    if (group_resource, name) in _IN_EVERY_NAMESPACE:
        return True
    if group_resource == well_known.CLUSTER_ROLES:
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
    """Yield what a Pod, or the template of one, cannot be started without."""
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
        if "valueFrom" not in variable:
            continue  # most have a plain value, and there are many
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


def _templates_at(*path: str) -> _Finder:
    """Return the finder of a type that has the template of its Pods at *path*."""

    def find(item: _JSON, namespace: str) -> Iterator[_Target]:
        return _of_pod(mapping_at(item, *path), namespace)

    return find


def _unless_made_by(kind: GroupKind, finder: _Finder) -> _Finder:
    """Return a finder that leaves out what *kind* makes of a template of its own."""

    def find(item: _JSON, namespace: str) -> Iterable[_Target]:
        owners = objects_at(item, "metadata", "ownerReferences")
        if any(each.get("controller") and kind_of(each) == kind for each in owners):
            return ()
        return finder(item, namespace)

    return find


def _of_stateful_set(item: _JSON, namespace: str) -> Iterator[_Target]:
    spec = mapping_at(item, "spec")
    if service := spec.get("serviceName"):
        yield well_known.SERVICES, namespace, service
    claims = objects_at(spec, "volumeClaimTemplates")
    for claim in claims:
        yield from _of_volume(claim, "")
    # A claim of its own takes the place of the template's volume of that name.
    own = {mapping_at(claim, "metadata").get("name") for claim in claims}
    pod = mapping_at(spec, "template", "spec")
    volumes = [x for x in objects_at(pod, "volumes") if x.get("name") not in own]
    yield from _of_pod({"spec": {**pod, "volumes": volumes}}, namespace)


def _of_account(account: _JSON, namespace: str) -> Iterator[_Target]:
    for pull_secret in objects_at(account, "imagePullSecrets"):
        if name := pull_secret.get("name"):
            yield well_known.SECRETS, namespace, name


def _of_autoscaler(scaler: _JSON, namespace: str) -> Iterator[_Target]:
    target = mapping_at(scaler, "spec", "scaleTargetRef")
    scaled = _SCALABLE.get(kind_of(target))
    if scaled is not None and (name := target.get("name")):
        yield scaled, namespace, name


def _of_cluster_binding(binding: _JSON, namespace: str) -> Iterator[_Target]:
    role = mapping_at(binding, "roleRef")
    name = role.get("name")
    if not name:
        return
    if role.get("kind") == "ClusterRole":
        yield well_known.CLUSTER_ROLES, "", name
    else:
        yield _ROLES, namespace, name


def _of_binding(binding: _JSON, namespace: str) -> Iterator[_Target]:
    """Yield the role and the accounts that get it.

    Those of the whole cluster are not asked for accounts: they come with one account
    of a namespace, and name many elsewhere. The server's own bindings name accounts
    that only some clusters have.
    """
    yield from _of_cluster_binding(binding, namespace)
    if _BOOTSTRAPPING in mapping_at(binding, "metadata", "labels"):
        return
    for subject in objects_at(binding, "subjects"):
        if subject.get("kind") == "ServiceAccount" and (name := subject.get("name")):
            where = subject.get("namespace") or namespace
            yield well_known.SERVICE_ACCOUNTS, where, name


def _of_ingress(ingress: _JSON, namespace: str) -> Iterator[_Target]:
    spec = mapping_at(ingress, "spec")
    if name := spec.get("ingressClassName"):
        yield well_known.INGRESS_CLASSES, "", name
    for tls in objects_at(spec, "tls"):
        if name := tls.get("secretName"):
            yield well_known.SECRETS, namespace, name
    backends = [
        mapping_at(path, "backend")
        for rule in objects_at(spec, "rules")
        for path in objects_at(rule, "http", "paths")
    ]
    backends += [mapping_at(spec, "defaultBackend"), mapping_at(spec, "backend")]
    for backend in backends:
        if name := _service_of(backend):
            yield well_known.SERVICES, namespace, name


def _service_of(backend: _JSON) -> str:
    """Return the Service of a backend, in v1 or as before; empty: it has none."""
    service = mapping_at(backend, "service")
    port = value_at(service, "port", "name") or backend.get("servicePort")
    if port == _PORT_OF_NO_SERVICE:
        return ""
    name: str = service.get("name") or backend.get("serviceName") or ""
    return name


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


_of_template = _templates_at("spec", "template")
_FINDERS: dict[GroupResource, _Finder] = {
    well_known.PERSISTENT_VOLUME_CLAIMS: _of_claim,
    well_known.PERSISTENT_VOLUMES: _of_volume,
    well_known.PODS: _of_pod,
    well_known.SERVICE_ACCOUNTS: _of_account,
    GroupResource("", "podtemplates"): _templates_at("template"),
    GroupResource("", "replicationcontrollers"): _of_template,
    **{
        GroupResource(group, name): finder
        for group in ("apps", "extensions")
        for name, finder in (
            ("daemonsets", _of_template),
            ("deployments", _of_template),
            ("replicasets", _unless_made_by(_DEPLOYMENT, _of_template)),
        )
    },
    _STATEFUL_SETS: _of_stateful_set,
    well_known.JOBS: _unless_made_by(_CRON_JOB, _of_template),
    GroupResource("batch", "cronjobs"): _templates_at(
        "spec", "jobTemplate", "spec", "template"
    ),
    GroupResource("autoscaling", "horizontalpodautoscalers"): _of_autoscaler,
    GroupResource(_RBAC, "rolebindings"): _of_binding,
    well_known.CLUSTER_ROLE_BINDINGS: _of_cluster_binding,
    well_known.INGRESSES: _of_ingress,
    GroupResource("extensions", "ingresses"): _of_ingress,
    well_known.CRDS: _of_definition,
    well_known.MUTATING_WEBHOOKS: _of_webhooks,
    well_known.VALIDATING_WEBHOOKS: _of_webhooks,
}
