"""Which version of a distribution is installed."""

from importlib.metadata import PackageNotFoundError, version


def installed_version(distribution: str) -> str:
    """Return the installed version; ``unknown`` when run from bare sources."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "unknown"
