"""Which init containers a restore adds to a Pod, from its annotations and the spec. Pure.

Source: Velero's restore hooks, ``velero.io/init-restore-hook``. An annotation with an image
takes the place of what the spec says; the spec's containers come in the order in which
they stand there. They are for Pods only, whichever types an entry names.
"""

from __future__ import annotations

import copy
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from kbackup._kits.nested import mapping_at, objects_at, text_at
from kbackup.errors import ActionError
from kbackup.hooks._annotations import COMMAND, command_of, odd_annotations
from kbackup.hooks._rules import RestoreRule, RestoreRules
from kbackup.models import (
    ResourceIdentifier,
    RestoreHooks,
    RestoreResourceHookSpec,
    labels,
)

Content = Mapping[str, Any]

INIT_RESTORE_HOOK = "velero.io/init-restore-hook"
"""Velero's name for what adds them, by which plans and errors name it."""

_PREFIX = labels.INIT_RESTORE_HOOK_PREFIX
_IMAGE_KEY, _NAME_KEY, _TIMEOUT_KEY = "container-image", "container-name", "timeout"
_IMAGE, _NAME = f"{_PREFIX}{_IMAGE_KEY}", f"{_PREFIX}{_NAME_KEY}"
_COMMAND, _TIMEOUT = f"{_PREFIX}{COMMAND}", f"{_PREFIX}{_TIMEOUT_KEY}"
_GENERATED = "velero-restore-init-"  # Velero's; 8 digits follow
_DIGITS = 8
# They fill volumes that a hook may need.
_WAIT_CONTAINERS = frozenset({"restore-wait", "restic-wait"})
_LISTS = ("initContainers", "containers", "ephemeralContainers")
_NAMES = uuid.UUID("0f1a6b5c-70c5-5c42-8f0e-5d0b0a0f6a3d")  # of all generated names


@attrs.frozen
class _Rule(RestoreRule):
    """One entry of the spec that has init containers."""

    containers: tuple[Content, ...]


