"""Which commands are run in a Pod, from its annotations and a backup's spec. Pure.

Source: Velero's backup hooks. An annotation with a command takes the place of what the
spec says, for its phase; the spec's hooks are run in the order in which they stand there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any

import attrs
import msgspec

from kbackup._kits.durations import DurationError, parse_duration
from kbackup._kits.globs import IncludesExcludes
from kbackup._kits.nested import mapping_at, objects_at, text_at
from kbackup.models import (
    APIResource,
    BackupHooks,
    BackupResourceHookSpec,
    ExecHook,
    HookErrorMode,
    ResourceIdentifier,
    labels,
    well_known,
)

Resolve = Callable[[str], "APIResource | None"]

DEFAULT_TIMEOUT = timedelta(seconds=30)  # Velero's
FROM_ANNOTATION = "<from-annotation>"  # Velero's name of a hook that a Pod states

# What all these annotations hold, and hardly anything else does.
_MARK = labels.LEGACY_BACKUP_HOOK_PREFIX.rstrip("/").encode()
_KEYS = ("command", "container", "on-error", "timeout")
_FINISHED = ("Succeeded", "Failed")  # phases of a Pod in which nothing can be run
_PODS = str(well_known.PODS)
_SHOWN = 40  # characters of an odd value


class HookPhase(StrEnum):
    """When a command is run."""

    PRE = "pre"
    """Before a Pod is backed up."""
    POST = "post"
    """Afterwards."""
    RESTORE = "restore"
    """In a Pod that was restored."""


# The first one with a command counts.
_PREFIXES: Mapping[HookPhase, tuple[str, ...]] = {
    HookPhase.PRE: (labels.PRE_BACKUP_HOOK_PREFIX, labels.LEGACY_BACKUP_HOOK_PREFIX),
    HookPhase.POST: (labels.POST_BACKUP_HOOK_PREFIX,),
    HookPhase.RESTORE: (),  # see `_exec`
}


@attrs.frozen(kw_only=True)
class PodHook:
    """One command in one container.

    Attributes:
        name: Of the spec's entry, or that of annotations.
        command: Program and arguments; it may hold a password.
        on_error: What a failure of it means.
        fault: Why it cannot be run; empty: it can.
    """

    name: str
    phase: HookPhase
    container: str
    command: tuple[str, ...] = attrs.field(repr=False)
    on_error: HookErrorMode = HookErrorMode.FAIL
    timeout: timedelta = DEFAULT_TIMEOUT
    fault: str = ""

    def __str__(self) -> str:
        where = f" in container {self.container}" if self.container else ""
        return f"{self.phase} hook {self.name}{where}"


@attrs.frozen(kw_only=True)
class PodHooks:
    """What is run in one Pod; false where that is nothing.

    Attributes:
        pod: The Pod.
        pre: Before it is backed up, in order.
        post: Afterwards, in order.
        oddities: What its annotations say that means nothing, a sentence for each.
        entries: The names of the spec's entries that are for it, whose hooks may give
            way to those of its annotations.
    """

    pod: ResourceIdentifier
    pre: tuple[PodHook, ...] = ()
    post: tuple[PodHook, ...] = ()
    oddities: tuple[str, ...] = ()
    entries: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.pre or self.post)


@attrs.frozen
class _Rule:
    """One entry of the spec, its types resolved."""

    spec: BackupResourceHookSpec
    namespaces: IncludesExcludes

    def applies_to(self, namespace: str, found: Mapping[str, str]) -> bool:
        selector = self.spec.label_selector
        return self.namespaces.wants(namespace) and (
            selector is None or selector.matches(found)
        )


class HookRules:
    """The hooks of one backup; immutable, so any thread may ask.

    Attributes:
        idle: Names of entries that leave Pods out, so that nothing of them is run.
        names: Those of the others.
    """

    def __init__(self, hooks: BackupHooks, resolve: Resolve) -> None:
        """Resolve the types that the entries name.

        Args:
            hooks: Of the backup's spec.
            resolve: Finds a type by any of its names; None: the cluster serves none.
        """
        wanted = [spec for spec in hooks.resources if _wants_pods(spec, resolve)]
        self.idle = tuple(x.name for x in hooks.resources if x not in wanted)
        self.names = tuple(x.name for x in wanted)
        self._rules = tuple(
            _Rule(
                spec,
                IncludesExcludes(spec.included_namespaces, spec.excluded_namespaces),
            )
            for spec in wanted
        )

    def may_concern(
        self, namespace: str, found: Mapping[str, str] | None, body: bytes
    ) -> bool:
        """Tell, without parsing it, whether a Pod may have hooks."""
        return _MARK in body or any(
            rule.applies_to(namespace, found or {}) for rule in self._rules
        )

    def of(self, identifier: ResourceIdentifier, pod: Mapping[str, Any]) -> PodHooks:
        """Return the hooks of a Pod; one that has finished gets none."""
        if text_at(pod, "status", "phase") in _FINISHED:
            return PodHooks(pod=identifier)
        found = mapping_at(pod, "metadata", "labels")
        applying = filter(
            lambda x: x.applies_to(identifier.namespace, found), self._rules
        )
        return PodHooks(
            pod=identifier,
            pre=self._of_phase(identifier, pod, HookPhase.PRE),
            post=self._of_phase(identifier, pod, HookPhase.POST),
            oddities=tuple(_oddities(mapping_at(pod, "metadata", "annotations"))),
            entries=tuple(rule.spec.name for rule in applying),
        )

    def _of_phase(
        self, identifier: ResourceIdentifier, pod: Mapping[str, Any], phase: HookPhase
    ) -> tuple[PodHook, ...]:
        """Return the hook that a Pod states, or else those of the spec."""
        own = _stated(mapping_at(pod, "metadata", "annotations"), phase)
        hooks = self._of_spec(identifier, pod, phase)
        if own is not None:
            hooks = iter([(FROM_ANNOTATION, own)])
        return tuple(_placed(name, phase, hook, pod) for name, hook in hooks)

    def _of_spec(
        self, identifier: ResourceIdentifier, pod: Mapping[str, Any], phase: HookPhase
    ) -> Iterator[tuple[str, ExecHook]]:
        """Yield the hooks that the spec has for a Pod, with their names."""
        found = mapping_at(pod, "metadata", "labels")
        for rule in self._rules:
            if not rule.applies_to(identifier.namespace, found):
                continue
            spec = rule.spec
            for hook in spec.pre if phase is HookPhase.PRE else spec.post:
                if hook.exec is not None:
                    yield spec.name, hook.exec


def _wants_pods(spec: BackupResourceHookSpec, resolve: Resolve) -> bool:
    """Tell whether an entry's types let Pods in; no other has containers."""
    types = IncludesExcludes(
        _full_names(spec.included_resources, resolve),
        _full_names(spec.excluded_resources, resolve),
    )
    return types.wants(_PODS)


