"""Let Pods ask for other nodes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

import attrs

from kbackup._kits.edit import replaced, with_list, without
from kbackup._kits.nested import mapping_at, objects_at
from kbackup.errors import InvalidConfigError
from kbackup.restore.transforms._base import (
    Content,
    Pairs,
    Transform,
    pairs_of,
    words_of,
)
from kbackup.restore.transforms._pods import POD_KINDS, with_pod_specs

_AFFINITY = ("affinity", "nodeAffinity")
_REQUIRED = (*_AFFINITY, "requiredDuringSchedulingIgnoredDuringExecution")
_PREFERRED = (*_AFFINITY, "preferredDuringSchedulingIgnoredDuringExecution")
_ALL = "*"

Label = tuple[str, str]


@attrs.frozen(slots=False, repr=False)
class _NodeSelectors(Transform):
    factory = "node_selectors"
    kinds = POD_KINDS

    drop: tuple[str, ...]
    replace: Pairs
    affinity: bool

    @cached_property
    def new_labels(self) -> dict[Label, Label]:
        """The new labels by the old ones."""
        return {_label(old): _label(new) for old, new in self.replace}

    def _arguments(self) -> str:
        given = [f"drop={self.drop!r}"] if self.drop else []
        given += [f"replace={dict(self.replace)!r}"] if self.replace else []
        return ", ".join([*given, "affinity=True"] if self.affinity else given)

    def _change(self, item: Content) -> Content:
        return with_pod_specs(item, self._of_spec)

    def _of_spec(self, spec: Content) -> Content:
        before = mapping_at(spec, "nodeSelector")
        found = (self._wanted((k, v)) for k, v in before.items() if isinstance(v, str))
        after = dict(label for label in found if label is not None)
        if after != before:
            spec = replaced(spec, ("nodeSelector",), after)
        if not after and before:
            spec = without(spec, (), ("nodeSelector",))
        return self._of_affinity(spec) if self.affinity else spec

    def _wanted(self, label: Label) -> Label | None:
        """Return the label that is asked for instead; None: none is."""
        if label in self.new_labels:
            return self.new_labels[label]
        if label in self.new_labels.values():  # asked for on purpose
            return label
        return None if self._drops(label[0]) else label

    def _drops(self, key: str) -> bool:
        return _ALL in self.drop or key in self.drop

    # --- affinity ---------------------------------------------------------------------

    def _of_affinity(self, spec: Content) -> Content:
        before = spec
        terms = objects_at(spec, *_REQUIRED, "nodeSelectorTerms")
        wanted = [self._term(term) for term in terms]
        if None in wanted:  # one term is enough, and this one every node fits
            spec = without(spec, _AFFINITY, _REQUIRED[-1:])
        elif wanted != terms:
            spec = replaced(spec, (*_REQUIRED, "nodeSelectorTerms"), wanted)
        preferred = objects_at(spec, *_PREFERRED)
        kept = [new for new in map(self._preference, preferred) if new is not None]
        if kept != preferred:
            spec = with_list(spec, _PREFERRED, kept)
        if spec is before:
            return spec
        for path in (_AFFINITY, _AFFINITY[:1]):
            if not mapping_at(spec, *path):
                spec = without(spec, path[:-1], path[-1:])
        return spec

    def _preference(self, preferred: Content) -> Content | None:
        before = mapping_at(preferred, "preference")
        after = self._term(before)
        if after is None or after == before:
            return None if after is None else preferred
        return replaced(preferred, ("preference",), after)

    def _term(self, term: Content) -> Content | None:
        """Return what is left of a term; None: nothing, so that every node fits.

        A term that was empty before fits none, and is left so.
        """
        before = objects_at(term, "matchExpressions")
        after = [new for new in map(self._expression, before) if new is not None]
        if after == before:
            return term
        term = with_list(term, ("matchExpressions",), after)
        return term if after or term.get("matchFields") else None

    def _expression(self, expression: Content) -> Content | None:
        key, values = str(expression.get("key")), expression.get("values")
        if (
            expression.get("operator") == "In"
            and isinstance(values, list)
            and len(values) == 1
        ):
            wanted = self._wanted((key, str(values[0])))
            if wanted is None or wanted == (key, values[0]):
                return expression if wanted else None
            return {**expression, "key": wanted[0], "values": [wanted[1]]}
        return None if self._drops(key) else expression


def node_selectors(
    *,
    drop: Iterable[str] = (),
    replace: Mapping[str, str] | None = None,
    affinity: bool = False,
) -> Transform:
    """Return a transform that lets Pods ask for other nodes.

    In Pods and in everything that makes Pods. Tolerations, topology constraints, and the
    nodes that volumes ask for are left as they are.

    Args:
        drop: Names of labels that are no longer asked for; ``*`` is all that are not
            replaced.
        replace: Labels to ask for instead: ``{"pool=blue": "nodegroup=blue"}``.
        affinity: Do the same to the Pods' node affinity. A label is replaced where it is
            the only value of an ``In``. A required term of which nothing is left would
            fit every node, so no node is required any more.

    Raises:
        InvalidConfigError: A label is not ``NAME=VALUE``, or there is nothing to do.
    """
    name = _NodeSelectors.factory
    dropped = words_of(drop, name)
    pairs = pairs_of(replace, name) if replace else ()
    if not dropped and not pairs:
        raise InvalidConfigError(f"{name}: nothing is dropped or replaced")
    for label in (label for pair in pairs for label in pair):
        if not _label(label)[0] or "=" not in label:
            raise InvalidConfigError(f"{name}: {label!r} is not NAME=VALUE")
    return _NodeSelectors(dropped, pairs, affinity=bool(affinity))


def _label(text: str) -> Label:
    key, _, value = text.partition("=")
    return key, value
