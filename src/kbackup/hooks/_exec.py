"""Which commands a restore runs in a Pod that it made, from annotations and the spec. Pure.

Source: Velero's restore hooks. An annotation with a command takes the place of what the
spec says; the spec's hooks are run in the order in which they stand there, container by
container. They are for Pods only, whichever types an entry names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import attrs

from kbackup._kits.durations import format_duration
from kbackup._kits.nested import mapping_at, text_at
from kbackup._kits.words import printable
from kbackup.hooks._annotations import (
    COMMAND,
    Reading,
    command_of,
    mode_of,
    odd_annotations,
    time_of,
)
from kbackup.hooks._rules import RestoreRule, RestoreRules
from kbackup.hooks._specs import (
    DEFAULT_TIMEOUT,
    FROM_ANNOTATION,
    HookPhase,
    PodHook,
    placed,
)
from kbackup.models import (
    ExecRestoreHook,
    HookErrorMode,
    ResourceIdentifier,
    RestoreHooks,
    labels,
)

Content = Mapping[str, Any]

_PREFIX = labels.POST_RESTORE_HOOK_PREFIX
_YES = frozenset({"1", "t", "T", "TRUE", "true", "True"})  # as Go reads them
_NO = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_SHOWN = 40  # characters of a program's name


def _wait_of(text: str) -> timedelta | None:
    """Return a time to wait; zero, which is for ever, is one as well."""
    return timedelta(0) if text in ("0", "0s") else time_of(text)


def _flag_of(text: str) -> bool | None:
    return True if text in _YES else False if text in _NO else None


_READINGS = (
    Reading("on-error", mode_of, "neither Fail nor Continue: Continue"),
    Reading(
        "exec-timeout",
        time_of,
        f"no time such as 45s: {DEFAULT_TIMEOUT.total_seconds():g}s",
    ),
    Reading("wait-timeout", _wait_of, "no time such as 5m: waits for ever"),
    Reading("wait-for-ready", _flag_of, "neither true nor false: false"),
)


@attrs.frozen(kw_only=True)
class RestoreCommand:
    """One command in a container of a restored Pod.

    Attributes:
        hook: What is run where.
        wait_timeout: After so long from the Pod's creation it is not begun any more;
            None: it always may be.
        wait_for_ready: The container is to be ready, not only running.
    """

    hook: PodHook
    wait_timeout: timedelta | None = None
    wait_for_ready: bool = False

    def __str__(self) -> str:  # of the command no more than what tells it from others
        hook = self.hook
        when = ", once it is ready" if self.wait_for_ready else ""
        if self.wait_timeout is not None:
            when += f", within {format_duration(self.wait_timeout)}"
        name = f"hook {hook.name} in container {hook.container}{when}"
        return f"{name}: {_program(hook.command)}"


@attrs.frozen(kw_only=True)
class PodCommands:
    """What is run in one Pod once it is restored; false where that is nothing.

    Attributes:
        commands: In order, those of one container together.
        faults: Why others cannot be run, a sentence for each.
    """

    commands: tuple[RestoreCommand, ...] = ()
    faults: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.commands or self.faults)

    def lines(self) -> tuple[str, ...]:
        """What a plan says of them."""
        return (*map(str, self.commands), *self.faults)


NO_COMMANDS = PodCommands()


class ExecHooks(RestoreRules[RestoreRule]):
    """The commands of one restore; immutable, so any thread may ask."""

    def __init__(self, hooks: RestoreHooks) -> None:
        self._rules = tuple(
            RestoreRule.of(spec)
            for spec in hooks.resources
            if any(hook.exec is not None for hook in spec.post_hooks)
        )

    def of(self, pod: ResourceIdentifier, content: Content) -> PodCommands:
        """Return what is run in a Pod.

        Args:
            pod: In the target, whose namespace decides.
            content: As it is written: its labels and annotations decide.
        """
        stated = _stated(mapping_at(content, "metadata", "annotations"))
        hooks: Iterable[tuple[str, ExecRestoreHook]]
        if stated is not None:
            hooks = [(FROM_ANNOTATION, stated)]
        elif self._rules:
            hooks = self._of_spec(pod, content)
        else:  # most Pods
            return NO_COMMANDS
        found = [_command(name, hook, content) for name, hook in hooks]
        by_container: dict[str, list[RestoreCommand]] = {}
        for each in found:
            if not each.hook.fault:
                by_container.setdefault(each.hook.container, []).append(each)
        return PodCommands(
            commands=tuple(x for group in by_container.values() for x in group),
            faults=tuple(
                f"{each.hook} is not run: {each.hook.fault}"
                for each in found
                if each.hook.fault
            ),
        )

    def _of_spec(
        self, pod: ResourceIdentifier, content: Content
    ) -> Iterator[tuple[str, ExecRestoreHook]]:
        found = mapping_at(content, "metadata", "labels")
        for rule in self._rules:
            if rule.applies_to(pod.namespace, found):
                for hook in rule.spec.post_hooks:
                    if hook.exec is not None:
                        yield rule.spec.name, hook.exec


def exec_oddities(content: Content) -> Iterator[str]:
    """Yield what a Pod's annotations say that means nothing; never a command."""
    yield from odd_annotations(content, _PREFIX, _READINGS, others=("container",))


def _stated(annotations: Content) -> ExecRestoreHook | None:
    """Return the hook that a Pod's annotations state."""
    command = text_at(annotations, f"{_PREFIX}{COMMAND}")
    if not command:
        return None

    def text(key: str) -> str:
        return text_at(annotations, f"{_PREFIX}{key}")

    return ExecRestoreHook(
        container=text("container"),
        command=command_of(command),
        on_error=mode_of(text("on-error")),
        exec_timeout=time_of(text("exec-timeout")),
        wait_timeout=time_of(text("wait-timeout")),
        wait_for_ready=_flag_of(text("wait-for-ready")),
    )


def _command(name: str, hook: ExecRestoreHook, content: Content) -> RestoreCommand:
    """Return a hook with all that was left open, and why it cannot be run."""
    container, fault = placed(hook.container, hook.command, content)
    return RestoreCommand(
        hook=PodHook(
            name=name,
            phase=HookPhase.RESTORE,
            container=container,
            command=hook.command,
            on_error=hook.on_error or HookErrorMode.CONTINUE,  # as Velero documents
            timeout=_positive(hook.exec_timeout) or DEFAULT_TIMEOUT,
            fault=fault,
        ),
        wait_timeout=_positive(hook.wait_timeout),
        wait_for_ready=bool(hook.wait_for_ready),
    )


def _positive(time: timedelta | None) -> timedelta | None:
    return time if time is not None and time > timedelta(0) else None


def _program(command: tuple[str, ...]) -> str:
    """The first word of a command, without what it may set a variable to."""
    first = (command[0].split() or [""])[0]
    name, sets, _ = first.partition("=")
    shown = printable(f"{name}=..." if sets else first)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
