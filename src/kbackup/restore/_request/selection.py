"""Does what a restore names exist in the backup? A typo must not be silent.

A mapping without its source restores into the original namespace, an exclude without
its type restores what was not wanted: both are refused. What is merely included may be
absent from one backup of many, which is worth a sentence. Pure but for `check_selection`,
which asks the archive; called before the first decision.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from fnmatch import fnmatchcase

import attrs

from kbackup._kits.globs import is_glob
from kbackup._kits.words import nearest, suggestion
from kbackup.archive import ArchiveContents
from kbackup.catalog.engine import SYSTEM_NAMESPACES, SYSTEM_TABLE
from kbackup.cluster import Discovery
from kbackup.errors import InvalidSpecError
from kbackup.models import GroupResource, RestoreSpec, RestoreStatusSpec, well_known
from kbackup.restore._request.priorities import HIGH, LOW, SEPARATOR
from kbackup.restore._request.statuses import KEPT_BY_SERVER

# Who takes Velero's list and changes it is not told which of its types are not there.
_ORDERED = frozenset({*HIGH, *LOW, SEPARATOR})
_SYSTEM_TYPES = frozenset(str(type_) for row in SYSTEM_TABLE for type_ in row.resources)


@attrs.frozen(kw_only=True)
class KnownNames:
    """What the names of a selection may mean.

    Attributes:
        namespaces: Of the backup.
        types: Full names of the types that the backup has items or definitions of.
        discovery: What the target serves.
    """

    namespaces: Collection[str]
    types: Collection[str]
    discovery: Discovery

    def has_namespace(self, name: str) -> bool:
        """Whether the backup has a namespace, or one that a wildcard means."""
        if is_glob(name):
            return any(fnmatchcase(each, name) for each in self.namespaces)
        return name in self.namespaces

    def has_type(self, name: str) -> bool:
        """Whether backup or target knows a type, by whatever name."""
        if is_glob(name):
            return any(fnmatchcase(each, name) for each in self.types)
        if self.discovery.resolve(name) is not None or name in _SYSTEM_TYPES:
            return True
        return name in self.types or any(x.split(".")[0] == name for x in self.types)

    def is_stored(self, name: str) -> bool:
        """Whether the backup has a type, by whatever name; a twin's group counts."""
        found = self.means(name)
        plain = name.partition(".")[0] if found is None else found.resource
        return name in self.types or any(x.split(".")[0] == plain for x in self.types)

    def means(self, name: str) -> GroupResource | None:
        """The type of the target that a name means."""
        found = self.discovery.resolve(name)
        return None if found is None else found.group_resource

    def no_namespace(self, name: str, fact: str) -> "Slip":
        """A name that means no namespace, with the one that may be meant."""
        return Slip(f"{fact} {name!r}", "namespace", nearest(name, self.namespaces))

    def no_type(self, name: str, fact: str) -> "Slip":
        """A name that means no type; without a group it is held against plain ones."""
        plain = {x if "." in name else x.split(".")[0] for x in self.types}
        return Slip(f"{fact} {name!r}", "type", nearest(name, plain))


@attrs.frozen
class Slip:
    """A name that means nothing in this backup.

    Attributes:
        fact: The sentence.
        what: ``namespace`` or ``type``.
        meant: The nearest name, or empty.
    """

    fact: str
    what: str
    meant: str = ""

    def __str__(self) -> str:
        return "; ".join(filter(None, (self.fact, suggestion(self.what, [self.meant]))))


def check_selection(
    spec: RestoreSpec,
    contents: ArchiveContents,
    discovery: Discovery,
    *,
    lenient: bool,
    moved: Iterable[GroupResource] = (),
    priorities: Iterable[str] = (),
) -> tuple[str, ...]:
    """Return what is worth a sentence about the names in *spec*.

    Args:
        spec: What was asked for.
        contents: The backup.
        discovery: The target's types.
        lenient: Refuse nothing: the archive is read as far as it goes.
        moved: Types that items of the backup are converted to.
        priorities: Types in the order of the user, with its separator.

    Raises:
        InvalidSpecError: Something would be written that was not wanted.
    """
    order = tuple(priorities)
    if not order and not _names_anything(spec):
        return ()
    namespaces = {ref.name for ref in contents.identifiers(well_known.NAMESPACES)}
    defined = {ref.name for ref in contents.identifiers(well_known.CRDS)}
    known = KnownNames(
        namespaces=namespaces.union(contents.namespaces()),
        types=defined.union(map(str, (*contents.resources(), *moved))),
        discovery=discovery,
    )
    sources = tuple(absent_sources(spec, known))
    types = (*unknown_excludes(spec, known), *unknown_statuses(spec, known))
    # A type of a group that the target could not tell of may be what was meant.
    broken = sources if discovery.failures else (*sources, *types)
    if broken and not lenient:
        raise InvalidSpecError([slip.fact for slip in broken], hint=_hint(broken))
    without_effect = (*unmatched(spec, known), *unmatched_priorities(order, known))
    return tuple(map(str, (*sources, *types, *without_effect)))


