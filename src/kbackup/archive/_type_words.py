"""The words that mean a type of object, where only an archive is at hand."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Self

import msgspec

from kbackup._kits.kinds import is_built_in
from kbackup._kits.words import nearest
from kbackup.archive._contents import ArchiveContents
from kbackup.models import GroupResource, Item, well_known

# Source: Kubernetes, `kubectl api-resources` of a server without custom resources.
_SHORT_NAMES = {
    "certificatesigningrequests": ("csr",),
    "configmaps": ("cm",),
    "cronjobs": ("cj",),
    "customresourcedefinitions": ("crd", "crds"),
    "daemonsets": ("ds",),
    "deployments": ("deploy",),
    "endpoints": ("ep",),
    "events": ("ev",),
    "horizontalpodautoscalers": ("hpa",),
    "ingresses": ("ing",),
    "limitranges": ("limits",),
    "namespaces": ("ns",),
    "networkpolicies": ("netpol",),
    "nodes": ("no",),
    "persistentvolumeclaims": ("pvc",),
    "persistentvolumes": ("pv",),
    "poddisruptionbudgets": ("pdb",),
    "podsecuritypolicies": ("psp",),
    "pods": ("po",),
    "priorityclasses": ("pc",),
    "replicasets": ("rs",),
    "replicationcontrollers": ("rc",),
    "resourcequotas": ("quota",),
    "serviceaccounts": ("sa",),
    "services": ("svc",),
    "statefulsets": ("sts",),
    "storageclasses": ("sc",),
}


class _Names(msgspec.Struct):
    """What a definition calls its type; in v1 as in v1beta1."""

    plural: str
    singular: str = ""
    kind: str = ""
    shortNames: tuple[str, ...] = ()  # noqa: N815 - as the document has it

    def words(self) -> set[str]:
        words = (self.plural, self.singular, self.kind, *self.shortNames)
        return {word.lower() for word in words if word}


class _DefinitionSpec(msgspec.Struct):
    group: str
    names: _Names


class _Definition(msgspec.Struct):
    """Of a CustomResourceDefinition what `TypeWords` asks for."""

    spec: _DefinitionSpec


class TypeWords:
    """Which words mean which of the types in one archive.

    A type is meant by its plural, its kind in any case, the short names that every
    cluster knows, and what its definition calls it where that is in the archive; each
    also with the group. Complete when every item was learnt: definitions need not come
    before what they define. For one thread until then.
    """

    def __init__(self) -> None:
        self._words: dict[GroupResource, set[str]] = {}
        self._defined: dict[GroupResource, set[str]] = {}

    @classmethod
    def of(cls, *archives: ArchiveContents) -> Self:
        """Return the words for the types in some archives."""
        words = cls()
        for contents in archives:
            for type_ in contents.resources():
                for item in contents.items(type_):
                    words.learn(item)
                    if type_ != well_known.CRDS:
                        break
        return words

    def learn(self, item: Item) -> None:
        """Take in the type of *item*; and of a definition, the one it defines."""
        type_ = item.identifier.group_resource
        if type_ not in self._words:
            self._words[type_] = _own_words(type_, item.kind)
        if type_ == well_known.CRDS:
            with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                spec = msgspec.json.decode(item.raw, type=_Definition).spec
                defined = GroupResource(spec.group, spec.names.plural)
                self._defined[defined] = spec.names.words()

    def meant_by(self, word: str) -> set[GroupResource]:
        """Return the types that *word* means: mostly one, or none."""
        name, _, group = word.lower().partition(".")
        return {
            type_
            for type_ in (*self._words, *self._defined)
            if name in self._words.get(type_, ())
            or name in self._defined.get(type_, ())
            if group in ("", type_.group)
        }

    def near(self, word: str) -> str:
        """Return the type whose name *word* may be a slip for, or nothing."""
        types = {*self._words, *self._defined}
        names = {name: str(t) for t in types for name in (t.resource, str(t))}
        return names.get(nearest(word.lower(), sorted(names)), "")


def _own_words(type_: GroupResource, kind: str) -> set[str]:
    short = _SHORT_NAMES.get(type_.resource, ()) if is_built_in(type_.group) else ()
    return {type_.resource, kind.lower(), *short}


def without_twins(items: Sequence[Item]) -> Sequence[Item]:
    """Of one object that was stored under several groups keep the newest group's."""
    uids = {item.content.get("metadata", {}).get("uid") for item in items}
    if len(items) < 2 or len(uids) != 1 or None in uids:  # noqa: PLR2004 - several
        return items
    return [min(items, key=_age_of_group)]


def _age_of_group(item: Item) -> tuple[bool, bool]:
    """Return what is greater for a group that others have replaced."""
    group = item.identifier.group_resource.group
    return group == "extensions", not group
