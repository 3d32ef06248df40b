"""Which fields of an item are applied to a live object, and what that makes of it.

Pure; server-side apply, predicted from managedFields: whose fields they were in the
backup, whose they are in the target. The server has the last word when it is asked.
Source: Kubernetes ``sigs.k8s.io/structured-merge-diff``, FieldsV1: ``f:`` a field, ``k:``
an element by its keys, ``v:`` one by its value, ``.`` the thing itself.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs
import msgspec

from kbackup._kits.words import first_few

Content = Mapping[str, Any]
Tree = Mapping[str, Any]

MANAGER = "kbackup"
_APPLIED = (MANAGER, "Apply")
# What these write into an object is the cluster's doing, not its user's.
_OF_THE_CLUSTER = frozenset(
    {
        "cloud-controller-manager",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kubelet",
    }
)
_IDENTITY = ("apiVersion", "kind")
_PLACE = ("name", "namespace")
_ABSENT = object()


@attrs.frozen
class Clash:
    """A field that another manager has set otherwise.

    Attributes:
        field: Such as ``spec.replicas``.
        manager: Who manages it.
    """

    field: str
    manager: str

    def __str__(self) -> str:
        return f"{self.field} is managed by {self.manager}"


@attrs.frozen
class Applied:
    """What is applied to one live object.

    Attributes:
        body: The fields that are sent.
        clashes: With whom, were it not forced; kbackup's own earlier writes aside.
        is_own: Some fields are kbackup's from an earlier write, which counts as another
            manager: to take them from itself, it has to force.
        unnamed: Other managers of the live object that know some of their fields by the
            names of another version, with that: what clashes with them is not known.
    """

    body: dict[str, Any]
    clashes: tuple[Clash, ...]
    is_own: bool
    unnamed: tuple[str, ...]
    _lists: Tree
    _given_up: Tree
    _others: Tree

    def goal(self, live: Content) -> dict[str, Any]:
        """What a live object, which may be `cleaned`, is afterwards."""
        kept = _without(live, self._given_up, self._others, self.body)
        goal: dict[str, Any] = _merged(kept, self.body, self._lists)
        return goal

    def managed(self) -> str:
        """The fields that kbackup manages afterwards, the first ones by name."""
        return first_few(sorted(set(_leaves(self.body, ""))))


def applied_of(desired: Content, stored: Content, live: Content) -> Applied:
    """Find what of a desired item is applied.

    Args:
        desired: As it would be created.
        stored: As the backup has it, with its managedFields; maybe in another version,
            from which it was converted: what that moved is a change.
        live: As the target has it, with its managedFields.
    """
    body = _with_changes(_of_users(desired, stored), desired, stored)
    body |= {key: desired[key] for key in _IDENTITY}
    metadata = desired["metadata"]
    place = {key: metadata[key] for key in _PLACE if key in metadata}
    body["metadata"] = {**(body.get("metadata") or {}), **place}
    body.pop("status", None)
    clashes = list(_clashes_of(body, live))
    return Applied(
        body=body,
        clashes=tuple(clash for clash in clashes if clash.manager != MANAGER),
        is_own=any(clash.manager == MANAGER for clash in clashes),
        unnamed=tuple(dict.fromkeys(_unnamed(live))),
        lists=_union([*_every_tree(stored), *_every_tree(live)]),
        given_up=_union(
            _tree_of(entry) for entry in _entries(live) if _is_applied(entry)
        ),
        others=_union(
            _tree_of(entry) for entry in _entries(live) if not _is_applied(entry)
        ),
    )


# --- managers -------------------------------------------------------------------------


def _entries(content: Content) -> Iterable[Content]:
    return content["metadata"].get("managedFields") or ()


def _is_applied(entry: Content) -> bool:
    return (entry.get("manager"), entry.get("operation")) == _APPLIED


def _tree_of(entry: Content) -> Tree:
    return entry.get("fieldsV1") or {}


def _every_tree(content: Content) -> Iterator[Tree]:
    return map(_tree_of, _entries(content))


def _union(trees: Iterable[Tree]) -> dict[str, Any]:
    """All fields of several trees; one that is managed as a whole stays whole."""
    found: dict[str, Any] = {}
    for tree in trees:
        found = _joined(found, tree) if found else dict(tree)
    return found


def _joined(left: Tree, right: Tree) -> dict[str, Any]:
    joined = dict(left)
    for step, inner in right.items():
        there = joined.get(step)
        if there is None:
            joined[step] = inner
        else:  # an empty one is a field as a whole
            joined[step] = _joined(there, inner) if there and inner else {}
    return joined


def _unnamed(live: Content) -> Iterator[str]:
    for entry in _entries(live):
        manager = str(entry.get("manager") or "nobody by name")
        if manager == MANAGER or entry.get("subresource"):
            continue
        if not _is_readable(entry, live):
            yield f"{manager} ({entry.get('apiVersion')})"


def _clashes_of(body: Content, live: Content) -> Iterator[Clash]:
    seen = set()
    for entry in _entries(live):
        if _is_applied(entry) and not entry.get("subresource"):
            continue
        manager = str(entry.get("manager") or "nobody by name")
        for field in _clashing(_tree_of(entry), live, body, ""):
            if (field, manager) not in seen:
                seen.add((field, manager))
                yield Clash(field, manager)


def _clashing(tree: Tree, live: Any, applied: Any, path: str) -> Iterator[str]:
    """The fields of a tree that would get another value."""
    if live is _ABSENT or applied is _ABSENT:
        return
    steps = [step for step in tree if step != "."]
    if not steps:
        if not tree and live != applied:
            yield path
        return
    for step in steps:
        left, right = _step(live, step), _step(applied, step)
        yield from _clashing(tree[step], left, right, f"{path}{_named(step, path)}")


# --- steps ----------------------------------------------------------------------------


def _step(value: Any, step: str) -> Any:
    """What a step of a tree leads to."""
    kind, _, text = step.partition(":")
    if kind == "f" and isinstance(value, Mapping):
        return value.get(text, _ABSENT)
    if kind == "k" and isinstance(value, list):
        return _element(value, _keys_of(step))
    if kind == "v" and isinstance(value, list):
        wanted = msgspec.json.decode(text)
        return wanted if wanted in value else _ABSENT
    return _ABSENT


def _named(step: str, path: str) -> str:
    kind, _, text = step.partition(":")
    if kind == "f":
        return f".{text}" if path else text
    if kind == "k":
        return f"[{','.join(str(value) for value in _keys_of(step).values())}]"
    return f"[{text}]"


def _keys_of(step: str) -> dict[str, Any]:
    keys: dict[str, Any] = msgspec.json.decode(step.partition(":")[2])
    return keys


def _element(elements: Iterable[Any], keys: Content) -> Any:
    """The element that has these keys; a protocol that is not given is TCP."""
    for element in elements:
        if isinstance(element, Mapping) and all(
            element.get(key, "TCP" if key == "protocol" else None) == value
            for key, value in keys.items()
        ):
            return element
    return _ABSENT


# --- what is sent ---------------------------------------------------------------------


def _of_users(desired: Content, stored: Content) -> dict[str, Any]:
    """What of a desired item is its users', and not the cluster's own.

    Where a server tells nothing of a user, or names the user's fields as another version
    has them, it is all that is not known to be the cluster's.
    """
    own = [entry for entry in _entries(stored) if not entry.get("subresource")]
    of_cluster = [x for x in own if x.get("manager") in _OF_THE_CLUSTER]
    of_users = [entry for entry in own if entry not in of_cluster]
    users = _union(map(_tree_of, of_users))
    if users and all(_is_readable(entry, stored) for entry in of_users):
        found: dict[str, Any] = _selected(desired, users)
        return found
    cluster = _union(map(_tree_of, of_cluster)) if users else {}
    rest: dict[str, Any] = _without(desired, cluster, users, {})
    return rest


def _is_readable(entry: Content, content: Content) -> bool:
    """Whether an object has the fields of a manager by the names that it knows them by."""
    if entry.get("apiVersion") == content.get("apiVersion"):
        return True
    tree = _tree_of(entry).items()
    return _has_all(content, {step: sub for step, sub in tree if step != "f:status"})


def _has_all(value: Any, tree: Tree) -> bool:
    if value is _ABSENT:
        return False
    return all(
        _has_all(_step(value, step), sub) for step, sub in tree.items() if step != "."
    )


def _selected(value: Any, tree: Tree) -> Any:
    """What of a value the fields of a tree are."""
    steps = [step for step in tree if step != "."]
    if isinstance(value, Mapping):
        if not tree:
            return dict(value)
        found = {step[2:]: (_step(value, step), tree[step]) for step in steps}
        return {
            k: _selected(v, sub) for k, (v, sub) in found.items() if v is not _ABSENT
        }
    if not isinstance(value, list) or not steps:
        return [] if tree and isinstance(value, list) else value
    found_elements = []
    for step in steps:
        element = _step(value, step)
        if element is _ABSENT:
            continue
        if step.startswith("k:"):
            chosen = {**_keys_of(step), **_selected(element, tree[step] or {".": {}})}
            found_elements.append((value.index(element), chosen))
        else:
            found_elements.append((value.index(element), element))
    return [element for _, element in sorted(found_elements, key=lambda pair: pair[0])]


def _with_changes(selected: Any, desired: Content, stored: Content) -> dict[str, Any]:
    """Add what is not as it was in the backup: the restore was asked for that, too."""
    body = dict(selected)
    for key, value in desired.items():
        before = stored.get(key, _ABSENT)
        if value == before:
            continue
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            if inner := _with_changes(body.get(key) or {}, value, before):
                body[key] = inner
        else:
            body[key] = value
    return body


# --- what comes of it -----------------------------------------------------------------


def _merged(live: Any, applied: Any, lists: Tree) -> Any:
    if isinstance(live, Mapping) and isinstance(applied, Mapping):
        return {
            **live,
            **{
                key: _merged(live[key], value, lists.get(f"f:{key}") or {})
                if key in live
                else value
                for key, value in applied.items()
            },
        }
    if isinstance(live, list) and isinstance(applied, list):
        return _merged_list(live, applied, lists)
    return applied


def _merged_list(live: list[Any], applied: list[Any], lists: Tree) -> list[Any]:
    """By the keys of its elements, as a set, or as one value: as managers have it."""
    keyed = next((_keys_of(step) for step in lists if step.startswith("k:")), None)
    if keyed is None:
        if any(step.startswith("v:") for step in lists):
            return [*live, *(each for each in applied if each not in live)]
        return applied
    merged = list(live)
    for element in applied:
        keys = {key: element.get(key, "TCP") for key in keyed}
        there = _element(live, keys)
        if there is _ABSENT:
            merged.append(element)
            continue
        inner = _union(lists[step] for step in lists if step.startswith("k:"))
        merged[live.index(there)] = _merged(there, element, inner)
    return merged


def _without(value: Any, given_up: Tree, others: Tree, applied: Any) -> Any:
    """The value without what kbackup applied once, applies no more, and nobody else has."""
    if isinstance(value, Mapping):
        kept = dict(value)
        for step in [step for step in given_up if step != "."]:
            inner, sub = _step(value, step), given_up[step]
            if inner is _ABSENT:
                continue
            now, their = _step(applied, step), others.get(step)
            if now is _ABSENT and their is None and not sub:
                del kept[step[2:]]
            elif sub:
                kept[step[2:]] = _without(inner, sub, their or {}, now)
        return kept
    if isinstance(value, list):
        gone = [
            _step(value, step)
            for step in given_up
            if step != "." and step not in others and _step(applied, step) is _ABSENT
        ]
        return [element for element in value if element not in gone]
    return value


def _leaves(value: Any, path: str) -> Iterator[str]:
    """The names of the fields of a body, lists as a whole."""
    if not isinstance(value, Mapping) or not value:
        if path not in (*_IDENTITY, *(f"metadata.{key}" for key in _PLACE)):
            yield path
        return
    for key, inner in value.items():
        yield from _leaves(inner, f"{path}.{key}" if path else key)
