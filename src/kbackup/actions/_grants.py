"""What ServiceAccounts are granted in the whole cluster: listed once a run.

Shared by the action that asks for the grants and the one that relates them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import attrs

from kbackup._kits.nested import objects_at, text_at
from kbackup.errors import ClusterError, ForbiddenError, UnsupportedByServerError
from kbackup.models import GroupResource, ResourceIdentifier, well_known
from kbackup.plugins import BackupInput, Run

_ACTION = "velero.io/service-account"

_Account = tuple[str, str]  # namespace, name
_Grants = Mapping[_Account, tuple[ResourceIdentifier, ...]]


def grants_of(given: BackupInput) -> tuple[ResourceIdentifier, ...]:
    """Return the ClusterRoleBindings of an account, each followed by its ClusterRole.

    Nothing where the backup leaves out what is cluster-scoped. A caller who may not list
    bindings gets one warning a run, and any other failure is one error of it.
    """
    if given.backup.spec.include_cluster_resources is False:
        return ()
    account = (given.identifier.namespace, given.identifier.name)
    return _of_run(given).get(account, ())


class _GrantsOfRun:
    """All grants, read at the first question of one run."""

    def __init__(self) -> None:
        # One for each run: a slow one holds up no other.
        self._reading = threading.Lock()
        self._grants: _Grants | None = None

    def read(self, given: BackupInput, run: Run) -> _Grants:
        with self._reading:
            if self._grants is not None:
                return self._grants
            bindings = _bindings(given)
            self._grants = grants = _by_account(bindings.items)
        if bindings.failure is not None:  # told outside the lock: observers hear it
            _tell(run, bindings.failure)
        return grants


_opening = threading.Lock()
_runs: WeakKeyDictionary[Run, _GrantsOfRun] = WeakKeyDictionary()


def _of_run(given: BackupInput) -> _Grants:
    if given.run is None:
        return _by_account(_bindings(given).items)
    with _opening:
        grants = _runs.setdefault(given.run, _GrantsOfRun())
    return grants.read(given, given.run)


@attrs.frozen
class _Bindings:
    """The answer to the one LIST of a run."""

    items: tuple[Mapping[str, Any], ...] = ()
    failure: ClusterError | None = None


def _bindings(given: BackupInput) -> _Bindings:
    try:
        return _Bindings(tuple(given.cluster.list(well_known.CLUSTER_ROLE_BINDINGS)))
    except UnsupportedByServerError:  # a cluster without RBAC grants nothing by it
        return _Bindings()
    except ClusterError as exc:
        return _Bindings(failure=exc)


def _tell(run: Run, failure: ClusterError) -> None:
    tell = run.warning if isinstance(failure, ForbiddenError) else run.error
    tell(
        f"cluster-wide grants of ServiceAccounts are not in the backup: {failure}",
        plugin=_ACTION,
        cause=failure,
    )


def _by_account(bindings: Iterable[Mapping[str, Any]]) -> _Grants:
    """Group bindings, each followed by its role, by the accounts they are for."""
    grants: dict[_Account, dict[ResourceIdentifier, None]] = {}
    for binding in bindings:
        granted = [
            _named(
                well_known.CLUSTER_ROLE_BINDINGS, text_at(binding, "metadata", "name")
            )
        ]
        if text_at(binding, "roleRef", "kind") == "ClusterRole":
            granted.append(
                _named(well_known.CLUSTER_ROLES, text_at(binding, "roleRef", "name"))
            )
        for subject in objects_at(binding, "subjects"):
            if text_at(subject, "kind") != "ServiceAccount":
                continue
            account = (text_at(subject, "namespace"), text_at(subject, "name"))
            grants.setdefault(account, {}).update(dict.fromkeys(granted))
    return {account: tuple(granted) for account, granted in grants.items()}


def _named(group_resource: GroupResource, name: str) -> ResourceIdentifier:
    return ResourceIdentifier(group_resource, "", name)
