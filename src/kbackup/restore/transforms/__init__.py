"""Transforms that many restores need, for `RestoreOptions.transforms`.

Each function takes what is to be changed and returns a transform: deterministic, equal
to others with the same parameters, picklable, free to be called from any thread. Its
name is the call that makes it, with all its parameters, so that a plan says what was
done to an item and a saved plan is not carried out with other parameters. What does not
concern a transform it returns as it is.

They are called one after the other, on items as they would be written: with the names
of the target's namespaces, and before resource modifiers.
"""

from kbackup.restore.transforms._by_name import from_name
from kbackup.restore.transforms._classes import storage_class
from kbackup.restore.transforms._drop import drop
from kbackup.restore.transforms._hosts import ingress_hosts
from kbackup.restore.transforms._images import registry
from kbackup.restore.transforms._marks import annotations, labels
from kbackup.restore.transforms._nodes import node_selectors
from kbackup.restore.transforms._quiesce import quiesce
from kbackup.restore.transforms._replicas import replicas

__all__ = [
    "annotations",
    "drop",
    "from_name",
    "ingress_hosts",
    "labels",
    "node_selectors",
    "quiesce",
    "registry",
    "replicas",
    "storage_class",
]
