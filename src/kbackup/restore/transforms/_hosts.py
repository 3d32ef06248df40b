"""Serve under other host names. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import attrs

from kbackup._kits.edit import each_changed, replaced
from kbackup._kits.nested import mapping_at
from kbackup.errors import InvalidConfigError
from kbackup.restore.transforms._base import Content, Renaming, pairs_of

_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_HOST = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*", re.ASCII)
_GATEWAY = "gateway.networking.k8s.io"
_ANY = "*."


@attrs.frozen(slots=False, repr=False)
class _IngressHosts(Renaming):
    factory = "ingress_hosts"
    kinds = frozenset(
        {
            ("networking.k8s.io", "Ingress"),
            ("route.openshift.io", "Route"),
            (_GATEWAY, "Gateway"),
            (_GATEWAY, "GRPCRoute"),
            (_GATEWAY, "HTTPRoute"),
            (_GATEWAY, "TLSRoute"),
        }
    )

    def _change(self, item: Content) -> Content:
        item = self._one(item, "spec", "host")
        item = self._several(item, "spec", "hostnames")
        item = each_changed(item, ("spec", "rules"), lambda x: self._one(x, "host"))
        item = each_changed(item, ("spec", "tls"), lambda x: self._several(x, "hosts"))
        return each_changed(
            item, ("spec", "listeners"), lambda x: self._one(x, "hostname")
        )

    def _one(self, value: Content, *path: str) -> Content:
        before = mapping_at(value, *path[:-1]).get(path[-1])
        after = self._host(before) if isinstance(before, str) else before
        return value if after == before else replaced(value, path, after)

    def _several(self, value: Content, *path: str) -> Content:
        before = mapping_at(value, *path[:-1]).get(path[-1])
        if not isinstance(before, Sequence) or isinstance(before, str):
            return value
        after = [self._host(x) if isinstance(x, str) else x for x in before]
        if after == list(before):
            return value
        once = [x for n, x in enumerate(after) if x not in after[:n]]  # two became one
        return replaced(value, path, once)

    def _host(self, host: str) -> str:
        """Return the new name: of the host itself, or of all below its domain."""
        if host in self.new_names:
            return self.new_names[host]
        first, _, domain = host.partition(".")
        below = self.new_names.get(_ANY + domain)
        return host if below is None else f"{first}.{below[len(_ANY) :]}"


def ingress_hosts(names: Mapping[str, str]) -> Renaming:
    """Return a transform that serves under other host names.

    Rules and TLS hosts of Ingresses, listeners of Gateways, host names of HTTPRoutes,
    GRPCRoutes and TLSRoutes, and OpenShift's Routes. Host names in annotations (of
    external-dns above all), in certificates and in configuration are left as they are;
    so are the Secrets with the certificates.

    Args:
        names: Old to new. ``*.example.com`` is that host, and as in Kubernetes every host
            with one word before ``.example.com``; a name of its own counts first.

    Raises:
        InvalidConfigError: A name is no host name, or only one of two has a wildcard.
    """
    pairs = pairs_of(names, _IngressHosts.factory)
    for old, new in pairs:
        for host in (old, new):
            if not _HOST.fullmatch(host):
                raise InvalidConfigError(f"ingress_hosts: {host!r} is no host name")
        if old.startswith(_ANY) != new.startswith(_ANY):
            fact = f"{old} and {new}: both have a wildcard, or none"
            raise InvalidConfigError(f"ingress_hosts: {fact}")
    return _IngressHosts(pairs)
