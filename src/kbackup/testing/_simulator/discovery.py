"""Discovery in both kinds, the version, and the little OpenAPI that clients ask for."""

from __future__ import annotations

from typing import Any

from kbackup.testing._simulator.registry import Registry, ServedType, Subresource

Document = dict[str, Any]


def api_versions(server: str) -> Document:
    """Return /api."""
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [
            {"clientCIDR": "0.0.0.0/0", "serverAddress": server}
        ],
    }


def group_list(registry: Registry) -> Document:
    """Return /apis."""
    groups = [
        group_document(group, versions)
        for group, versions in registry.groups().items()
        if group
    ]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def group_document(group: str, versions: list[str]) -> Document:
    """Return one group of it, as /apis/<group> shows it too."""
    listed = [{"groupVersion": f"{group}/{v}", "version": v} for v in versions]
    return {"name": group, "versions": listed, "preferredVersion": listed[0]}


def resource_list(registry: Registry, group: str, version: str) -> Document | None:
    """Return /api/v1 or /apis/<group>/<version>; None where nothing is served."""
    types = [
        each for each in registry if (each.group, each.version) == (group, version)
    ]
    if not types:
        return None
    resources: list[Document] = []
    for served in types:
        resources += _resources_of(served)
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": types[0].api_version,
        "resources": resources,
    }


def _resources_of(served: ServedType) -> list[Document]:
    main: Document = {
        "name": served.resource,
        "singularName": served.singular if served.custom else "",
        "namespaced": served.namespaced,
        "kind": served.kind,
        "verbs": list(served.verbs),
    }
    if served.short_names:
        main["shortNames"] = list(served.short_names)
    if served.categories:
        main["categories"] = list(served.categories)
    return [
        main,
        *(
            {
                "name": f"{served.resource}/{sub.name}",
                "singularName": "",
                "namespaced": served.namespaced,
                **(_group_version(served, sub) if sub.api_version else {}),
                "kind": sub.kind,
                "verbs": list(sub.verbs),
            }
            for sub in served.subresources
        ),
    ]


def _group_version(served: ServedType, sub: Subresource) -> Document:
    """Return where the kind of a sub-resource is at home."""
    if not sub.api_version:
        return {"group": served.group, "version": served.version}
    group, _, version = sub.api_version.rpartition("/")
    return {"group": group, "version": version}


def aggregated(registry: Registry, version: str, *, core: bool) -> Document:
    """Return /api or /apis as an APIGroupDiscoveryList of that version."""
    items = [
        {
            "metadata": {"name": group, "creationTimestamp": None},
            "versions": [
                {
                    "version": each,
                    "resources": [
                        _aggregated_resource(served)
                        for served in registry
                        if (served.group, served.version) == (group, each)
                    ],
                    "freshness": "Current",
                }
                for each in versions
            ],
        }
        for group, versions in registry.groups().items()
        if core == (not group)
    ]
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"apidiscovery.k8s.io/{version}",
        "metadata": {},
        "items": items,
    }


def _aggregated_resource(served: ServedType) -> Document:
    resource: Document = {
        "resource": served.resource,
        "responseKind": {
            "group": served.group,
            "version": served.version,
            "kind": served.kind,
        },
        "scope": "Namespaced" if served.namespaced else "Cluster",
        "singularResource": served.singular,
        "verbs": list(served.verbs),
    }
    if served.short_names:
        resource["shortNames"] = list(served.short_names)
    if served.categories:
        resource["categories"] = list(served.categories)
    if served.subresources:
        resource["subresources"] = [
            {
                "subresource": sub.name,
                "responseKind": {**_group_version(served, sub), "kind": sub.kind},
                "verbs": list(sub.verbs),
            }
            for sub in served.subresources
        ]
    return resource


def version_document(git_version: str) -> Document:
    """Return /version."""
    major, minor = git_version.removeprefix("v").split(".")[:2]
    return {
        "major": major,
        "minor": minor,
        "gitVersion": git_version,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "",
        "platform": "simulated",
    }


# kubectl validates nothing against a document without definitions. The second is the
# same in protobuf: field 1, "2.0"; field 2, an Info with title and version.
OPENAPI_V2 = {
    "swagger": "2.0",
    "info": {"title": "Kubernetes", "version": "simulated"},
    "paths": {},
    "definitions": {},
}
OPENAPI_V2_PROTOBUF = b"\n\x032.0\x12\x17\n\nKubernetes\x12\tsimulated"
OPENAPI_V3: dict[str, Any] = {"paths": {}}