def _full_names(texts: Iterable[str], resolve: Resolve) -> list[str]:
    return [str(resolve(text) or text) for text in texts]


def _placed(
    name: str, phase: HookPhase, hook: ExecHook, pod: Mapping[str, Any]
) -> PodHook:
    """Return a hook with all that was left open, and why it cannot be run."""
    container, fault = placed(hook.container, hook.command, pod)
    return PodHook(
        name=name,
        phase=phase,
        container=container,
        command=hook.command,
        on_error=hook.on_error or HookErrorMode.FAIL,
        timeout=hook.timeout or DEFAULT_TIMEOUT,
        fault=fault,
    )


def placed(
    container: str, command: tuple[str, ...], pod: Mapping[str, Any]
) -> tuple[str, str]:
    """Return in which container a command is run, and why it cannot be; or nothing."""
    mains = [text_at(each, "name") for each in objects_at(pod, "spec", "containers")]
    sidecars = [
        text_at(each, "name")
        for each in objects_at(pod, "spec", "initContainers")
        if each.get("restartPolicy") == "Always"  # it runs beside the others
    ]
    container = container or next(iter(mains), "")
    if not command:
        return container, "it has no command"
    if container in (*mains, *sidecars):
        return container, ""
    there = ", ".join([*mains, *sidecars]) or "none"
    return container, f"the Pod has no container {container!r}, it has: {there}"


# --- annotations ----------------------------------------------------------------------


def _stated(annotations: Mapping[str, Any], phase: HookPhase) -> ExecHook | None:
    """Return the hook that a Pod's annotations state for a phase."""
    for prefix in _PREFIXES[phase]:
        if command := text_at(annotations, f"{prefix}command"):
            break
    else:
        return None
    return ExecHook(
        command=command_of(command),
        container=text_at(annotations, f"{prefix}container"),
        on_error=mode_of(text_at(annotations, f"{prefix}on-error")),
        timeout=time_of(text_at(annotations, f"{prefix}timeout")),
    )


def command_of(text: str) -> tuple[str, ...]:
    """Return a command: of a JSON list, or else of one program's name; none of no text."""
    if not text.startswith("["):
        return (text,) if text else ()
    try:
        return tuple(msgspec.json.decode(text, type=list[str]))
    except msgspec.DecodeError:
        return (text,)


def mode_of(text: str) -> HookErrorMode | None:
    """Return what a failure means; None where the text says neither."""
    try:
        return HookErrorMode(text)
    except ValueError:
        return None


def time_of(text: str) -> timedelta | None:
    """Return a time; None where the text is none, or not above zero."""
    try:
        found = parse_duration(text)
    except DurationError:
        return None
    return found if found > timedelta(0) else None


def _oddities(annotations: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the annotations say that means nothing; never a command."""
    for prefix in (prefix for phase in HookPhase for prefix in _PREFIXES[phase]):
        given = {
            key.removeprefix(prefix): value if isinstance(value, str) else ""
            for key, value in annotations.items()
            if key.startswith(prefix)
        }
        if given and not given.get("command"):
            yield f"annotations {prefix}... without {prefix}command: no hook"
            continue
        for key in sorted(given.keys() - set(_KEYS)):
            yield f"annotation {prefix}{key} means nothing: passed over"
        yield from _odd_values(prefix, given)


def odd_command(prefix: str, text: str) -> Iterator[str]:
    """Yield what is done with a command that is not what it begins as."""
    if text.startswith("[") and command_of(text) == (text,):
        yield (
            f"annotation {prefix}command begins as a JSON list and is none of texts: "
            "taken as the name of one program"
        )


def _odd_values(prefix: str, given: Mapping[str, str]) -> Iterator[str]:
    """Yield which values cannot be read, and what is done instead."""
    yield from odd_command(prefix, given.get("command", ""))
    mode = given.get("on-error", "")
    if mode and mode_of(mode) is None:
        shown = repr(mode[:_SHOWN])
        yield f"annotation {prefix}on-error: {shown} is neither Fail nor Continue: Fail"
    time = given.get("timeout", "")
    if time and time_of(time) is None:
        shown = repr(time[:_SHOWN])
        default = f"{DEFAULT_TIMEOUT.total_seconds():g}s"
        yield f"annotation {prefix}timeout: {shown} is no time such as 45s: {default}"
