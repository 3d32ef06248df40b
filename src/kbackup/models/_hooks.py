"""Commands in Pods before and after a backup, and after a restore, as specs state them.

The annotations that state the same on a Pod are named in `labels`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any

import attrs

from kbackup.models._meta import LabelSelector
from kbackup.models._model import ALWAYS, Model, naming, sequence, strings


class HookErrorMode(StrEnum):
    """What a failing hook does to its item."""

    CONTINUE = "Continue"
    FAIL = "Fail"


@attrs.frozen(kw_only=True, field_transformer=naming)
class ExecHook(Model):
    """A command to run in a container of a Pod that is backed up.

    Attributes:
        container: Empty: the Pod's first container.
        command: Program and arguments; no shell.
        on_error: None is Fail.
        timeout: None is 30 s.
    """

    container: str = ""
    command: tuple[str, ...] = attrs.field(
        default=(), converter=strings, metadata=ALWAYS
    )
    on_error: HookErrorMode | None = None
    timeout: timedelta | None = None


@attrs.frozen(kw_only=True)
class BackupResourceHook(Model):
    """One hook of a backup; so far only commands exist."""

    exec: ExecHook | None = attrs.field(default=None, metadata=ALWAYS)


@attrs.frozen(kw_only=True, field_transformer=naming)
class BackupResourceHookSpec(Model):
    """Which Pods a backup runs which hooks in; empty lists are all."""

    name: str = attrs.field(default="", metadata=ALWAYS)
    included_namespaces: tuple[str, ...] = attrs.field(default=(), converter=strings)
    excluded_namespaces: tuple[str, ...] = attrs.field(default=(), converter=strings)
    included_resources: tuple[str, ...] = attrs.field(default=(), converter=strings)
    excluded_resources: tuple[str, ...] = attrs.field(default=(), converter=strings)
    label_selector: LabelSelector | None = None
    pre: tuple[BackupResourceHook, ...] = attrs.field(default=(), converter=sequence)
    post: tuple[BackupResourceHook, ...] = attrs.field(default=(), converter=sequence)


@attrs.frozen(kw_only=True, field_transformer=naming)
class BackupHooks(Model):
    """All hooks of a backup."""

    resources: tuple[BackupResourceHookSpec, ...] = attrs.field(
        default=(), converter=sequence
    )


@attrs.frozen(kw_only=True, field_transformer=naming)
class ExecRestoreHook(Model):
    """A command to run in a container of a restored Pod.

    Attributes:
        container: Empty: the Pod's first container.
        command: Program and arguments; no shell.
        on_error: None is Continue.
        exec_timeout: How long the command may run; None is 30 s.
        wait_timeout: How long to wait for the container; None is for ever.
        wait_for_ready: Wait until it is ready, not only running.
    """

    container: str = ""
    command: tuple[str, ...] = attrs.field(
        default=(), converter=strings, metadata=ALWAYS
    )
    on_error: HookErrorMode | None = None
    exec_timeout: timedelta | None = None
    wait_timeout: timedelta | None = None
    wait_for_ready: bool | None = None


@attrs.frozen(kw_only=True, field_transformer=naming)
class InitRestoreHook(Model):
    """Init containers to add to a restored Pod.

    Attributes:
        init_containers: Kubernetes' Container objects, as they are.
        timeout: Accepted by Velero, without effect.
    """

    init_containers: tuple[Mapping[str, Any], ...] = attrs.field(
        default=(), converter=sequence, metadata=ALWAYS
    )
    timeout: timedelta | None = None


@attrs.frozen(kw_only=True)
class RestoreResourceHook(Model):
    """One hook of a restore: a command or init containers."""

    exec: ExecRestoreHook | None = None
    init: InitRestoreHook | None = None


@attrs.frozen(kw_only=True, field_transformer=naming)
class RestoreResourceHookSpec(Model):
    """Which Pods a restore runs which hooks in; empty lists are all."""

    name: str = attrs.field(default="", metadata=ALWAYS)
    included_namespaces: tuple[str, ...] = attrs.field(default=(), converter=strings)
    excluded_namespaces: tuple[str, ...] = attrs.field(default=(), converter=strings)
    included_resources: tuple[str, ...] = attrs.field(default=(), converter=strings)
    excluded_resources: tuple[str, ...] = attrs.field(default=(), converter=strings)
    label_selector: LabelSelector | None = None
    post_hooks: tuple[RestoreResourceHook, ...] = attrs.field(
        default=(), converter=sequence
    )


@attrs.frozen(kw_only=True, field_transformer=naming)
class RestoreHooks(Model):
    """All hooks of a restore."""

    resources: tuple[RestoreResourceHookSpec, ...] = attrs.field(
        default=(), converter=sequence
    )


@attrs.frozen(kw_only=True)
class HookStatus(Model):
    """How many hooks were tried and how many failed."""

    hooks_attempted: int = 0
    hooks_failed: int = 0
