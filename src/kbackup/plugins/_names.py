"""The names that plugins offer things under: ``<dns-prefix>/<name>``, as Velero's.

Pure functions over text; called by the loader and the manager.
"""

from __future__ import annotations

from kbackup.models import is_dns_subdomain

DEFAULT_PREFIX = "velero.io"


def qualify(name: str) -> str:
    """Return the full form of a provider's name: ``aws`` means ``velero.io/aws``."""
    return name if "/" in name else f"{DEFAULT_PREFIX}/{name}"


def name_fault(name: object) -> str:
    """Say what is wrong with *name* as the name of something offered, or nothing.

    Only full names may be offered: a bare one would take a name that is Velero's.

    Source: Velero, "Plugin Naming".
    """
    if not isinstance(name, str):
        return f"a name must be text, not {type(name).__name__}"
    prefix, slash, rest = name.partition("/")
    if not slash:
        return (
            f"the name {name!r} has no prefix: write it <dns-prefix>/{name or 'name'}"
        )
    if not is_dns_subdomain(prefix):
        return f"the prefix of the name {name!r} is not a DNS name in lower case"
    if not rest or "/" in rest:
        return f"the name {name!r} must have exactly one part after its prefix"
    if not rest.isprintable() or any(character.isspace() for character in rest):
        return f"the name {name!r} holds a space or a control character"
    return ""
