"""Names of parametrized tests that are the same in each process that runs some."""


def told(value):
    """Return a parameter as text; that of a set does not depend on hashes."""
    return str(sorted(value)) if isinstance(value, set) else str(value)
