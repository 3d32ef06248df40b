"""From an API version that a target does not serve to one that it serves.

Lossless, or refused: what has no home in the newer version is named. Pure functions over
bodies, one module for each family of kinds; `CONVERSIONS` is the table of them all, which
docs/reference/api-conversions.md shows. Which of them a restore needs, and of which items,
`_target.converting` says.
"""

from kbackup.restore.conversions._base import Conversion, NoHome
from kbackup.restore.conversions._table import CONVERSIONS

__all__ = ["CONVERSIONS", "Conversion", "NoHome"]