class InitHooks(RestoreRules[_Rule]):
    """The init containers of one restore; immutable, so any thread may ask.

    Attributes:
        timed: Names of entries with a timeout, which has no effect.
    """

    def __init__(self, hooks: RestoreHooks, restore_uid: str) -> None:
        """Take the hooks of a spec.

        Args:
            hooks: Of the restore's spec.
            restore_uid: Names that are made up follow from it, so that a restore that
                is run again makes up the same ones.
        """
        self._uid = restore_uid
        rules = (_rule_of(spec) for spec in hooks.resources)
        self._rules = tuple(rule for rule in rules if rule.containers)
        self.timed = tuple(
            spec.name
            for spec in hooks.resources
            if any(hook.init and hook.init.timeout for hook in spec.post_hooks)
        )

    def concern(self, pod: ResourceIdentifier, content: Content) -> bool:
        """Tell whether a Pod is to have init containers.

        Args:
            pod: In the target, whose namespace decides.
            content: With the labels and annotations of the backup.
        """
        if text_at(mapping_at(content, "metadata", "annotations"), _IMAGE):
            return True
        found = mapping_at(content, "metadata", "labels")
        return any(rule.applies_to(pod.namespace, found) for rule in self._rules)

    def of(
        self, pod: ResourceIdentifier, content: Content
    ) -> tuple[dict[str, Any], ...]:
        """Return the init containers of a Pod, complete as an API server stores them."""
        annotations = mapping_at(content, "metadata", "annotations")
        if image := text_at(annotations, _IMAGE):
            name = text_at(annotations, _NAME) or self._name_for(pod)
            stated: dict[str, Any] = {"name": name, "image": image}
            if command := command_of(text_at(annotations, _COMMAND)):
                stated["command"] = [*command]
            return (_completed(stated),)
        if not self._rules:  # most restores have none
            return ()
        found = mapping_at(content, "metadata", "labels")
        return tuple(
            _completed(container)
            for rule in self._rules
            if rule.applies_to(pod.namespace, found)
            for container in rule.containers
        )

    def add_to(
        self, content: dict[str, Any], pod: ResourceIdentifier
    ) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Return a Pod with its init containers, and their names.

        Raises:
            ActionError: Two of its containers would have one name.
        """
        added = self.of(pod, content)
        if not added:
            return content, ()
        names = tuple(container["name"] for container in added)
        return _with_init_containers(content, added, pod), names

    def _name_for(self, pod: ResourceIdentifier) -> str:
        digits = uuid.uuid5(_NAMES, f"{self._uid}/{pod.qualified_name}").hex
        return f"{_GENERATED}{digits[:_DIGITS]}"


def _with_init_containers(
    content: Content, added: tuple[dict[str, Any], ...], pod: ResourceIdentifier
) -> dict[str, Any]:
    """Return a Pod with *added* after a container that fills volumes, before its own.

    What an earlier restore added by the same hook, and the backup of the restored Pod has,
    is not there twice.

    Raises:
        ActionError: Two of its containers would have one name.
    """
    own = objects_at(content, "spec", "initContainers")
    first = [each for each in own[:1] if each.get("name") in _WAIT_CONTAINERS]
    kept = [
        each
        for each in own[len(first) :]
        if not any(_is_from_before(each, new) for new in added)
    ]
    spec = {**mapping_at(content, "spec"), "initContainers": [*first, *added, *kept]}
    names = Counter(
        each.get("name") for key in _LISTS for each in objects_at(spec, key)
    )
    for name in (each["name"] for each in added):
        if names[name] > 1:
            fact = f"it would have {names[name]} containers with the name {name!r}"
            raise ActionError(INIT_RESTORE_HOOK, str(pod), fact)
    return {**content, "spec": spec}


def has_init_containers(content: Content, names: tuple[str, ...]) -> bool:
    """Whether a Pod has init containers of all these names."""
    own = objects_at(content, "spec", "initContainers")
    return {each.get("name") for each in own}.issuperset(names)


def init_oddities(content: Content) -> Iterator[str]:
    """Yield what a Pod's annotations say that means nothing; never a command."""
    yield from odd_annotations(
        content, _PREFIX, needs=_IMAGE_KEY, others=(_NAME_KEY, _TIMEOUT_KEY)
    )
    annotations = mapping_at(content, "metadata", "annotations")
    if _TIMEOUT in annotations and text_at(annotations, _IMAGE):
        yield f"annotation {_TIMEOUT} has no effect: init containers have no time limit"


def _rule_of(spec: RestoreResourceHookSpec) -> _Rule:
    hooks = [hook.init for hook in spec.post_hooks if hook.init is not None]
    containers = tuple(each for hook in hooks for each in hook.init_containers)
    return _Rule.of(spec, containers)


def _completed(container: Content) -> dict[str, Any]:
    """Return a copy with what an API server would add, as the backup has it of others.

    Otherwise the restored Pod would differ from what a restore run again would write.
    """
    whole: dict[str, Any] = copy.deepcopy(dict(container))
    image, _, digest = text_at(whole, "image").partition("@")
    tag = image.rpartition("/")[2].partition(":")[2] or ("" if digest else "latest")
    policy = "Always" if tag == "latest" else "IfNotPresent"
    whole.setdefault("imagePullPolicy", policy)
    whole.setdefault("resources", {})
    whole.setdefault("terminationMessagePath", "/dev/termination-log")
    whole.setdefault("terminationMessagePolicy", "File")
    for port in objects_at(whole, "ports"):
        _set_default(port, "protocol", "TCP")
    for variable in objects_at(whole, "env"):
        if field := mapping_at(variable, "valueFrom", "fieldRef"):
            _set_default(field, "apiVersion", "v1")
    return whole


def _set_default(part: Content, key: str, value: str) -> None:
    if isinstance(part, dict):  # as all of a copy of JSON is
        part.setdefault(key, value)


def _is_from_before(own: Content, new: Content) -> bool:
    """Whether the hook that adds *new* has added *own* in an earlier restore."""
    names = (str(own.get("name")), str(new["name"]))
    is_named_alike = names[0] == names[1] or all(
        x.startswith(_GENERATED) for x in names
    )
    does_the_same = all(
        (own.get(key) or None) == (new.get(key) or None)
        for key in ("image", "command", "args")
    )
    return is_named_alike and does_the_same
