"""Bindings of ``rbac.authorization.k8s.io/v1alpha1``, as v1 has them.

Source: Kubernetes, ``pkg/apis/rbac/v1alpha1/conversion.go``.
"""

from __future__ import annotations

from kbackup.restore.conversions._base import Body, Lose, each

GROUP = "rbac.authorization.k8s.io"
MOVES = (
    "`subjects[].apiVersion` becomes `subjects[].apiGroup`",
    "the user `*` becomes the group `system:authenticated`, which is whom it meant",
)


def binding(body: Body, _: Lose) -> None:
    """Name subjects by their group."""
    for _where, subject in each(body, "subjects"):
        version = subject.pop("apiVersion", None) or ""
        kind = subject.get("kind")
        if kind in ("User", "Group"):
            subject["apiGroup"] = GROUP
            if kind == "User" and subject.get("name") == "*":
                subject.update(kind="Group", name="system:authenticated")
        elif kind != "ServiceAccount" and "/" in version:
            subject["apiGroup"] = version.partition("/")[0]
