"""What a run tells its observers: one class for each kind of event.

An observer is any callable that takes an event. It is called from one thread at a time,
in order, never under a lock of the run; an exception in it is logged and the run goes
on. New events are new classes; fields are only ever added, with defaults.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from kbackup.models import GroupResource, OperationPhase, ResourceIdentifier


@attrs.frozen(kw_only=True)
class Event:
    """Anything that happened in a run."""


@attrs.frozen(kw_only=True)
class RunStarted(Event):
    """A run began.

    Attributes:
        kind: ``backup`` or ``restore``; ``backup plan`` and ``restore plan`` write
            nothing.
        name: Of the backup or the restore.
    """

    kind: str
    name: str


@attrs.frozen(kw_only=True)
class PhaseChanged(Event):
    """The run went on to its next step.

    Attributes:
        phase: The step, in the words of the report.
        total: Items that the step will handle, or None while unknown.
    """

    phase: str
    total: int | None = None


@attrs.frozen(kw_only=True)
class ItemsListed(Event):
    """One type was read from the cluster.

    Attributes:
        resource: The type.
        namespace: Empty where the list was cluster-wide.
        count: Items the server gave.
    """

    resource: GroupResource
    namespace: str = ""
    count: int


@attrs.frozen(kw_only=True)
class ItemsProgressed(Event):
    """Items were handled; sent a few times a second at the most.

    Attributes:
        done: Items so far in this step.
        total: Items in all, or None while unknown.
        current: The type being handled.
    """

    done: int
    total: int | None = None
    current: GroupResource | None = None


@attrs.frozen(kw_only=True)
class ItemFailed(Event):
    """One item could not be handled; the run goes on.

    Attributes:
        identifier: The item.
        message: Why.
    """

    identifier: ResourceIdentifier
    message: str


@attrs.frozen(kw_only=True)
class HookStarted(Event):
    """A command is run in a Pod: a hook in Velero's sense.

    Attributes:
        pod: The Pod.
        phase: ``pre`` or ``post``, of a restore ``restore``.
        name: Of the hook in the specification, or ``<from-annotation>``.
        container: Where it is run.
    """

    pod: ResourceIdentifier
    phase: str
    name: str
    container: str


@attrs.frozen(kw_only=True)
class HookEnded(Event):
    """A command in a Pod has ended, or is waited for no more.

    Attributes:
        pod: The Pod.
        phase: ``pre`` or ``post``, of a restore ``restore``.
        name: Of the hook in the specification, or ``<from-annotation>``.
        container: Where it was run.
        error: What it failed with; empty: it did not.
    """

    pod: ResourceIdentifier
    phase: str
    name: str
    container: str
    error: str = ""


@attrs.frozen(kw_only=True)
class ItemRestored(Event):
    """One entry of a plan was carried out.

    Attributes:
        identifier: The item in the target.
        action: What was done: created, updated, unchanged, skipped, failed...
    """

    identifier: ResourceIdentifier
    action: str


@attrs.frozen(kw_only=True)
class OperationProgressed(Event):
    """Something that an item action began got further, or ended.

    Attributes:
        identifier: The item; of a restore that in the target.
        action: The name of the action.
        operation_id: The action's own name of the operation.
        phase: Where it is.
        n_completed: In *units*.
        n_total: In *units*; 0 while unknown.
        units: What is counted, such as ``Bytes``.
        description: What the action says of it.
    """

    identifier: ResourceIdentifier
    action: str
    operation_id: str
    phase: OperationPhase
    n_completed: int = 0
    n_total: int = 0
    units: str = ""
    description: str = ""


@attrs.frozen(kw_only=True)
class BytesUploaded(Event):
    """An object went to the store.

    Attributes:
        key: The object.
        size: Bytes.
    """

    key: str
    size: int


@attrs.frozen(kw_only=True)
class WaitingFor(Event):
    """The run waits for something outside.

    Attributes:
        what: Such as ``CRD widgets.example.com to be established``.
        seconds_left: Until the run gives up; None: it does not say.
    """

    what: str
    seconds_left: float | None = None


@attrs.frozen(kw_only=True)
class WarningRecorded(Event):
    """The result got a warning.

    Attributes:
        message: The warning.
        item: What it is about, or None.
    """

    message: str
    item: ResourceIdentifier | None = None


@attrs.frozen(kw_only=True)
class ErrorRecorded(Event):
    """The result got an error.

    Attributes:
        message: The error.
        item: What it is about, or None.
    """

    message: str
    item: ResourceIdentifier | None = None


@attrs.frozen(kw_only=True)
class RunEnded(Event):
    """A run ended.

    Attributes:
        phase: The final phase, such as ``Completed``; ``Planned`` where nothing was to
            be written, or ``Cancelled``.
    """

    phase: str


Observer = Callable[[Event], None]
