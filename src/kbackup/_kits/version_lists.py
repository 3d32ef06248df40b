"""Lists of API versions by type, as text: ``cronjobs.batch=v1,v1beta1``, a line each.

Source: Velero's ConfigMap ``enableapigroupversions``. There a line that is none is passed
over; here it is given back, for whoever wrote it meant something.
"""


def read_version_lists(
    text: str,
) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """Return the versions of each type, best first, and the lines that are none.

    Spaces mean nothing, nor do empty lines; of two lines for a type the later one holds.
    """
    found: dict[str, tuple[str, ...]] = {}
    broken: list[str] = []
    for line in text.splitlines():
        plain = "".join(line.split())
        name, _, listed = plain.partition("=")
        versions = tuple(filter(None, listed.split(",")))
        if name and versions and "=" not in listed:
            found[name] = versions
        elif plain:
            broken.append(line.strip())
    return found, tuple(broken)
