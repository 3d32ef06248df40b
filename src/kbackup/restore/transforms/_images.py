"""Take images from another registry. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

import attrs

from kbackup._kits.edit import each_changed, replaced
from kbackup._kits.nested import mapping_at
from kbackup.errors import InvalidConfigError
from kbackup.restore.transforms._base import Content, Renaming, pairs_of
from kbackup.restore.transforms._pods import POD_KINDS, with_pod_specs

_HUB = "docker.io"
_HUB_TOO = frozenset({"index.docker.io"})
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\])(?::[0-9]+)?"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REST = r"(?::[\w][\w.-]{0,127})?(?:@[A-Za-z][\w+.-]*:[0-9A-Fa-f]{32,})?"
# Source: github.com/distribution/reference, grammar in reference.go.
_REFERENCE = re.compile(
    rf"(?P<name>(?:{_HOST}/)?{_PART}(?:/{_PART})*)(?P<rest>{_REST})", re.ASCII
)
_PREFIX = re.compile(rf"{_HOST}(?:/{_PART})*", re.ASCII)
# Istio's sidecar and gateways: its webhook puts an image in the place of this word.
_PLACEHOLDER = "auto"


@attrs.frozen(slots=False, repr=False)
class _Registry(Renaming):
    factory = "registry"
    kinds = POD_KINDS

    def _change(self, item: Content) -> Content:
        return with_pod_specs(item, self._of_spec)

    def _of_spec(self, spec: Content) -> Content:
        for containers in ("containers", "initContainers", "ephemeralContainers"):
            spec = each_changed(spec, (containers,), self._of_container)
        return each_changed(spec, ("volumes",), self._of_volume)

    def _of_container(self, container: Content) -> Content:
        return self._elsewhere(container, "image")

    def _of_volume(self, volume: Content) -> Content:
        return self._elsewhere(volume, "image", "reference")

    def _elsewhere(self, value: Content, *path: str) -> Content:
        before = mapping_at(value, *path[:-1]).get(path[-1])
        after = self._moved(before) if isinstance(before, str) else before
        return value if after == before else replaced(value, path, after)

    def _moved(self, image: str) -> str:
        """Return where an image is to be taken from: the longest old name decides."""
        match = _REFERENCE.fullmatch(image)
        if match is None or image == _PLACEHOLDER:
            return image
        name = full_name(match["name"])
        old = name
        while old and old not in self.new_names:
            old = old.rpartition("/")[0]
        if not old or self.new_names[old] == old:  # left as it is written
            return image
        return f"{self.new_names[old]}{name[len(old) :]}{match['rest']}"


def full_name(name: str) -> str:
    """Return an image's name with the registry and the path that it leaves out.

    Source: github.com/distribution/reference, ``ParseNormalizedNamed``.
    """
    host, slash, path = name.partition("/")
    is_host = "." in host or ":" in host or host == "localhost" or host != host.lower()
    if not slash or not is_host:
        host, path = _HUB, name
    if host in _HUB_TOO:
        host = _HUB
    if host == _HUB and "/" not in path:
        path = f"library/{path}"
    return f"{host}/{path}"


def registry(names: Mapping[str, str]) -> Renaming:
    """Return a transform that takes images from other registries.

    Of containers, init containers, ephemeral containers and image volumes, in Pods and
    in everything that makes Pods (also ControllerRevisions, OpenShift's
    DeploymentConfigs, Argo's Rollouts and Knative's Services). Tags and digests stay. A
    name without a registry is one of ``docker.io``, as ``docker.io/library/nginx`` is
    what ``nginx`` means. Pull secrets and images in other fields of custom resources
    are left as they are.

    Args:
        names: Old to new: registries such as ``docker.io``, ``localhost:5000``, or a
            registry and the beginning of a path, as in
            ``{"quay.io/acme": "registry.example.com/mirror"}``. Whole parts of a path
            are compared, and the longest one that fits counts.

    Raises:
        InvalidConfigError: A name is no registry with or without a path.
    """
    pairs = pairs_of(names, _Registry.factory)
    for name in (name for pair in pairs for name in pair):
        host = name.partition("/")[0]
        if not _PREFIX.fullmatch(name) or full_name(f"{host}/x/y") != f"{host}/x/y":
            raise InvalidConfigError(
                f"registry: {name!r} is no registry with or without a path",
                hint="such as docker.io, or registry.example.com:5000/mirror",
            )
    return _Registry(pairs)
