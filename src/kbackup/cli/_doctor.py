"""``kbackup doctor``: is the way to the cluster open, and what is missing there?"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import attrs
import click

from kbackup._kits.words import plural
from kbackup.cli._options import Command, global_options
from kbackup.cli._output import (
    document,
    print_document,
    print_table,
    say,
    say_next,
    say_once_mended,
)
from kbackup.cli._place import meant_backup, without_own_key
from kbackup.cli._session import Session
from kbackup.errors import (
    ClusterError,
    ItemNotFoundError,
    KBackupError,
    UnknownLocationError,
)
from kbackup.models import GroupResource, well_known

if TYPE_CHECKING:
    from kbackup.catalog import BackupStore
    from kbackup.cluster import Cluster

_VERBS = ("list", "create", "patch")
_WRITES = (
    "namespaces",
    "secrets",
    "deployments.apps",
    "clusterroles.rbac.authorization.k8s.io",
)
_WEBHOOKS = (
    well_known.VALIDATING_WEBHOOKS,
    well_known.MUTATING_WEBHOOKS,
)
_PROVIDERS = frozenset({"ObjectStore", "VolumeSnapshotter"})


@attrs.frozen
class Finding:
    """One line of the report.

    Attributes:
        check: What was looked at.
        status: ``ok``, ``warning`` or ``error``.
        detail: What was found.
        hint: What to do about it, where that is known.
    """

    check: str
    status: str
    detail: str
    hint: str = ""


@click.command(cls=Command)
@click.option(
    "--from-backup",
    "name",
    metavar="NAME|latest",
    help="Also what this backup needs and the cluster lacks.",
)
@global_options
@click.pass_obj
def doctor(session: Session, name: str | None) -> int:
    """Check the cluster, the caller's rights, the location and the plugins."""
    findings = [*_cluster_findings(session), *_location_findings(session)]
    if name is not None:
        findings += _needs_findings(session, name)
    findings += _plugin_findings(session)
    content = document("DoctorReport", checks=[attrs.asdict(f) for f in findings])
    print_document(
        session,
        content,
        lambda: print_table(
            ("CHECK", "STATUS", "DETAIL"),
            ((f.check, f.status, f.detail) for f in findings),
        ),
    )
    for hint in dict.fromkeys(f.hint for f in findings if f.hint):
        say(f"Hint: {hint}")
    failed = any(f.status == "error" for f in findings)
    if failed:
        again = f"--from-backup {shlex.quote(name)}" if name else ""
        say_once_mended(session, f"kbackup doctor {again}".rstrip())
    elif session.opened_store is None:
        say_next(session, "kbackup doctor --location URL")
    elif session.opened_store.list() or session.opened_store.read_only:
        say_next(session, "kbackup backup get")
    else:
        say_next(session, "kbackup backup create NAME")
    return 1 if failed else 0


def _needs_findings(session: Session, name: str) -> Iterator[Finding]:
    """Name what a backup needs and the cluster lacks."""
    from kbackup.cli._needs import needs_of  # noqa: PLC0415 - on demand
    from kbackup.restore import unserved_types  # noqa: PLC0415 - on demand

    try:
        cluster, store = session.cluster(), session.store()
        name = meant_backup(store, name)
        session.backup = name
        with store.open_contents(name) as contents:
            types = unserved_types(contents, cluster.discover())
            classes = needs_of(contents).missing_in(cluster)
        all_there = f"all that backup {name} needs are there"
        for each in types:
            yield Finding("needed types", "warning", each)
        if not types:
            yield Finding("needed types", "ok", all_there)
        status = "warning" if classes else "ok"
        yield Finding("needed storage classes", status, ", ".join(classes) or all_there)
    except KBackupError as exc:
        yield Finding(f"needs of backup {name}", "error", str(exc))


def _cluster_findings(session: Session) -> Iterator[Finding]:
    """Yield what can be said of the cluster; stop where it does not answer."""
    try:
        cluster = session.cluster()
        version = cluster.version()
    except KBackupError as exc:
        yield Finding("cluster", "error", f"{exc}. {exc.hint}".rstrip(". "))
        return
    context = f" (context {cluster.context})" if cluster.context else ""
    yield Finding("cluster", "ok", f"{cluster.server}{context}")
    yield Finding("version", "ok", version.git_version)
    for check in (_identity, _discovery, _rights, _storage, _webhooks):
        yield from _guarded(check, cluster)


