"""What of a live object stays beside what the backup has, where an update would lose it.

Pure. ServiceAccounts are merged always, as in Velero; role bindings in a restore under
another namespace: their subjects there are those of the original, which still needs
what it was granted.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from kbackup._kits.kinds import is_of, kind_of

Content = Mapping[str, Any]

_METADATA = "metadata"
_RBAC = "rbac.authorization.k8s.io"
_BINDINGS = frozenset({(_RBAC, "RoleBinding"), (_RBAC, "ClusterRoleBinding")})


def goal_of(desired: Content, live: Content, *, add_subjects: bool) -> Content:
    """What an update makes of the live object; mostly, *desired* itself.

    Args:
        desired: As it would be created.
        live: As the cluster has it, reset as the desired one was.
        add_subjects: Those of role bindings are added to the live ones.
    """
    if is_account(desired):
        return merged_account(desired, live)
    if add_subjects and is_binding(desired):
        return _merged_binding(desired, live)
    return desired


def is_account(content: Content) -> bool:
    """Whether it is a ServiceAccount."""
    return is_of(content, ("", "ServiceAccount"))


def is_binding(content: Content) -> bool:
    """Whether it is a RoleBinding or a ClusterRoleBinding."""
    return kind_of(content) in _BINDINGS


def merged_account(desired: Content, live: Content) -> dict[str, Any]:
    """A ServiceAccount with what both have; the live one's labels win (as Velero)."""
    merged = {**desired, **live}
    metadata = {**(live.get(_METADATA) or {})}
    for field in ("labels", "annotations"):
        ours = (desired.get(_METADATA) or {}).get(field) or {}
        both = {**ours, **(metadata.get(field) or {})}
        if both:
            metadata[field] = both
    merged[_METADATA] = metadata
    for field in ("secrets", "imagePullSecrets"):
        both_lists = _union(live.get(field) or (), desired.get(field) or ())
        if both_lists:
            merged[field] = both_lists
    return merged


def missing_subjects(desired: Content, live: Content) -> list[Content]:
    """The subjects of a binding that the live one does not bind."""
    bound = {_identity(subject) for subject in live.get("subjects") or ()}
    wanted = desired.get("subjects") or ()
    return [subject for subject in wanted if _identity(subject) not in bound]


def subject_name(subject: Content) -> str:
    """How a subject is named, such as ``ServiceAccount shop/web``."""
    kind, namespace, name = _identity(subject)
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"


def _merged_binding(desired: Content, live: Content) -> dict[str, Any]:
    subjects = [*(live.get("subjects") or ()), *missing_subjects(desired, live)]
    return {**desired, "subjects": subjects} if subjects else dict(desired)


def _identity(subject: Content) -> tuple[str, str, str]:
    # Without the apiGroup, which follows from the kind and may be left out.
    kind, namespace = subject.get("kind", ""), subject.get("namespace") or ""
    return str(kind), str(namespace), str(subject.get("name", ""))


def _union(left: Sequence[Content], right: Sequence[Content]) -> list[Content]:
    names = {element.get("name") for element in left}
    return [*left, *(x for x in right if x.get("name") not in names)]
