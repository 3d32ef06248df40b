"""What ``describe`` says about a backup or a restore, as a document and as text."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

import attrs

from kbackup._kits.times import format_time
from kbackup._kits.words import and_more, inside, plural
from kbackup.cli._output import ago, document, results_json, span
from kbackup.errors import BackupDamagedError, RestoreDamagedError, StoreError
from kbackup.models import labels, to_json, well_known

if TYPE_CHECKING:
    from kbackup.catalog import BackupEntry, BackupStore, Manifest, VolumeRecord
    from kbackup.models import (
        Backup,
        BackupSpec,
        HookStatus,
        Restore,
        RestoreSpec,
        Results,
    )

_MANY = 10  # lines of one kind without --details
_IN_EVERY_RECORD = {  # excluded, whatever was asked for
    str(well_known.VOLUME_SNAPSHOTS),
    str(well_known.VOLUME_SNAPSHOT_CONTENTS),
}


def entry_row(entry: BackupEntry) -> tuple[str, ...]:
    """Return one line of ``backup get``."""
    now = datetime.now(UTC)
    backup = entry.backup
    present, expected = entry.copies
    copies = f"{present} of {expected}"
    if backup is None or str(entry.state) != "complete":
        state = str(entry.state)
        status = f"{state}: {entry.reason}" if entry.reason else state
        return (entry.name, status, "", "", "", "", copies)
    status_ = backup.status
    expires = _expires(status_.expiration, now)
    return (
        entry.name,
        str(status_.phase),
        str(status_.errors),
        str(status_.warnings),
        ago(status_.start_timestamp, now),
        expires,
        copies,
    )


def _expires(instant: datetime | None, now: datetime) -> str:
    """Return when a backup expires, or since when it has."""
    if instant is None:
        return "never"
    if instant < now:
        return f"{span(now - instant)} ago"
    return f"in {span(instant - now)}"


@attrs.frozen
class Description:
    """What a name is.

    Attributes:
        content: The document.
        text: For people.
        state: As the location's list has it, or ``damaged`` where more was read.
    """

    content: dict[str, Any]
    text: str
    state: str

    @property
    def next_command(self) -> str:
        """The command that goes on from there."""
        command = _NEXT.get(self.state, "kbackup backup get")
        return command.format(name=self.content["name"])


def describe_entry(store: BackupStore, name: str, *, details: bool) -> Description:
    """Describe what *name* is; what is damaged is told, not raised."""
    entry = store.entry(name)
    state = str(entry.state)
    if entry.backup is not None:
        return _describe_backup(store, entry, details=details)
    content = document("BackupDescription", name=name, state=state, reason=entry.reason)
    lines = [
        f"Name:         {name}",
        f"Location:     {store.url}",
        f"State:        {state}: {entry.reason}",
    ]
    return Description(content, "\n".join(lines), state)


_NEXT = {
    "complete": "kbackup restore plan --from-backup {name}",
    "damaged": "kbackup backup verify {name}",
    "incomplete": "kbackup backup delete {name}",
}


def _describe_backup(
    store: BackupStore, entry: BackupEntry, *, details: bool
) -> Description:
    """Describe a backup with a record."""
    name, backup = entry.name, store.get(entry.name)
    present, expected = entry.copies
    manifest, damage = _manifest(store, name)
    volumes, unknown = _volumes(store, name)
    results = _results(store, name)
    state = "damaged" if damage else str(entry.state)
    content = document(
        "BackupDescription",
        name=name,
        state=state,
        reason=entry.reason or damage,
        copies={"present": present, "expected": expected},
        backup=to_json(backup),
        manifest=manifest.to_json() if manifest is not None else None,
        results=results_json(results),
        volumes=[attrs.asdict(volume) for volume in volumes],
        damage=damage,
    )
    lines = [
        *_backup_lines(backup, store.url),
        *_policy_lines(backup, manifest, details=details),
        *([f"State:        {entry.state}: {entry.reason}"] if entry.reason else []),
        *([f"Copies:       {present} of {expected}"] if expected > 1 else []),
        *_volume_lines(volumes, ours=manifest is not None, details=details),
        *(() if damage else _coverage_lines(manifest, details=details)),
        *([f"Damaged:      {damage or unknown}"] if damage or unknown else []),
        *_result_lines(results, details=details),
    ]
    return Description(content, "\n".join(lines), state)


def _manifest(store: BackupStore, name: str) -> tuple[Manifest | None, str]:
    """Return the manifest, and what is wrong with it where it is damaged."""
    try:
        return store.manifest(name), ""
    except BackupDamagedError as exc:
        return None, str(exc)


def _results(store: BackupStore, name: str) -> Results:
    """Return the warnings and errors; none where the file cannot be read."""
    from kbackup.models import Results  # noqa: PLC0415 - typed only above

    try:
        return store.results(name)
    except (BackupDamagedError, StoreError):
        return Results()


def _backup_lines(backup: Backup, url: str) -> list[str]:
    """Return the head: what, when, where from."""
    spec, status = backup.spec, backup.status
    annotations = backup.metadata.annotations
    version = annotations.get(labels.SOURCE_CLUSTER_GIT_VERSION, "unknown")
    items = status.progress.items_backed_up if status.progress else 0
    start, end = status.start_timestamp, status.completion_timestamp
    lines = [
        f"Name:         {backup.metadata.name}",
        f"Location:     {url}",
        f"Phase:        {status.phase}",
        f"Items:        {items}",
        f"Started:      {format_time(start) if start else 'n/a'}",
        f"Completed:    {format_time(end) if end else 'n/a'}",
        f"Expires:      {format_time(status.expiration) if status.expiration else 'never'}",
        f"Source:       Kubernetes {version}",
        f"Namespaces:   {_list(spec.included_namespaces, spec.excluded_namespaces)}",
        f"Resources:    {_types(spec)}",
    ]
    if spec.label_selector is not None:
        lines.append(f"Selector:     {spec.label_selector.to_query()}")
    for type_, names in spec.ordered_resources.items():
        lines.append(f"First:        {type_} {', '.join(names.split(','))}")
    if status.hook_status is not None:
        lines.append(_hook_line(status.hook_status, "run"))
    if status.failure_reason:
        lines.append(f"Failed for:   {status.failure_reason}")
    return lines


def _policy_lines(
    backup: Backup, manifest: Manifest | None, *, details: bool
) -> list[str]:
    """Return where the resource policies came from, and with *details* what they say."""
    from kbackup.models import dump_yaml  # noqa: PLC0415 - not for every backup

    reference = backup.spec.resource_policy
    policies = manifest.options.get("resource_policies") if manifest else None
    if reference is None and not policies:
        return []
    source = f"{reference.kind} {reference.name}" if reference else "given as an option"
    lines = [f"Policies:     {source}"]
    if details and policies:
        lines += [f"  {line}" for line in dump_yaml(policies).splitlines()]
    return lines


def _types(spec: BackupSpec) -> str:
    """Return which types were wanted, by either of the two ways to say so."""
    excluded = (
        *spec.excluded_resources,
        *spec.excluded_namespace_scoped_resources,
        *spec.excluded_cluster_scoped_resources,
    )
    included = (
        *spec.included_resources,
        *spec.included_namespace_scoped_resources,
        *spec.included_cluster_scoped_resources,
    )
    return _list(included, [each for each in excluded if each not in _IN_EVERY_RECORD])


def _list(included: Iterable[str], excluded: Iterable[str]) -> str:
    """Return what is included and what is not, in a few words."""
    wanted = ", ".join(included) or "*"
    unwanted = ", ".join(excluded)
    return f"{wanted} (without {unwanted})" if unwanted else wanted


def _volumes(store: BackupStore, name: str) -> tuple[tuple[VolumeRecord, ...], str]:
    """Return what is told of the volumes, and why nothing is."""
    try:
        return store.volumes(name), ""
    except (BackupDamagedError, StoreError) as exc:
        return (), str(exc)


def _volume_lines(
    volumes: Iterable[VolumeRecord], *, ours: bool, details: bool
) -> list[str]:
    """Return which volumes have data, and which have none.

    A claim that was bound to no volume is told apart, where *ours* says that the records
    name the volumes; Velero's may not.
    """
    lines = []
    bound: list[VolumeRecord] = []
    unbound: list[VolumeRecord] = []
    for volume in volumes:
        has_none = ours and not volume.volume and volume.data == "none"
        (unbound if has_none else bound).append(volume)
    by_data = sorted(bound, key=_what_of_volume)
    for (_, data, skipped), group in groupby(by_data, key=_what_of_volume):
        names = [volume.claim or volume.volume for volume in group]
        have = "has" if len(names) == 1 else "have"
        what = "no data in this backup:"
        if skipped:
            what = "no data in this backup, as resource policies want it:"
        elif data != "none":
            what = f"data in this backup ({data}), not restored by this version:"
        lines.append(f"{plural(len(names), 'volume')} {have} {what}")
        lines += _some((f"  {each}" for each in names), details=details)
    if unbound:
        lines.append(f"{plural(len(unbound), 'claim')} had no volume:")
        lines += _some((f"  {each.claim}" for each in unbound), details=details)
    return lines


def _what_of_volume(volume: VolumeRecord) -> tuple[bool, str, bool]:
    return volume.data == "none", volume.data, volume.is_skipped


def _coverage_lines(manifest: Manifest | None, *, details: bool) -> list[str]:
    """Return what the backup does not cover, and with *details* what it does."""
    if manifest is None:
        return ["Manifest:     none (not written by kbackup)"]
    lines = [f"Consistency:  {manifest.consistency}"]
    drifts = manifest.consistency.drifts
    lines += _some((f"  {each}" for each in drifts), details=details)
    if manifest.not_covered:
        lines.append("Not covered:")
        lines += _some((f"  {gap}" for gap in manifest.not_covered), details=details)
    if manifest.missing:
        lines.append("Referred to, but not in this backup:")
        lines += _some((f"  {gap}" for gap in manifest.missing), details=details)
    if details:
        lines += _list_lines(manifest)
    return lines


def _list_lines(manifest: Manifest) -> list[str]:
    """Return the lists that the backup was made of, and its files."""
    lines = ["Lists:"]
    told = [record for record in manifest.lists if record.listed or record.failed]
    for record in told:
        skipped = Counter(dict(record.skipped)).total()
        where = inside(record.namespace)
        lines.append(
            f"  {record.resource} {record.version}{where}: {record.listed} listed, "
            f"{record.stored} stored, {skipped} skipped, {record.failed} failed, "
            f"at {record.resource_version or 'unknown'}"
        )
    if empty := len(manifest.lists) - len(told):
        lines.append(f"  {plural(empty, 'list')} had nothing in them")
    lines.append("Files:")
    lines += [f"  {each.name}  {each.size} bytes" for each in manifest.objects]
    return lines


def _result_lines(results: Results, *, details: bool) -> list[str]:
    """Return the warnings and errors."""
    lines = []
    for word, entries in (("Warnings", results.warnings), ("Errors", results.errors)):
        if entries:
            lines.append(f"{word}:")
            lines += _some((f"  {entry}" for entry in entries), details=details)
    return lines


def _some(lines: Iterable[str], *, details: bool) -> list[str]:
    """Return the first lines and the number of the others, or all with *details*."""
    every = list(lines)
    if details or len(every) <= _MANY:
        return every
    return [*every[:_MANY], f"  ... {and_more(every, _MANY)}: --details"]


def describe_restore(
    store: BackupStore, name: str, *, details: bool
) -> tuple[dict[str, Any], str]:
    """Return the document and the text that describe a restore."""
    restore, results = store.get_restore(name), store.restore_results(name)
    listed, damage = _resource_list(store, name)
    status = restore.status
    start, end = status.start_timestamp, status.completion_timestamp
    ours = "unchanged" in _noted(restore.metadata.annotations, labels.OUTCOMES)
    lines = [
        f"Name:         {restore.metadata.name}",
        f"Backup:       {restore.spec.backup_name or 'unknown'}",
        f"Phase:        {status.phase or 'unknown'}",
        *_target_lines(restore),
        f"Started:      {format_time(start) if start else 'n/a'}",
        f"Completed:    {format_time(end) if end else 'n/a'}",
        *_asked_lines(restore),
        *([_hook_line(status.hook_status, "due")] if status.hook_status else []),
        *(_resource_lines(listed, ours=ours) if details and not damage else ()),
        *([f"Damaged:      {damage}"] if damage else []),
        *_result_lines(results, details=details),
    ]
    content = document(
        "RestoreDescription",
        restore=to_json(restore),
        results=results_json(results),
        resourceList=listed,
        damage=damage,
    )
    return content, "\n".join(lines)


def _hook_line(hooks: HookStatus, what: str) -> str:
    """Return how many hooks there were; of a restore some may never have been run."""
    return f"Hooks:        {hooks.hooks_attempted} {what}, {hooks.hooks_failed} failed"


def _resource_list(
    store: BackupStore, name: str
) -> tuple[dict[str, list[str]] | None, str]:
    """Return what was done to each object, by its type, and why that is not known.

    None: it is not on record.
    """
    from kbackup.catalog import RestoreFile  # noqa: PLC0415 - typed only above

    try:
        found = store.restore_file(name, RestoreFile.RESOURCE_LIST)
        if found is None:
            return None, ""
        return {key: sorted(map(str, names)) for key, names in found.items()}, ""
    except (RestoreDamagedError, StoreError) as exc:
        return None, str(exc)
    except (AttributeError, TypeError):
        return None, f"{RestoreFile.RESOURCE_LIST.key(name)}: it is no list by type"


def _resource_lines(
    listed: Mapping[str, Iterable[str]] | None, *, ours: bool
) -> Iterable[str]:
    """Return what was done to each object, as Velero does.

    It has no word for what is unchanged, which our own outcomes tell apart.
    """
    words = ", in Velero's words (skipped: unchanged as well)" if ours else ""
    yield f"Resource list{words}:" if listed else "Resource list: none"
    for type_, names in (listed or {}).items():
        yield f"  {type_}:"
        yield from (f"    {name}" for name in names)


def _asked_lines(restore: Restore) -> list[str]:
    """Return what was asked for, and how many items that were."""
    if not restore.metadata.uid:
        return ["Record:       none (made by Velero, which stores log and results)"]
    spec, progress = restore.spec, restore.status.progress
    mapping = ", ".join(f"{a} to {b}" for a, b in spec.namespace_mapping.items())
    return [
        f"Items:        {progress.items_restored if progress else 0}",
        f"Namespaces:   {_list(spec.included_namespaces, spec.excluded_namespaces)}",
        f"Renamed:      {mapping or 'nothing'}",
        *_modifier_lines(spec),
    ]


def _modifier_lines(spec: RestoreSpec) -> list[str]:
    """Return which ConfigMap of the target changed items; of a file an option tells."""
    named = spec.resource_modifier
    return (
        [f"Modifiers:    ConfigMap {well_known.VELERO_NAMESPACE}/{named.name}"]
        if named is not None
        else []
    )


def _target_lines(restore: Restore) -> Iterable[str]:
    """Return what kbackup notes of its restores: where to, how many, which options."""
    notes = restore.metadata.annotations
    if outcomes := _noted(notes, labels.OUTCOMES):
        done = ", ".join(f"{number} {action}" for action, number in outcomes.items())
        yield f"Outcome:      {done}"
    if server := notes.get(labels.TARGET_SERVER):
        uid = notes.get(labels.TARGET_CLUSTER, "unknown")
        yield f"Target:       {server} (cluster uid {uid})"
    for name, value in _noted(notes, labels.OPTIONS).items():
        text = ", ".join(map(str, value)) if isinstance(value, list) else value
        if isinstance(value, dict):  # the settings of item actions
            text = json.dumps(value, sort_keys=True)
        yield f"Option:       {name}: {text}"


def _noted(notes: Mapping[str, str], key: str) -> dict[str, Any]:
    """Return what an annotation says as JSON; nothing where it is something else."""
    try:
        found = json.loads(notes.get(key, "{}"))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
