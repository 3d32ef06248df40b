"""What Kubernetes' names tell of a type: whose it is, which kind it has. Pure."""

from __future__ import annotations


def is_built_in(group: str) -> bool:
    """Tell a group of Kubernetes from one of a definition, as far as it shows.

    A few groups of definitions end like those of Kubernetes: only their names are kept.
    """
    return "." not in group or group.endswith(".k8s.io")


def fits(kind: str, plural: str) -> bool:
    """Whether *plural* is one of *kind* as Kubernetes forms its own.

    Other definitions may call the two as they like.
    Source: apimachinery, ``meta.UnsafeGuessKindToResource``.
    """
    word = kind.lower()
    regular = {word, f"{word}s", f"{word}es"}  # endpoints, secrets, ingresses
    if word.endswith("y"):
        regular.add(f"{word[:-1]}ies")
    return plural in regular
