"""What stays of a restore in the store: record, log, results, lists of what was done.

The record is written last and never again. A store that cannot be written keeps
nobody from restoring: then the result says so and nothing is kept.
"""

import json
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import attrs

from kbackup.catalog import (
    BackupStore,
    Journal,
    MirrorWatch,
    RestoreClaim,
    encode_side_file,
)
from kbackup.errors import (
    RestoreError,
    RestoreExistsError,
    RestoreInProgressError,
    StoreError,
)
from kbackup.models import (
    ItemOperation,
    ItemOutcome,
    Restore,
    Results,
    labels,
    to_json,
)
from kbackup.plugins import Run
from kbackup.restore._plan.plan import PlanHead, RestorePlan
from kbackup.restore._plan_entry import PlanEntry
from kbackup.restore._request.asked import given_options
from kbackup.stores import RestoreFiles

_WORDS = {
    "created": "created",
    "updated": "updated",
    "recreated": "created",
    "failed": "failed",
    "unchanged": "skipped",
    "skipped": "skipped",
    "unknown": "unknown",
}


def check_name(store: BackupStore, name: str, uid: str, *, from_backup: str) -> None:
    """Refuse a name that another run has used; a store in trouble is met later.

    Raises:
        RestoreExistsError: Another run has used the name.
    """
    with suppress(StoreError):
        store.check_restore(name, uid, from_backup=from_backup)


def is_on_record(store: BackupStore, name: str, uid: str) -> bool:
    """Whether this very restore is; where that cannot be read it is not."""
    try:
        return store.get_restore(name).metadata.uid == uid
    except (RestoreError, StoreError):
        return False


def why_no_record(store: BackupStore, name: str, uid: str) -> str:
    """Why nothing of a run will be on record, where that is known before; or nothing.

    A record is never written again: a run that completes another one, or finds it done,
    is told by its own result only.
    """
    if store.read_only:
        return "the store is read-only: no record of this restore will be kept"
    try:
        found = store.get_restore(name)
    except (RestoreError, StoreError):
        return ""
    if found.metadata.uid != uid:
        return ""
    return (
        f"restore {name} is on record already ({found.status.phase}), and a record is "
        "never written again: what this run does is told at its end only. Under another "
        "name it gets a record of its own"
    )


@attrs.frozen
class Place:
    """Where the record of one restore goes.

    Attributes:
        store: The location.
        claim: On the restore's name; None: nothing can be written there.
        journal: Of the restore. All that its run keeps goes through this one: two that
            count by themselves would take one number, and in a store without atomic
            create one entry would be lost.
    """

    store: BackupStore
    claim: RestoreClaim | None
    journal: Journal
    _mirrors: MirrorWatch

    def tell_of_missing_copies(self) -> None:
        """Warn, once, of each mirrored directory that misses what is written."""
        if self.claim is not None:
            self._mirrors.report()


@contextmanager
def claimed(store: BackupStore, head: PlanHead, run: Run) -> Iterator[Place]:
    """Hold the name while it is restored under, where that can be written.

    A location that cannot be written is enough to restore from. Another process of the
    same restore is another run: they would write the same objects at once.

    Raises:
        RestoreInProgressError: A run that lives holds the name.
        RestoreExistsError: A restore of another backup was killed under it.
    """
    mirrors = MirrorWatch(store, run)
    name, journal = head.restore_name, store.journal(head.restore_uid)
    try:
        claim = store.claim_restore(
            name,
            run_uid=str(uuid.uuid4()),
            clock=run.clock,
            from_backup=head.backup_name,
        )
    except StoreError as exc:
        run.logger.info("the name %s is not claimed: %s", name, exc)
        yield Place(store, None, journal, mirrors)
        return
    try:
        yield Place(store, claim, journal, mirrors)
    finally:
        try:
            claim.release()
        except StoreError as exc:
            run.logger.warning("the claim on the name %s stays behind: %s", name, exc)


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
    place: Place,
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
        place.store.put_restore(restore, files, place.claim)
    except RestoreExistsError:
        _tell_of_other_record(place.store, restore, run)
    except RestoreInProgressError as exc:
        run.error(f"this restore has no record: {exc}")
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
        run.warning(
            "the record of the first run of this restore stays: what this one did is "
            "told by its result only"
        )


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
