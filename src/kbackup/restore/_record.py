"""What stays of a restore in the store: record, log, results, lists of what was done.

The record is written last and never again. A store that cannot be written keeps
nobody from restoring: then the result says so and nothing is kept.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from kbackup.catalog import BackupStore, encode_side_file
from kbackup.errors import RestoreExistsError, StoreError
from kbackup.models import (
    ItemOperation,
    ItemOutcome,
    Restore,
    Results,
    labels,
    to_json,
)
from kbackup.plugins import Run
from kbackup.restore._plan import PlanEntry, RestorePlan
from kbackup.restore._request import given_options
from kbackup.stores import RestoreFiles

_WORDS = {
    "created": "created",
    "updated": "updated",
    "failed": "failed",
    "unchanged": "skipped",
    "skipped": "skipped",
}


def check_name(store: BackupStore, name: str, uid: str) -> None:
    """Refuse a name that another run has used; a store in trouble is met later.

    Raises:
        RestoreExistsError: Another run has used the name.
    """
    with suppress(StoreError):
        store.check_restore(name, uid)


def annotations_of(
    server: str, plan: RestorePlan, outcomes: Iterable[ItemOutcome]
) -> dict[str, str]:
    """What the record says beyond Velero's fields: where to, how many, which options.

    Args:
        server: That was written to.
        plan: That was applied.
        outcomes: What was done with each item.
    """
    counts = Counter(outcome.action for outcome in outcomes)
    texts = {
        labels.TARGET_SERVER: server,
        labels.TARGET_CLUSTER: plan.head.cluster_uid,
        labels.OUTCOMES: json.dumps(counts, sort_keys=True),
        labels.OPTIONS: json.dumps(given_options(plan.options), sort_keys=True),
    }
    return {key: text for key, text in texts.items() if text not in ("", "{}")}


def keep(
    store: BackupStore,
    restore: Restore,
    *,
    results: Results,
    outcomes: Iterable[ItemOutcome],
    operations: Sequence[ItemOperation],
    kinds: Mapping[object, PlanEntry],
    log: Path | None,
    run: Run,
) -> int:
    """Write the restore's files, the record last; what fails becomes a warning.

    That another run took the name meanwhile is an error: both have written.

    Returns:
        The bytes that were stored.
    """
    names = RestoreFiles(restore.name)
    files: dict[str, Path | bytes] = {
        names.results: encode_side_file(results.to_json()),
        names.resource_list: encode_side_file(resource_list(outcomes, kinds)),
    }
    if operations:
        files[names.item_operations] = encode_side_file(to_json(operations))
    if log is not None:
        files[names.logs] = log
    sizes = [
        len(x) if isinstance(x, bytes) else x.stat().st_size for x in files.values()
    ]
    try:
        store.put_restore(restore, files)
    except RestoreExistsError:
        _tell_of_other_record(store, restore, run)
    except StoreError as exc:
        run.warning(f"the record of the restore could not be stored: {exc}")
    else:
        return sum(sizes)
    return 0


def _tell_of_other_record(store: BackupStore, restore: Restore, run: Run) -> None:
    """Say whose record stands under the name: this restore's, or another run's."""
    try:
        store.check_restore(restore.name, restore.metadata.uid)
    except RestoreExistsError as exc:
        run.error(f"this restore has no record: {exc}")
    else:
        run.warning("the store has the record of this restore already; it stays")


def resource_list(
    outcomes: Iterable[ItemOutcome], kinds: Mapping[object, PlanEntry]
) -> dict[str, list[str]]:
    """Velero's list: by version and kind, each with what was done to it."""
    listed: dict[str, list[str]] = {}
    for outcome in outcomes:
        entry = kinds[outcome.identifier]
        name = outcome.identifier.qualified_name
        key = f"{entry.api_version}/{entry.kind}"
        listed.setdefault(key, []).append(f"{name}({_WORDS[outcome.action]})")
    return {key: sorted(names) for key, names in sorted(listed.items())}
