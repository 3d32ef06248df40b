"""Whether a process that another one wrote down still lives, on this very machine."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

_NAMESPACES = ("pid", "time")  # what decides about numbers and about beginnings
_DEAD = frozenset("ZX")  # ended, and nobody has asked how
_BEGAN = 19  # of the fields after the name, from 0; see proc(5), starttime


@cache
def machine() -> str:
    """Return what tells this machine, boot and set of process numbers from others.

    A host name does not: containers of one host may share it and number their
    processes from one each. Empty where the system does not say, or where ``/proc`` is
    that of other processes than this one's numbers are of.

    Copies that were started from a snapshot of a running machine, memory included, are
    one machine by this; neither host name nor machine id need be another in them.
    """
    try:
        if os.readlink("/proc/self") != str(os.getpid()):  # noqa: PTH115 - a number
            return ""
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        found = [
            str(os.stat(f"/proc/self/ns/{each}").st_ino)  # noqa: PTH116 - one call
            for each in _NAMESPACES
            if os.access(f"/proc/self/ns/{each}", os.F_OK)
        ]
    except OSError:
        return ""
    return "/".join([boot, *found])


def began(pid: int) -> str:
    """Return when a process began, in ticks since boot; empty: it cannot be told.

    Numbers of processes are given out again, in a container that is started again the
    very same ones. Number and beginning are not.
    """
    return _look(pid)[1]


def is_alive(pid: int, began: str = "") -> bool:
    """Tell whether a process of this machine may still do something.

    Args:
        pid: Its number.
        began: When it began, where that is known.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is somebody else's, or cannot be asked
        pass
    state, found = _look(pid)
    if state in _DEAD:
        return False
    return not (began and found) or began == found


def _look(pid: int) -> tuple[str, str]:
    """Return state and beginning of a process, empty where the system does not say."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return "", ""
    fields = text.rpartition(")")[2].split()  # the name before it may hold anything
    return (fields[0], fields[_BEGAN]) if len(fields) > _BEGAN else ("", "")
