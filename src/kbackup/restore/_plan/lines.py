"""The lines of a plan's document: items, claims and notices, written and read.

Called by `document`, which has the rest.
"""

import functools
from typing import Annotated, Any, Literal

import msgspec

from kbackup._kits.differences import Difference
from kbackup.models import GroupResource, ResourceIdentifier, well_known
from kbackup.restore._plan.claims import ClaimLine, ClaimVerdict
from kbackup.restore._plan.digest import ALGORITHM
from kbackup.restore._plan.plan import Notice
from kbackup.restore._plan_entry import (
    ApplyWrite,
    PlanAction,
    PlanEntry,
    Precondition,
    StatusWrite,
)

Digest = Annotated[str, msgspec.Meta(pattern=f"^({ALGORITHM}[0-9a-f]{{64}})?$")]


class Part(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """One object of the document; keys that it does not name are ignored."""


class _Change(Part, frozen=True):
    path: str
    op: Literal["add", "remove", "change"]
    left: Any = msgspec.field(name="from", default=None)
    right: Any = msgspec.field(name="to", default=None)


class _Seen(Part, frozen=True):
    uid: str
    resource_version: str


class EntryPart(Part, frozen=True):
    """One line of the plan; empty values are left out."""

    item: str
    target: str
    wave: int
    action: PlanAction
    api_version: str = ""
    kind: str = ""
    reason: str = ""
    digest: Digest = ""
    seen: _Seen | None = None
    cluster_wide: bool = False
    second_write: bool = False
    status: StatusWrite = ""
    apply: ApplyWrite = ""
    differences: tuple[_Change, ...] = ()
    changes: tuple[_Change, ...] = ()
    changed_by: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    converted_from: str = ""
    waits: tuple[str, ...] = ()
    adopter: str = ""
    ties: tuple[str, ...] = ()
    idle: bool = False
    hooks: tuple[str, ...] = ()
    failed_by: str = ""


class ClaimPart(Part, frozen=True):
    """What is told of a claim."""

    claim: str
    source: str
    verdict: ClaimVerdict
    volume: str
    text: str
    problems: tuple[str, ...]
    loses_data: bool = False


class NoticePart(Part, frozen=True):
    """A sentence, and the items that it is about."""

    what: str
    items: tuple[str, ...]


# --- out ------------------------------------------------------------------------------


def claim_json(line: ClaimLine) -> dict[str, Any]:
    """Return what is told of a claim, as plain JSON values."""
    return {
        "claim": line.target.qualified_name,
        "source": line.claim.qualified_name,
        "verdict": str(line.verdict),
        "volume": line.volume,
        "text": line.text,
        "problems": list(line.problems),
        "losesData": line.loses_data,
    }


def entry_json(entry: PlanEntry) -> dict[str, Any]:
    """Return a line of the plan, as plain JSON values."""
    item, seen = ref_text(entry.identifier), entry.precondition
    in_place = entry.target is entry.identifier  # nearly all; spares the text
    optional = {
        "apiVersion": entry.api_version,
        "kind": entry.kind,
        "reason": entry.reason,
        "digest": prefixed(entry.digest),
        "seen": seen and {"uid": seen.uid, "resourceVersion": seen.resource_version},
        "clusterWide": entry.cluster_wide,
        "secondWrite": entry.second_write,
        "status": entry.status,
        "apply": entry.apply,
        "differences": [x.to_json() for x in entry.differences],
        "changes": [x.to_json() for x in entry.changes],
        "changedBy": list(entry.changed_by),
        "errors": list(entry.errors),
        "convertedFrom": entry.converted_from,
        "waits": list(entry.waits),
        "adopter": entry.adopter,
        "ties": list(entry.ties),
        "idle": entry.idle,
        "hooks": list(entry.hooks),
        "failedBy": entry.failed_by,
    }
    return {
        "item": item,
        "target": item if in_place else ref_text(entry.target),
        "wave": entry.wave,
        "action": str(entry.action),
        **{key: value for key, value in optional.items() if value},
    }


def ref_text(ref: ResourceIdentifier) -> str:
    """Return an item as it is read again: its name as it is, whatever is in it.

    RBAC names may have line ends, which a text for people has not.
    """
    return f"{ref.group_resource}/{ref.qualified_name}"


def prefixed(digest: str) -> str:
    """Return a digest with its algorithm; none stays none."""
    return f"{ALGORITHM}{digest}" if digest else ""


# --- in -------------------------------------------------------------------------------


class LineReader:
    """Reads lines; items of one type share its identity, as when they were planned."""

    def __init__(self) -> None:
        self._type = functools.cache(GroupResource.parse)

    def entry(self, line: EntryPart) -> PlanEntry:
        """Read one line of the plan."""
        _check_write(line)
        identifier = self._ref(line.item)
        seen = line.seen
        return PlanEntry(
            identifier=identifier,
            target=identifier if line.target == line.item else self._ref(line.target),
            action=line.action,
            wave=line.wave,
            reason=line.reason,
            differences=tuple(_difference(change) for change in line.differences),
            changes=tuple(_difference(change) for change in line.changes),
            changed_by=line.changed_by,
            errors=line.errors,
            converted_from=line.converted_from,
            waits=line.waits,
            adopter=line.adopter,
            ties=line.ties,
            idle=line.idle,
            hooks=line.hooks,
            failed_by=line.failed_by,
            digest=line.digest.removeprefix(ALGORITHM),
            precondition=Precondition(seen.uid, seen.resource_version)
            if seen is not None
            else None,
            cluster_wide=line.cluster_wide,
            second_write=line.second_write,
            status=line.status,
            apply=line.apply,
            api_version=line.api_version,
            kind=line.kind,
        )

    def notice(self, notice: NoticePart) -> Notice:
        """Read one notice."""
        return Notice(what=notice.what, items=tuple(map(self._ref, notice.items)))

    def _ref(self, text: str) -> ResourceIdentifier:
        kind, _, rest = text.partition("/")
        namespace, slash, name = rest.rpartition("/")
        is_odd = bool(slash) != bool(namespace) or "/" in namespace
        if not kind or not name or is_odd:
            raise ValueError(f"{text!r} is no item such as configmaps/shop/settings")
        return ResourceIdentifier(self._type(kind), namespace, name)


def read_claim(line: ClaimPart) -> ClaimLine:
    """Read what is told of a claim."""
    return ClaimLine(
        claim=_claim_ref(line.source),
        target=_claim_ref(line.claim),
        verdict=line.verdict,
        volume=line.volume,
        text=line.text,
        problems=line.problems,
        loses_data=line.loses_data,
    )


def _claim_ref(text: str) -> ResourceIdentifier:
    namespace, _, name = text.partition("/")
    if not namespace or not name or "/" in name:
        raise ValueError(f"{text!r} is no claim such as shop/data")
    return ResourceIdentifier(well_known.PERSISTENT_VOLUME_CLAIMS, namespace, name)


def _check_write(line: EntryPart) -> None:
    """Refuse a write of which the document does not say what it was planned as."""
    if not line.action.writes:
        return
    needed = {"digest": line.digest, "apiVersion": line.api_version, "kind": line.kind}
    if line.action in (PlanAction.UPDATE, PlanAction.RECREATE):
        needed["seen"] = str(line.seen or "")
    for key, value in needed.items():
        if not value:
            raise ValueError(f"action {line.action} without {key}")


def _difference(change: _Change) -> Difference:
    return Difference(
        path=change.path, op=change.op, left=change.left, right=change.right
    )
