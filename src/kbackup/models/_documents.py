"""What every JSON document begins with that kbackup prints or stores beside Velero's."""

from __future__ import annotations

API_VERSION = "kbackup.io/v1"
"""Readers refuse another major version and ignore keys that they do not know."""
