"""`Cluster`: one Kubernetes cluster, spoken to with raw JSON.

The facade of this room; all it does is hand its connection and its run to the modules
that know how.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

import attrs

from kbackup._kits.workers import CancelToken, ChildToken
from kbackup.cluster import _access
from kbackup.cluster._access import Reader, Writer
from kbackup.cluster._auth import Authorization
from kbackup.cluster._configuration import Source, find_source, host_source
from kbackup.cluster._discovery import Discovery
from kbackup.cluster._exec import ExecResult, make_command, run_command
from kbackup.cluster._lists import ItemList, ListRequest
from kbackup.cluster._objects import Objects, PatchKind
from kbackup.cluster._patience import Patience
from kbackup.cluster._shared import Shared
from kbackup.cluster._transport import Bound, Transport
from kbackup.cluster._watch import Watcher, WatchEvent, WatchRequest
from kbackup.models import (
    APIResource,
    EngineSettings,
    GroupResource,
    Item,
    ServerVersion,
)


class Cluster:
    """One cluster and one caller.

    Threads: share it freely. Make one with `connect` or `from_configuration` and close
    it, or use it as a context manager. `for_run` gives views of the same connection.

    Attributes:
        server: The API server's address.
        context: Of the kubeconfig, or empty.
    """

    def __init__(self, shared: Shared, bound: Bound) -> None:
        self._shared = shared
        self._bound = bound
        self._unversioned: set[GroupResource] = set()
        self._objects = Objects(shared.transport, bound)
        self.server = shared.transport.server
        self.context = shared.context

    # --- connecting -------------------------------------------------------------------

    @classmethod
    def connect(
        cls,
        kubeconfig: str | Path | None = None,
        context: str | None = None,
        *,
        as_user: str | None = None,
        settings: EngineSettings | None = None,
    ) -> Cluster:
        """Connect as kubectl would; sends no request, but may start a login plugin.

        Args:
            kubeconfig: A file; None: ``$KUBECONFIG``, ``~/.kube/config``, in-cluster.
            context: Of the kubeconfig; None: its current one.
            as_user: Whom to impersonate.
            settings: Timeouts, page size, connections.

        Raises:
            InvalidConfigError: No such file or context, or the login failed.
        """
        source = find_source(kubeconfig, context)
        return cls._from_source(source, as_user, settings or EngineSettings())

    @classmethod
    def from_configuration(
        cls,
        configuration: Any,
        *,
        as_user: str | None = None,
        settings: EngineSettings | None = None,
    ) -> Cluster:
        """Connect with a `kubernetes.client.Configuration` of the host application."""
        source = host_source(configuration)
        return cls._from_source(source, as_user, settings or EngineSettings())

    @classmethod
    def _from_source(
        cls, source: Source, as_user: str | None, settings: EngineSettings
    ) -> Cluster:
        transport = Transport(
            Authorization(source), workers=settings.workers, as_user=as_user
        )
        return cls(Shared(transport, source.context), Bound(settings=settings))

    def for_run(
        self,
        cancel: CancelToken,
        *,
        settings: EngineSettings | None = None,
        count: Callable[[str], None] | None = None,
        waits: Callable[[str, float], None] | None = None,
    ) -> Cluster:
        """Return this connection on behalf of a run, which may cancel and counts.

        Args:
            cancel: Asked before each request, page, retry and sleep.
            settings: Of the run; None: those of the connection.
            count: Called with ``<verb> <resource>`` for each request.
            waits: Called while the server refuses every request (HTTP 429): with what
                is waited for, and the seconds until that is an error.
        """
        bound = attrs.evolve(
            self._bound,
            cancel=cancel,
            settings=settings or self._bound.settings,
            count=count or self._bound.count,
            patience=Patience(waits) if waits else Patience(),
        )
        return Cluster(self._shared, bound)

    def close(self) -> None:
        """Close the connections; what is asked of any view of them later is an error."""
        self._shared.transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Cluster({self.server})"

    # --- about the cluster ------------------------------------------------------------

    def version(self) -> ServerVersion:
        """Return what the API server reports; empty where it may not be read."""
        return self._shared.version(self._objects)

    def uid(self) -> str:
        """Return the uid of namespace kube-system; empty where it may not be read."""
        return self._shared.uid(self._objects)

    def discover(self, *, refresh: bool = False) -> Discovery:
        """Return what the server serves, read once unless *refresh* is asked."""
        return self._shared.discover(self._bound, refresh=refresh)

    def whoami(self) -> str:
        """Return the caller's user name; empty where the server cannot tell."""
        return _access.whoami(self._objects) or self._shared.transport.as_user or ""

    def may(
        self,
        verb: str,
        resource: GroupResource,
        *,
        namespace: str = "",
        subresource: str = "",
    ) -> bool:
        """Ask whether the caller may do this; no namespace means in all of them."""
        return _access.may(
            self._objects,
            verb,
            resource,
            namespace=namespace,
            subresource=subresource,
        )

    def reader(self) -> Reader:
        """Return what item actions are given to read with."""
        return Reader(self)

    def writer(self) -> Writer:
        """Return what item actions are given to act with; each can be revoked."""
        token = ChildToken(self._bound.cancel)
        return Writer(self.for_run(token), token)

    # --- objects ----------------------------------------------------------------------

    def list(
        self,
        resource: APIResource,
        *,
        namespace: str = "",
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
        limit: int = 0,
    ) -> ItemList:
        """Return a list that is read while it is iterated.

        Args:
            resource: The type.
            namespace: Empty: the whole cluster.
            label_selector: In the API's notation.
            field_selector: In the API's notation.
            resource_version: Read at exactly this one where that can be; the list's
                record says whether it could.
            limit: How many objects to ask for at first, where somebody knows how many
                make a page; the next pages follow from what came. 0: nobody does.
        """
        request = ListRequest(
            resource=resource,
            namespace=namespace,
            label_selector=label_selector,
            field_selector=field_selector,
            resource_version=resource_version,
            exact_possible=not resource_version or not self._counts_its_own(resource),
            limit=limit,
        )
        return ItemList(
            self._shared.transport,
            self._bound,
            request,
            unversioned=self._unversioned,
        )

    def _counts_its_own(self, resource: APIResource) -> bool:
        """Whether the versions of a type are none of the API server's others."""
        if resource.group_resource in self._unversioned:
            return True
        return resource.group in self._shared.foreign_groups(self._bound)

    def get(self, resource: APIResource, name: str, namespace: str = "") -> Item:
        """Return one object.

        Raises:
            ItemNotFoundError: There is none.
        """
        return self._objects.get(resource, name, namespace)

    def create(
        self,
        resource: APIResource,
        body: Mapping[str, Any] | bytes,
        *,
        namespace: str = "",
        dry_run: bool = False,
        field_manager: str = "kbackup",
        field_validation: str = "",
        metadata_only: bool = False,
    ) -> dict[str, Any]:
        """Create an object and return what the server stored.

        Without *namespace* the one in *body* counts. With *metadata_only* the answer is
        a PartialObjectMetadata, where the server can: a large object is not sent back.

        Raises:
            AlreadyExistsError: The name is taken.
            ClusterUnreachableError: The answer got lost; a GET tells what happened.
        """
        return self._objects.create(
            resource,
            body,
            namespace=namespace,
            dry_run=dry_run,
            field_manager=field_manager,
            field_validation=field_validation,
            metadata_only=metadata_only,
        )

    def replace(
        self,
        resource: APIResource,
        name: str,
        body: Mapping[str, Any] | bytes,
        *,
        namespace: str = "",
        subresource: str = "",
        dry_run: bool = False,
        field_manager: str = "kbackup",
    ) -> dict[str, Any]:
        """Replace an object; a resourceVersion in *body* is a precondition."""
        return self._objects.replace(
            resource,
            name,
            body,
            namespace=namespace,
            subresource=subresource,
            dry_run=dry_run,
            field_manager=field_manager,
        )

    def patch(
        self,
        resource: APIResource,
        name: str,
        patch: Any,
        *,
        namespace: str = "",
        kind: PatchKind = PatchKind.MERGE,
        subresource: str = "",
        dry_run: bool = False,
        field_manager: str = "kbackup",
        force: bool = False,
    ) -> dict[str, Any]:
        """Patch an object and return what the server stored.

        ``metadata.uid`` and ``metadata.resourceVersion`` in *patch* are preconditions;
        *force* takes fields from other managers and is for `PatchKind.APPLY`.
        """
        return self._objects.patch(
            resource,
            name,
            patch,
            namespace=namespace,
            kind=kind,
            subresource=subresource,
            dry_run=dry_run,
            field_manager=field_manager,
            force=force,
        )

    def delete(
        self,
        resource: APIResource,
        name: str,
        *,
        namespace: str = "",
        uid: str = "",
        resource_version: str = "",
        propagation: str = "",
        dry_run: bool = False,
    ) -> None:
        """Delete an object; *uid* and *resource_version* are preconditions.

        Raises:
            ItemNotFoundError: It is gone.
            ConflictError: A precondition does not hold.
        """
        self._objects.delete(
            resource,
            name,
            namespace=namespace,
            uid=uid,
            resource_version=resource_version,
            propagation=propagation,
            dry_run=dry_run,
        )

    def watch(
        self,
        resource: APIResource,
        *,
        namespace: str = "",
        name: str = "",
        label_selector: str = "",
        resource_version: str = "",
        timeout: timedelta | None = None,
    ) -> Iterator[WatchEvent]:
        """Yield what happens to objects until *timeout*, over broken connections too.

        Without *resource_version* it begins with what exists, as ``ADDED``.
        """
        request = WatchRequest(
            resource=resource,
            namespace=namespace,
            name=name,
            label_selector=label_selector,
            resource_version=resource_version,
            timeout=timeout,
        )

        def relist() -> ItemList:
            return self.list(
                resource,
                namespace=namespace,
                label_selector=label_selector,
                field_selector=request.field_selector,
            )

        transport = self._shared.transport
        return Watcher(transport, self._bound, request, relist).events()

    def exec(
        self,
        namespace: str,
        pod: str,
        command: Sequence[str],
        *,
        container: str = "",
        timeout: timedelta | None = None,
        stdin: bytes | None = None,
        keep: int | None = None,
    ) -> ExecResult:
        """Run a command in a container and wait for its end.

        Args:
            namespace: Of the Pod.
            pod: Its name.
            command: Program and arguments; no shell.
            container: Empty: the Pod's only one.
            timeout: None: as long as it takes.
            stdin: What the command can read; None: nothing.
            keep: How many bytes of what it writes to stdout, and to stderr, are kept,
                the last ones; None: all.

        Raises:
            ExecError: It could not be run.
            OperationTimeoutError: It did not end within *timeout*; it may still run.
        """
        asked = make_command(
            namespace,
            pod,
            command,
            container=container,
            timeout=timeout,
            stdin=stdin,
            keep=keep,
        )
        return run_command(self._shared.transport, self._bound, asked)
