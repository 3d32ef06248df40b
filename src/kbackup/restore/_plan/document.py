"""A plan as a JSON document, to be saved, reviewed and read again.

It has digests and what was seen of each live object, but no bodies, no value of a
Secret, and functions by their names only. Reading trusts nothing: types are checked
here, and applying holds every body against its digest. Called by `RestorePlan`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any, TypeVar

import msgspec

from kbackup._kits.times import format_time
from kbackup.errors import CodecError, InvalidConfigError, InvalidPlanError
from kbackup.models import (
    API_VERSION,
    ItemPredicate,
    ItemTransform,
    ResourceModifiers,
    RestoreOptions,
    RestoreSpec,
    from_json,
    to_json,
)
from kbackup.restore._plan.digest import ALGORITHM, DIGEST_KEY, plan_digest
from kbackup.restore._plan.lines import (
    ClaimPart,
    Digest,
    EntryPart,
    LineReader,
    NoticePart,
    Part,
    claim_json,
    entry_json,
    prefixed,
    read_claim,
    ref_text,
)
from kbackup.restore._plan.plan import PlanHead, RestorePlan
from kbackup.restore._plan.versions_document import (
    VersionsPart,
    read_versions,
    write_versions,
)
from kbackup.restore._request.modifier_source import PlanModifiers

PLAN_KIND = "RestorePlan"

_L = TypeVar("_L")
_R = TypeVar("_R")
_CHANGED = "it was changed after it was saved, its digest does not fit"
_NARROWER = (
    "plan again; what is not wanted is left out when planning, with --include-resources, "
    "--include-namespaces or --selector"
)
_FUNCTIONS = (
    "functions that a plan names have to be given again, in its order, and the resource "
    "modifiers that it was made with"
)
_AGES = 100 * 366 * 24 * 3600  # seconds; what a backup's age can be, either way

# --- out ------------------------------------------------------------------------------


def write_plan(plan: RestorePlan) -> dict[str, Any]:
    """Return the document of a plan, plain JSON values."""
    document: dict[str, Any] = {
        "apiVersion": API_VERSION,
        "kind": PLAN_KIND,
        "writer": {"version": plan.head.writer_version},
        "head": _head_json(plan.head),
        "spec": to_json(plan.spec),
        "options": plan.options.to_record(),
        "notices": [
            {"what": notice.what, "items": [*map(ref_text, notice.items)]}
            for notice in plan.notices
        ],
        "claims": [claim_json(line) for line in plan.claims],
        "entries": [entry_json(entry) for entry in plan.entries],
        "summary": {str(action): n for action, n in sorted(plan.counts.items())},
    }
    document[DIGEST_KEY] = plan_digest(document)
    return document


def _head_json(head: PlanHead) -> dict[str, Any]:
    age, modifiers = head.backup_age, head.modifiers
    return {
        "server": head.server,
        "context": head.context,
        "cluster": {"uid": head.cluster_uid, "gitVersion": head.cluster_version},
        "madeAt": None if head.made_at is None else format_time(head.made_at),
        "sameCluster": head.same_cluster,
        "restore": {"name": head.restore_name, "uid": head.restore_uid},
        "backup": {
            "name": head.backup_name,
            "uid": head.backup_uid,
            "clusterUid": head.backup_cluster_uid,
            "phase": head.backup_phase,
            "ageSeconds": None if age is None else int(age.total_seconds()),
            "warnings": head.backup_warnings,
            "errors": head.backup_errors,
            "notCovered": list(head.not_covered),
            "archive": prefixed(head.archive_digest),
        },
        "modifiers": modifiers
        and {
            "source": modifiers.source,
            "rules": modifiers.rules,
            "digest": modifiers.digest,
        },
        "settingsFrom": dict(head.settings_from),
        "versions": head.versions and write_versions(head.versions),
    }


# --- what a document looks like -------------------------------------------------------


class _Writer(Part, frozen=True):
    version: str


class _Cluster(Part, frozen=True):
    uid: str
    git_version: str


class _Restore(Part, frozen=True):
    name: str
    uid: str


class _Backup(Part, frozen=True):
    name: str
    uid: str
    phase: str
    age_seconds: Annotated[int, msgspec.Meta(ge=-_AGES, le=_AGES)] | None
    warnings: int
    errors: int
    not_covered: tuple[str, ...]
    archive: Digest
    cluster_uid: str = ""


class _Modifiers(Part, frozen=True):
    source: str
    rules: int
    digest: Digest


class _Head(Part, frozen=True):
    server: str
    context: str
    cluster: _Cluster
    same_cluster: bool | None
    restore: _Restore
    backup: _Backup
    made_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    modifiers: _Modifiers | None = None
    settings_from: dict[str, str] = msgspec.field(default_factory=dict)
    versions: VersionsPart | None = None


class _Document(Part, frozen=True):
    digest: Annotated[str, msgspec.Meta(pattern=f"^{ALGORITHM}[0-9a-f]{{64}}$")]
    writer: _Writer
    head: _Head
    spec: dict[str, Any]
    options: dict[str, Any]
    notices: tuple[NoticePart, ...]
    claims: tuple[ClaimPart, ...]
    entries: tuple[EntryPart, ...]


# --- in -------------------------------------------------------------------------------


def read_plan(
    document: Mapping[str, Any] | bytes | str,
    *,
    transforms: Iterable[ItemTransform] = (),
    where: ItemPredicate | None = None,
    resource_modifiers: ResourceModifiers | None = None,
) -> RestorePlan:
    """Make a plan of its document; `RestorePlan.from_json` says how."""
    content = _checked(document)
    read = _converted(content)
    _check_digest(content, read.digest)
    return RestorePlan(
        head=_head(read.head, read.writer),
        entries=tuple(_each("entries", read.entries, LineReader().entry)),
        claims=tuple(_each("claims", read.claims, read_claim)),
        notices=tuple(_each("notices", read.notices, LineReader().notice)),
        spec=_spec(read.spec, read.head.backup.name),
        options=_options(
            read.options,
            transforms=transforms,
            where=where,
            resource_modifiers=resource_modifiers,
        ),
    )


def _checked(document: Any) -> Mapping[str, Any]:
    """The parsed document; another kind or major version is refused."""
    if isinstance(document, bytes | str):
        document = _parse(document)
    if not isinstance(document, Mapping):
        raise _refusal("", "it is no JSON object")
    for key, expected in (("kind", PLAN_KIND), ("apiVersion", API_VERSION)):
        if document.get(key) != expected:
            got = document.get(key)
            raise _refusal(key, f"expected {expected}, got {got!r}")
    return document


def _parse(text: bytes | str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as exc:
        raise _refusal("", f"it is no JSON: {exc}") from exc


def _converted(document: Mapping[str, Any]) -> _Document:
    try:
        return msgspec.convert(document, _Document)
    except msgspec.ValidationError as exc:
        fact, _, path = str(exc).partition(" - at `$")
        raise _refusal(path.strip("`."), fact) from exc
    except UnicodeEncodeError as exc:
        raise _refusal("", f"a text is no Unicode: {exc}") from exc


def _check_digest(document: Mapping[str, Any], digest: str) -> None:
    """Refuse a document of which lines were removed or changed: it is another plan."""
    try:
        found = plan_digest(document)
    except (TypeError, RecursionError) as exc:
        raise _refusal("", f"it is no JSON: {exc}") from exc
    if found != digest:
        raise _refusal("", _CHANGED, hint=_NARROWER)


def _head(head: _Head, writer: _Writer) -> PlanHead:
    backup, age = head.backup, head.backup.age_seconds
    return PlanHead(
        server=head.server,
        context=head.context,
        cluster_uid=head.cluster.uid,
        cluster_version=head.cluster.git_version,
        same_cluster=head.same_cluster,
        restore_name=head.restore.name,
        restore_uid=head.restore.uid,
        backup_name=backup.name,
        backup_uid=backup.uid,
        backup_phase=backup.phase,
        backup_age=None if age is None else timedelta(seconds=age),
        backup_warnings=backup.warnings,
        backup_errors=backup.errors,
        not_covered=backup.not_covered,
        archive_digest=backup.archive.removeprefix(ALGORITHM),
        backup_cluster_uid=backup.cluster_uid,
        writer_version=writer.version,
        made_at=head.made_at,
        modifiers=None if head.modifiers is None else _modifiers(head.modifiers),
        settings_from=head.settings_from,
        versions=None if head.versions is None else read_versions(head.versions),
    )


def _modifiers(read: _Modifiers) -> PlanModifiers:
    return PlanModifiers(source=read.source, rules=read.rules, digest=read.digest)


def _spec(data: Mapping[str, Any], backup_name: str) -> RestoreSpec:
    try:
        spec = from_json(RestoreSpec, data)
    except CodecError as exc:
        raise _refusal("spec", str(exc)) from exc
    if spec.backup_name != backup_name:
        raise _refusal("spec.backupName", f"the head names {backup_name}")
    return spec


def _options(record: Mapping[str, Any], **given: Any) -> RestoreOptions:
    try:
        return RestoreOptions.from_record(record, **given)
    except InvalidConfigError as exc:
        raise _refusal("options", str(exc), hint=_FUNCTIONS) from exc


def _refusal(path: str, reason: str, *, hint: str = "") -> InvalidPlanError:
    where = f"{path}: " if path else ""
    return InvalidPlanError(
        f"the saved plan cannot be used: {where}{reason}", hint=hint
    )


def _each(path: str, lines: Iterable[_L], read: Callable[[_L], _R]) -> Iterator[_R]:
    """Read every line; an error names the one that it is about."""
    for index, line in enumerate(lines):
        try:
            yield read(line)
        except ValueError as exc:
            raise _refusal(f"{path}[{index}]", str(exc)) from exc
