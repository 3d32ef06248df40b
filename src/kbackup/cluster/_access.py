"""What actions and hooks are given of a cluster, and what a caller may do there.

`Reader` and `Writer` are the `ClusterReader` and `ClusterWriter` of the plugins'
interfaces; a `Writer` can be revoked. Made by the facade.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import msgspec

from kbackup._kits.workers import Cancelled, CancelToken
from kbackup.cluster._errors import Subject
from kbackup.cluster._objects import Objects
from kbackup.errors import (
    ClusterError,
    ForbiddenError,
    ItemNotFoundError,
    UnsupportedByServerError,
)
from kbackup.models import APIResource, GroupResource, ResourceIdentifier, ServerVersion

if TYPE_CHECKING:
    from kbackup.cluster._cluster import Cluster

_REVOKED = "the writer was revoked: an action may act only while it is asked to"
_REVIEWS = "/apis/authentication.k8s.io"
_REVIEW_VERSIONS = ("v1", "v1beta1", "v1alpha1")  # none before 1.26
_ACCESS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


class Reader:
    """The cluster, for reading; shared freely between threads."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._cluster!r})"

    def get(
        self, identifier: ResourceIdentifier, *, version: str = ""
    ) -> Mapping[str, Any] | None:
        """Return one object, or None where there is none or no such type."""
        discovery = self._cluster.discover()
        resource = discovery.get(identifier.group_resource, version)
        if resource is None:
            return None
        try:
            name, namespace = identifier.name, identifier.namespace
            return self._cluster.get(resource, name, namespace).content
        except (ItemNotFoundError, UnsupportedByServerError):
            return None

    def list(
        self,
        group_resource: GroupResource,
        *,
        namespace: str = "",
        label_selector: str = "",
    ) -> Iterator[Mapping[str, Any]]:
        """Yield the objects of a type; none where the server has no such type."""
        resource = self._cluster.discover().get(group_resource)
        if resource is None:
            return
        for item in self._cluster.list(
            resource, namespace=namespace, label_selector=label_selector
        ):
            yield msgspec.json.decode(item.json())

    def resolve(self, text: str) -> APIResource | None:
        """Return the type that a plural, short, singular or full name means."""
        return self._cluster.discover().resolve(text)

    def server_version(self) -> ServerVersion:
        """Return what the API server reports."""
        return self._cluster.version()


class Writer(Reader):
    """The cluster, for reading and writing, until it is revoked or the run cancelled.

    Args:
        cluster: Bound to *token*.
        token: Belongs to this writer alone; cancelled by revoking.
    """

    def __init__(self, cluster: Cluster, token: CancelToken) -> None:
        super().__init__(cluster)
        self._token = token
        self._revoked = threading.Event()

    def revoke(self) -> None:
        """Refuse every use from now on.

        A request that the server has is not called back; it is not sent again.
        """
        self._revoked.set()
        self._token.cancel(_REVOKED)

    def get(
        self, identifier: ResourceIdentifier, *, version: str = ""
    ) -> Mapping[str, Any] | None:
        """Return one object, or None where there is none or no such type."""
        with self._using("get", identifier):
            return super().get(identifier, version=version)

    def list(
        self,
        group_resource: GroupResource,
        *,
        namespace: str = "",
        label_selector: str = "",
    ) -> Iterator[Mapping[str, Any]]:
        """Yield the objects of a type; none where the server has no such type."""
        with self._using("list", group_resource):
            yield from super().list(
                group_resource, namespace=namespace, label_selector=label_selector
            )

    def resolve(self, text: str) -> APIResource | None:
        """Return the type that a plural, short, singular or full name means."""
        with self._using("resolve", text):
            return super().resolve(text)

    def create(self, item: Mapping[str, Any]) -> Mapping[str, Any]:
        """Create an object and return what the server stored."""
        metadata = item.get("metadata") or {}
        name = str(metadata.get("name") or metadata.get("generateName") or "")
        api_version, kind = str(item.get("apiVersion")), str(item.get("kind"))
        with self._using("create", kind, name):
            discovery = self._cluster.discover()
            resource = discovery.by_kind(api_version, kind)
            if resource is None:  # perhaps of a CRD that is younger than the discovery
                discovery = self._cluster.discover(refresh=True)
                resource = discovery.by_kind(api_version, kind)
            if resource is None:
                reason = f"no {api_version} {kind}"
                raise UnsupportedByServerError("create", kind, name, reason)
            return self._cluster.create(resource, item)

    def patch(
        self, identifier: ResourceIdentifier, patch: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Send a merge patch and return what the server stored."""
        name, namespace = identifier.name, identifier.namespace
        with self._using("patch", identifier):
            resource = self._served("patch", identifier)
            return self._cluster.patch(resource, name, patch, namespace=namespace)

    def delete(self, identifier: ResourceIdentifier) -> None:
        """Delete an object; deleting what is gone is success."""
        name, namespace = identifier.name, identifier.namespace
        with self._using("delete", identifier), suppress(ItemNotFoundError):
            resource = self._served("delete", identifier)
            self._cluster.delete(resource, name, namespace=namespace)

    def _served(self, verb: str, identifier: ResourceIdentifier) -> APIResource:
        group_resource = identifier.group_resource
        resource = self._cluster.discover().get(group_resource)
        if resource is None:
            raise UnsupportedByServerError(
                verb, str(group_resource), identifier.qualified_name
            )
        return resource

    @contextmanager
    def _using(
        self, verb: str, what: ResourceIdentifier | GroupResource | str, name: str = ""
    ) -> Iterator[None]:
        """Hold a use against the revocation, before each of its requests.

        Raises:
            ClusterError: The writer was revoked.
        """
        if isinstance(what, ResourceIdentifier):
            name = what.qualified_name
            what = what.group_resource
        if self._revoked.is_set():
            raise ClusterError(verb, str(what), name, _REVOKED)
        try:
            yield
        except Cancelled as exc:
            if not self._revoked.is_set():  # it was the run
                raise
            raise ClusterError(verb, str(what), name, _REVOKED) from exc


# --- questions about the caller -------------------------------------------------------


def whoami(objects: Objects) -> str:
    """Return the caller's user name; empty where the server cannot tell (before 1.26)."""
    subject = Subject("create", "selfsubjectreviews.authentication.k8s.io")
    for version in _REVIEW_VERSIONS:
        body = {
            "apiVersion": f"authentication.k8s.io/{version}",
            "kind": "SelfSubjectReview",
        }
        path = f"{_REVIEWS}/{version}/selfsubjectreviews"
        try:
            answer = objects.post_review(path, subject, body)
        except ForbiddenError:
            return ""
        except UnsupportedByServerError:
            continue
        user = (answer.get("status") or {}).get("userInfo") or {}
        return str(user.get("username") or "")
    return ""


def may(
    objects: Objects,
    verb: str,
    resource: GroupResource,
    *,
    namespace: str,
    subresource: str,
) -> bool:
    """Ask the server whether the caller may do this, in all namespaces if none is named."""
    attributes = {
        "verb": verb,
        "group": resource.group,
        "resource": resource.resource,
        "namespace": namespace,
        "subresource": subresource,
    }
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    subject = Subject("create", "selfsubjectaccessreviews.authorization.k8s.io")
    answer = objects.post_review(_ACCESS, subject, body)
    return bool((answer.get("status") or {}).get("allowed"))
