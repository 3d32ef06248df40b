"""What may be a name in Kubernetes: a DNS-1123 label, or several joined by dots.

Source: RFC 1123 and RFC 1035, as Kubernetes reads them: lower case only.
"""

from __future__ import annotations

import re

LONGEST_NAME, LONGEST_LABEL = 253, 63
DNS_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?")
DNS_SUBDOMAIN = re.compile(rf"{DNS_LABEL.pattern}(?:\.{DNS_LABEL.pattern})*")


def is_dns_subdomain(name: str) -> bool:
    """Tell whether *name* is a DNS-1123 subdomain, as most objects' names are."""
    return len(name) <= LONGEST_NAME and DNS_SUBDOMAIN.fullmatch(name) is not None
