"""Names of users and groups by number, looked up once."""

from __future__ import annotations

import functools
import grp
import pwd


@functools.cache
def user_name(number: int) -> str:
    """Return the name of a user; empty where the system knows none."""
    try:
        return pwd.getpwuid(number).pw_name
    except (KeyError, OverflowError):
        return ""


@functools.cache
def group_name(number: int) -> str:
    """Return the name of a group; empty where the system knows none."""
    try:
        return grp.getgrgid(number).gr_name
    except (KeyError, OverflowError):
        return ""
