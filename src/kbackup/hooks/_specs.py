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

from kbackup._kits.globs import IncludesExcludes
from kbackup._kits.nested import mapping_at, objects_at, text_at
from kbackup.hooks._annotations import (
    COMMAND,
    Reading,
    command_of,
    mode_of,
    odd_annotations,
    time_of,
)
from kbackup.hooks._rules import HookRule
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
_FINISHED = ("Succeeded", "Failed")  # phases of a Pod in which nothing can be run
_PODS = str(well_known.PODS)
_READINGS = (
    Reading("on-error", mode_of, "neither Fail nor Continue: Fail"),
    Reading(
        "timeout",
        time_of,
        f"no time such as 45s: {DEFAULT_TIMEOUT.total_seconds():g}s",
    ),
)


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
        self._rules = tuple(HookRule.of(spec) for spec in wanted)

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
            oddities=tuple(_oddities(pod)),
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
        if command := text_at(annotations, f"{prefix}{COMMAND}"):
            break
    else:
        return None
    return ExecHook(
        command=command_of(command),
        container=text_at(annotations, f"{prefix}container"),
        on_error=mode_of(text_at(annotations, f"{prefix}on-error")),
        timeout=time_of(text_at(annotations, f"{prefix}timeout")),
    )


def _oddities(pod: Mapping[str, Any]) -> Iterator[str]:
    for prefix in (prefix for phase in HookPhase for prefix in _PREFIXES[phase]):
        yield from odd_annotations(pod, prefix, _READINGS, others=("container",))
