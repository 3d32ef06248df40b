"""What the user's hooks, functions and rules make of an item, after kbackup and plugins.

Init containers of hooks first, then transforms, then resource modifiers: each sees what was
done before. Pure as far as the functions are.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from kbackup.errors import ActionError
from kbackup.hooks import INIT_RESTORE_HOOK, InitHooks
from kbackup.models import ItemTransform, ResourceIdentifier, qualified_name, well_known
from kbackup.plugins.engine import NO_OBJECT, fact_of, is_object
from kbackup.restore._making.reset import drop_server_set
from kbackup.restore._request.modifiers import Modifiers
from kbackup.restore._request.redaction import Redaction
from kbackup.restore.transforms._base import Transform

_encode = msgspec.json.Encoder().encode
_encode_sorted = msgspec.json.Encoder(order="sorted").encode
_OTHER_TYPE = "it changed apiVersion or kind, or whether there is a namespace"
_NO_JSON = (TypeError, ValueError, RecursionError, msgspec.MsgspecError)


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """What the user made of one item.

    Attributes:
        content: The item.
        target: Where it goes now.
        skip: Why it shall not be restored; empty: it shall.
        changed_by: Which transforms and rules changed it, and `INIT_RESTORE_HOOK`.
        init_containers: The names of those that hooks added.
        rules: The resource modifiers that are for it, by number.
        errors: Why some of them were not applied.
    """

    content: dict[str, Any]
    target: ResourceIdentifier
    skip: str = ""
    changed_by: tuple[str, ...] = ()
    init_containers: tuple[str, ...] = ()
    rules: tuple[int, ...] = ()
    errors: tuple[str, ...] = ()

    def __repr__(self) -> str:  # never the body: it may be a Secret
        return f"Changed({self.target})"


# Where nobody changed anything; content and target are then the item's own.
UNCHANGED = Changed(
    content={}, target=ResourceIdentifier(well_known.NAMESPACES, "", "")
)


class UserChanges:
    """Hooks, transforms and modifiers of one restore; may be called from any thread.

    True where it may change any item; hooks change Pods only.
    """

    def __init__(
        self,
        transforms: tuple[ItemTransform, ...],
        modifiers: Modifiers | None,
        redaction: Redaction,
        hooks: InitHooks | None = None,
    ) -> None:
        self._hooks = hooks
        self._transforms = transforms
        self._modifiers = modifiers
        self._redaction = redaction

    def __bool__(self) -> bool:
        return bool(self._transforms or self._modifiers)

    def apply(
        self,
        content: dict[str, Any],
        source: ResourceIdentifier,
        target: ResourceIdentifier,
        *,
        hooked: bool = True,
    ) -> Changed:
        """Make the user's changes.

        Args:
            content: In its place in the target.
            source: The item in the backup.
            target: Its place.
            hooked: If it is a Pod, it gets the init containers of hooks.

        Raises:
            ActionError: A hook cannot be added to it, or a transform failed on it.
        """
        changed_by: list[str] = []
        skip = ""
        added: tuple[str, ...] = ()
        is_pod = target.group_resource == well_known.PODS
        if hooked and is_pod and self._hooks is not None:
            content, added = self._hooks.add_to(content, target)
            changed_by += [INIT_RESTORE_HOOK] if added else []
        if self._transforms:
            content, skip = self._transform(content, target, changed_by)
        if skip or self._modifiers is None:
            return Changed(
                content=content,
                target=target if skip else _moved(content, target),
                skip=skip,
                changed_by=tuple(changed_by),
                init_containers=added,
            )
        modified = self._modifiers.modify(content, source)
        drop_server_set(modified.content)
        return Changed(
            content=modified.content,
            target=_moved(modified.content, target),
            changed_by=(*changed_by, *modified.changed_by),
            init_containers=added,
            rules=modified.rules,
            errors=modified.errors,
        )

    def _transform(
        self, body: dict[str, Any], target: ResourceIdentifier, changed_by: list[str]
    ) -> tuple[dict[str, Any], str]:
        """Apply the user's functions; the text says why the item is left out."""
        before = b""
        for transform in self._transforms:
            if isinstance(transform, Transform) and not transform.concerns(body):
                continue
            name, before = qualified_name(transform), before or fingerprint(body)
            kind = str(body.get("kind"))
            hide = self._redaction.hides(target.group_resource, kind)
            changed = _apply(transform, body, name, target, hide=hide)
            if changed is None:
                return body, f"left out by {name}"
            body = copied(changed, name, target)
            drop_server_set(body)
            after = fingerprint(body)
            if after != before:
                before = after
                changed_by.append(name)
        return body, ""


def _moved(
    content: Mapping[str, Any], target: ResourceIdentifier
) -> ResourceIdentifier:
    """Where an item goes by its own words; the same value where that did not change."""
    metadata = content["metadata"]
    moved = ResourceIdentifier(
        target.group_resource, metadata.get("namespace", ""), metadata["name"]
    )
    return moved if moved != target else target


def _apply(
    transform: Callable[[dict[str, Any]], Mapping[str, Any] | None],
    body: dict[str, Any],
    name: str,
    target: ResourceIdentifier,
    *,
    hide: bool,
) -> dict[str, Any] | None:
    before = _type_and_scope(body)  # it may change the item in place
    try:
        changed: Any = transform(body)
    except (Exception, SystemExit) as exc:
        raise ActionError(name, str(target), fact_of(exc, hide=hide)) from exc
    if changed is None:
        return None
    if not is_object(changed):
        raise ActionError(name, str(target), NO_OBJECT)
    if _type_and_scope(changed) != before:
        raise ActionError(name, str(target), _OTHER_TYPE)
    return dict(changed)


def _type_and_scope(item: Mapping[str, Any]) -> tuple[Any, Any, bool]:
    """What no transform changes of an item: where it is sent depends on it."""
    namespaced = bool(item["metadata"].get("namespace"))
    return item.get("apiVersion"), item.get("kind"), namespaced


def fingerprint(content: Mapping[str, Any]) -> bytes:
    """What tells whether foreign code changed an object, be it in place."""
    try:
        return _encode_sorted(content)
    except _NO_JSON:  # who made that is told when it is copied
        return b""


def copied(
    content: dict[str, Any], name: str, ref: ResourceIdentifier
) -> dict[str, Any]:
    """Return a copy that nobody else holds, of plain JSON values.

    Raises:
        ActionError: It cannot be JSON; *name* made it.
    """
    try:
        again: dict[str, Any] = msgspec.json.decode(_encode(content))
    except _NO_JSON as exc:
        raise ActionError(name, str(ref), "what it returned is no JSON") from exc
    return again
