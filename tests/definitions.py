"""CustomResourceDefinitions for the tests, as a server of today wants them."""

KEEPS_EVERYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def served_version(name="v1", *, schema=None, storage=True, **more):
    """Return a version of a definition; without a schema it keeps every field."""
    return {
        "name": name,
        "served": True,
        "storage": storage,
        "schema": {"openAPIV3Schema": schema or KEEPS_EVERYTHING},
        **more,
    }


def definition(group, plural, kind, *versions, names=(), **spec):
    """Return the definition of a namespaced kind, of one version unless told."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "kind": kind, **dict(names)},
            "versions": list(versions) or [served_version()],
            **spec,
        },
    }
