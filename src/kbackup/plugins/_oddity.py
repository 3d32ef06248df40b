"""Objects that are JSON, but not as Kubernetes has them: a list where a map belongs.

No API server stores such a thing, an archive may hold it all the same. Whoever looks at
an item says so of it, and goes on with the others.
"""

from kbackup.plugins._action_calls import fact_of

ODD = (TypeError, ValueError, LookupError, AttributeError)  # what looking at one raises


def oddity(exc: BaseException) -> str:
    """What to say of an item; no text of the error: it may quote a value."""
    return f"it is not as Kubernetes has it: {fact_of(exc, hide=True)}"
