"""Back up what a ServiceAccount may do in the whole cluster."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import attrs

from kbackup._kits.nested import objects_at, text_at
from kbackup.errors import ClusterError, ForbiddenError, UnsupportedByServerError
from kbackup.models import (
    GroupResource,
    ResourceIdentifier,
    ResourceSelector,
    well_known,
)
from kbackup.plugins import BackupInput, BackupOutput, Run

_Account = tuple[str, str]  # namespace, name
_Grants = Mapping[_Account, tuple[ResourceIdentifier, ...]]


class ServiceAccountAction:
    """Add what an account is granted cluster-wide (``velero.io/service-account``).

    These are its ClusterRoleBindings, listed once a run, and their ClusterRoles. A
    caller who may not list them gets one warning and accounts without them, so that
    namespaces can be backed up with rights in those namespaces alone. Any other failure
    is one error of the run: the accounts themselves are stored.
    """

    name = "velero.io/service-account"
    applies_to = ResourceSelector(included_resources=("serviceaccounts",))

    def __init__(self) -> None:
        self._opening = threading.Lock()
        self._runs: WeakKeyDictionary[Run, _GrantsOfRun] = WeakKeyDictionary()

    def execute(self, given: BackupInput) -> BackupOutput:
        """Ask for the account's grants, unless cluster-wide objects are left out."""
        if given.backup.spec.include_cluster_resources is False:
            return BackupOutput(item=given.item)
        account = (given.identifier.namespace, given.identifier.name)
        grants = self._of_run(given).get(account, ())
        return BackupOutput(item=given.item, additional_items=grants)

    def _of_run(self, given: BackupInput) -> _Grants:
        if given.run is None:
            return _by_account(_bindings(given).items)
        with self._opening:
            grants = self._runs.setdefault(given.run, _GrantsOfRun())
        return grants.read(given, given.run)


class _GrantsOfRun:
    """All grants, read at the first question of one run."""

    def __init__(self) -> None:
        self._reading = (
            threading.Lock()
        )  # one for each run: a slow one holds up no other
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
        plugin=ServiceAccountAction.name,
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