def absent_sources(spec: RestoreSpec, known: KnownNames) -> Iterator[Slip]:
    """Say which mappings have no source: what they were meant for would not move."""
    for source in spec.namespace_mapping:
        if not known.has_namespace(source):
            fact = "namespace mapping: the backup has no namespace"
            yield known.no_namespace(source, fact)


def unknown_excludes(spec: RestoreSpec, known: KnownNames) -> Iterator[Slip]:
    """Say which excludes are no type: what they were meant for would be written."""
    for name in spec.excluded_resources:
        if not is_glob(name) and not known.has_type(name):
            fact = "excluded resources: neither backup nor target knows"
            yield known.no_type(name, fact)


def unknown_statuses(spec: RestoreSpec, known: KnownNames) -> Iterator[Slip]:
    """Say which types, whose status is not to be restored, are none: it would be."""
    asked = spec.restore_status or RestoreStatusSpec()
    for name in asked.excluded_resources:
        if not is_glob(name) and not known.has_type(name):
            fact = "restore status, excluded: neither backup nor target knows"
            yield known.no_type(name, fact)


def unmatched(spec: RestoreSpec, known: KnownNames) -> Iterator[Slip]:
    """Say which names select or exclude nothing of this backup."""
    for name in spec.included_namespaces:
        if name != "*" and not known.has_namespace(name):
            fact = "included namespaces: the backup has none called"
            yield known.no_namespace(name, fact)
    for name in spec.excluded_namespaces:
        if name not in SYSTEM_NAMESPACES and not known.has_namespace(name):
            fact = "excluded namespaces: the backup has none called"
            yield known.no_namespace(name, fact)
    for name in spec.included_resources:
        if name != "*" and not known.has_type(name):
            fact = "included resources: neither backup nor target knows"
            yield known.no_type(name, fact)
        elif not is_glob(name) and not known.is_stored(name):
            yield Slip(f"included resources: the backup has no {name}", "type")
    for name in spec.excluded_resources:
        if is_glob(name) and not known.has_type(name):
            fact = f"excluded resources: {name!r} matches no type of the backup"
            yield Slip(fact, "type")
    yield from unmatched_statuses(spec.restore_status or RestoreStatusSpec(), known)


def unmatched_statuses(asked: RestoreStatusSpec, known: KnownNames) -> Iterator[Slip]:
    """Say which types mean none whose status could be restored, or excluded."""
    for name in asked.included_resources:
        if name != "*" and not known.has_type(name):
            fact = "restore status: neither backup nor target knows"
            yield known.no_type(name, fact)
        elif known.means(name) in KEPT_BY_SERVER:
            fact = f"restore status: that of {name} is kept by the API server itself"
            yield Slip(fact, "type")
    for name in asked.excluded_resources:
        if is_glob(name) and not known.has_type(name):
            fact = f"restore status, excluded: {name!r} matches no type of the backup"
            yield Slip(fact, "type")


def unmatched_priorities(order: Iterable[str], known: KnownNames) -> Iterator[Slip]:
    """Say which types of the user's order mean none; those of the built-in order may."""
    for name in order:
        if name not in _ORDERED and (is_glob(name) or not known.has_type(name)):
            yield known.no_type(name, "priorities: neither backup nor target knows")


def _names_anything(spec: RestoreSpec) -> bool:
    return bool(
        spec.namespace_mapping
        or spec.included_namespaces
        or spec.excluded_namespaces
        or spec.included_resources
        or spec.excluded_resources
        or spec.restore_status
    )


def _hint(slips: Sequence[Slip]) -> str:
    """Name what was probably meant, namespaces apart from types."""
    kinds = dict.fromkeys(slip.what for slip in slips)
    meant = (
        suggestion(what, (slip.meant for slip in slips if slip.what == what))
        for what in kinds
    )
    return "; ".join(filter(None, meant))
