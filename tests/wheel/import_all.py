"""Import every module of what is installed, and every name that a door offers.

Ends with what cannot be imported. Only what is for pytest may ask for pytest.
"""

import importlib
import pkgutil
import sys

PACKAGES = (
    "kbackup",
    "kbackup_plugins_aws",
    "kbackup_plugins_azure",
    "kbackup_plugins_fsspec",
    "kbackup_plugins_gcp",
    "kbackup_plugins_local",
)


def problems(package):
    """Yield what is wrong with each module of a package."""
    door = importlib.import_module(package)
    modules = [
        found.name
        for found in pkgutil.walk_packages(door.__path__, f"{package}.")
        if not found.name.endswith("__main__")  # that would run
    ]
    for name in (package, *modules):
        try:
            module = importlib.import_module(name)
            for each in getattr(module, "__all__", ()):
                getattr(module, each)
        except ModuleNotFoundError as exc:
            if not (name.startswith("kbackup.testing") and exc.name == "pytest"):
                yield f"{name}: {exc!r}"
        except Exception as exc:  # noqa: BLE001 - whatever it is, it is told
            yield f"{name}: {exc!r}"


sys.exit("\n".join(each for package in PACKAGES for each in problems(package)) or 0)