def _guarded(
    check: Callable[[Cluster], Iterator[Finding]], cluster: Cluster
) -> Iterator[Finding]:
    """Yield a check's findings; what it may not ask is a finding too."""
    try:
        yield from check(cluster)
    except ClusterError as exc:
        yield Finding(check.__name__.strip("_"), "warning", str(exc))


def _identity(cluster: Cluster) -> Iterator[Finding]:
    """Say as whom the server knows the caller, and which cluster it is."""
    yield Finding("identity", "ok", cluster.whoami() or "unknown to this server")
    uid = cluster.uid()
    yield Finding("cluster uid", "ok" if uid else "warning", uid or "not readable")


def _discovery(cluster: Cluster) -> Iterator[Finding]:
    """Count the served types and name the API groups that do not answer."""
    discovery = cluster.discover()
    yield Finding("types", "ok", f"{len(discovery.resources)} served")
    customs = discovery.get(well_known.CRDS)
    if customs is not None:
        number = sum(1 for _ in cluster.list(customs))
        yield Finding("custom resources", "ok", plural(number, "definition"))
    for failure in discovery.failures:
        yield Finding(
            "api group", "error", f"{failure.group_version}: {failure.reason}"
        )


def _rights(cluster: Cluster) -> Iterator[Finding]:
    """Say what the caller may list and create."""
    for name in _WRITES:
        resource = GroupResource.parse(name)
        may = [verb for verb in _VERBS if cluster.may(verb, resource)]
        status = "ok" if len(may) == len(_VERBS) else "warning"
        yield Finding(f"rights on {name}", status, ", ".join(may) or "none")


def _storage(cluster: Cluster) -> Iterator[Finding]:
    """Name the storage classes; without any, claims stay Pending."""
    resource = cluster.discover().get(well_known.STORAGE_CLASSES)
    names = [item.name for item in cluster.list(resource)] if resource else []
    yield Finding(
        "storage classes", "ok" if names else "warning", ", ".join(names) or "none"
    )


def _webhooks(cluster: Cluster) -> Iterator[Finding]:
    """Name the admission webhooks, and those whose Service is not there.

    They see, change and may refuse every write; one without its Service refuses all.
    """
    for group_resource in _WEBHOOKS:
        resource = cluster.discover().get(group_resource)
        items = list(cluster.list(resource)) if resource else []
        names = ", ".join(item.name for item in items) or "none"
        yield Finding(group_resource.resource, "ok", names)
        for item in items:
            for service in _absent_services(cluster, json.loads(item.json())):
                detail = f"{item.name} calls Service {service}, which is not there"
                yield Finding("webhook", "warning", detail)


def _absent_services(cluster: Cluster, configuration: dict[str, Any]) -> Iterator[str]:
    """Yield the Services that a webhook configuration calls and nobody has."""
    resource = cluster.discover().get(well_known.SERVICES)
    for webhook in configuration.get("webhooks") or ():
        service = (webhook.get("clientConfig") or {}).get("service")
        if not service or resource is None:
            continue
        namespace, name = service.get("namespace", ""), service.get("name", "")
        try:
            cluster.get(resource, name, namespace)
        except ItemNotFoundError:
            yield f"{namespace}/{name}"


def _location_findings(session: Session) -> Iterator[Finding]:
    """Say whether the location can be used."""
    try:
        store = session.store()
        check = store.check()
    except UnknownLocationError as exc:
        yield Finding("location", "warning", str(exc), exc.hint)
        return
    except KBackupError as exc:
        yield Finding("location", "error", str(exc), exc.hint)
        return
    if check.ok:
        only = " (read-only)" if store.read_only else ""
        yield Finding("location", "ok", store.url + only)
    hint = "; ".join(check.hints)
    for problem in check.problems:  # what cannot be written can still be restored from
        status = "warning" if _is_readable(store) else "error"
        fault = without_own_key(problem)
        yield Finding("location", status, f"{store.url}: {fault}", hint)


def _is_readable(store: BackupStore) -> bool:
    try:
        store.list()
    except KBackupError:
        return False
    return True


def _plugin_findings(session: Session) -> Iterator[Finding]:
    """Name the plugins that cannot be used.

    A provider whose packages are not installed is no fault: nobody may want it, and a
    location that does has an error of its own.
    """
    for info in session.plugins.list_plugins():
        if not info.available and str(info.kind) not in _PROVIDERS:
            yield Finding(f"plugin {info.name}", "warning", info.cause)
