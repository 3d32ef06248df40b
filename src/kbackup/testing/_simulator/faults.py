"""Faults on demand: what `SimulatedCluster.faults` offers to tests."""

from __future__ import annotations

import threading
from collections.abc import Callable

import attrs


@attrs.define(kw_only=True, eq=False)
class Fault:
    """One thing that goes wrong, until it has gone wrong often enough.

    Attributes:
        remaining: How often it still happens; None means always.
        happened: How often it happened so far.
    """

    verb: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    status: int = 500
    reason: str | None = None
    message: str = ""
    retry_after: int | None = None
    latency: float = 0.0
    drop: str = ""
    remaining: int | None = 1
    skip: int = 0
    happened: int = 0

    def matches(
        self, verb: str, resource: str, namespace: str, name: str, subresource: str
    ) -> bool:
        """Whether a request is one that this fault meets."""
        return (
            self.remaining != 0
            and self.verb in {"", verb}
            and self.resource in {"", resource, resource.partition(".")[0]}
            and self.namespace in {"", namespace}
            and self.name in {"", name}
            and self.subresource in {"", subresource}
        )


class Faults:
    """What goes wrong in a simulated cluster. May be used from any thread.

    A verb is get, list, watch, create, update, patch, delete or deletecollection; a
    resource is ``secrets`` or ``deployments.apps``; what is left out matches everything.
    Each method returns the `Fault`, whose ``happened`` counts.
    """

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def fail(
        self,
        *,
        verb: str = "",
        resource: str = "",
        namespace: str = "",
        name: str = "",
        subresource: str = "",
        status: int = 500,
        reason: str | None = None,
        message: str = "",
        retry_after: int | None = None,
        times: int | None = 1,
        skip: int = 0,
    ) -> Fault:
        """Answer the next requests with an error instead of doing them.

        *times* requests fail (None is all of them) after *skip* matching ones went
        well; *retry_after* is in seconds, for the header Retry-After.
        """
        return self._add(
            Fault(
                verb=verb,
                resource=resource,
                namespace=namespace,
                name=name,
                subresource=subresource,
                status=status,
                reason=reason,
                message=message,
                retry_after=retry_after,
                remaining=times,
                skip=skip,
            )
        )

    def throttle(
        self,
        *,
        verb: str = "",
        resource: str = "",
        times: int | None = 1,
        retry_after: int = 1,
    ) -> Fault:
        """Answer the next requests with 429 Too Many Requests."""
        return self.fail(
            verb=verb,
            resource=resource,
            status=429,
            retry_after=retry_after,
            times=times,
        )

    def forbid(
        self, *, verb: str = "", resource: str = "", namespace: str = ""
    ) -> Fault:
        """Refuse requests with 403 from now on; access reviews say so too."""
        return self.fail(
            verb=verb, resource=resource, namespace=namespace, status=403, times=None
        )

    def drop(
        self,
        *,
        verb: str = "",
        resource: str = "",
        after: bool = False,
        times: int | None = 1,
        skip: int = 0,
    ) -> Fault:
        """Break the connection instead of answering.

        With *after* the request is done first: its effect is there, its answer lost.
        """
        return self._add(
            Fault(
                verb=verb,
                resource=resource,
                drop="after" if after else "before",
                remaining=times,
                skip=skip,
            )
        )

    def delay(
        self,
        seconds: float,
        *,
        verb: str = "",
        resource: str = "",
        times: int | None = None,
    ) -> Fault:
        """Answer later, by default every time."""
        return self._add(
            Fault(
                verb=verb,
                resource=resource,
                latency=seconds,
                status=0,
                remaining=times,
            )
        )

    def remove(self, fault: Fault) -> None:
        """Let one fault happen no longer."""
        with self._lock:
            self._faults = [each for each in self._faults if each is not fault]

    def clear(self) -> None:
        """Let everything go well again."""
        with self._lock:
            self._faults.clear()

    def forbids(
        self, verb: str, resource: str, namespace: str, subresource: str = ""
    ) -> bool:
        """Whether such a request would be refused; asked by access reviews.

        Whom anything is forbidden may not do everything (verb ``*``, resource ``*.*``).
        """
        everything = (verb, resource) == ("*", "*.*")
        return self._any(
            lambda fault: (
                fault.status == 403  # noqa: PLR2004 - Forbidden
                and (
                    everything
                    or fault.matches(verb, resource, namespace, "", subresource)
                )
            )
        )

    def take(
        self, verb: str, resource: str, namespace: str, name: str, subresource: str
    ) -> tuple[Fault, ...]:
        """Return the faults that this request meets, and count them."""
        if not self._faults:
            return ()
        met = []
        with self._lock:
            for fault in self._faults:
                if not fault.matches(verb, resource, namespace, name, subresource):
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.happened += 1
                if fault.remaining is not None:
                    fault.remaining -= 1
                met.append(fault)
        return tuple(met)

    def _add(self, fault: Fault) -> Fault:
        with self._lock:
            self._faults.append(fault)
        return fault

    def _any(self, check: Callable[[Fault], bool]) -> bool:
        with self._lock:
            return any(check(fault) for fault in self._faults)
