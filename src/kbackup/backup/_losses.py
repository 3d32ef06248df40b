"""What was wanted and could not be stored: an error each, and the run goes on."""

from __future__ import annotations

from kbackup.backup._ledger import Tally, TypeLedger
from kbackup.models import ResourceIdentifier
from kbackup.plugins import ItemFailed, Run


def fail(run: Run, identifier: ResourceIdentifier, error: Exception) -> None:
    """Record that one item is lost."""
    plugin = getattr(error, "plugin", "")
    run.error(f"not backed up: {error}", item=identifier, plugin=plugin, cause=error)
    run.emit(ItemFailed(identifier=identifier, message=str(error)))


def lose(
    run: Run,
    page: TypeLedger,
    identifier: ResourceIdentifier,
    error: Exception,
    tally: Tally,
) -> None:
    """Record that one item of a list is lost, also in the books."""
    page.failed.add(identifier.qualified_name)
    tally.failed += 1
    fail(run, identifier, error)
