"""What a request asks for: its path, taken apart, and its options."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

_PARTS_OF_A_NAMESPACED_PATH = 2


@attrs.frozen(kw_only=True)
class Target:
    """What a path points at.

    Attributes:
        resource: Empty for the discovery document of a group and version.
        name: Empty for a whole collection.
    """

    group: str
    version: str
    resource: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""


def parse_target(path: str) -> Target | None:
    """Take a path below /api or /apis apart; None where it is not such a path.

    *path* is still percent-decoded by the caller: RBAC names hold colons.
    """
    parts = [part for part in path.split("/") if part]
    if parts[:1] == ["api"] and len(parts) > 1:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > _PARTS_OF_A_NAMESPACED_PATH:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    in_namespace = (
        rest[:1] == ["namespaces"]
        and len(rest) > _PARTS_OF_A_NAMESPACED_PATH
        and rest[2] not in {"status", "finalize"}
    )
    if in_namespace:
        namespace, rest = rest[1], rest[2:]
    rest += [""] * (3 - len(rest))
    resource, name, subresource = rest[0], rest[1], "/".join(rest[2:])
    return Target(
        group=group,
        version=version,
        resource=resource,
        namespace=namespace,
        name=name,
        subresource=subresource,
    )


@attrs.frozen(kw_only=True)
class WriteOptions:
    """How a write is to be done.

    Attributes:
        dry_run: Answer as if it were done.
        manager: The field manager.
        force: Whether an apply takes fields from other managers.
    """

    dry_run: bool = False
    manager: str = "unknown"
    force: bool = False

    @classmethod
    def parse(cls, query: Mapping[str, str], user_agent: str) -> WriteOptions:
        """Read the options from a query; the user agent names the manager else."""
        return cls(
            dry_run=query.get("dryRun") == "All",
            manager=query.get("fieldManager")
            or user_agent.partition("/")[0]
            or "unknown",
            force=query.get("force") in {"true", "1"},
        )
