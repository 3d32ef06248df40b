"""How much an archive may hold before it counts as an attack or as damage."""

from __future__ import annotations

import attrs

_MIB = 1 << 20
_GIB = 1 << 30


@attrs.frozen(kw_only=True)
class ArchiveLimits:
    """Bounds that are checked while an archive is inflated.

    Attributes:
        item: Bytes of one item. etcd takes 1.5 MiB unless told otherwise; aggregated
            APIs may hold more.
        total: Bytes of the whole inflated archive.
        ratio: Inflated bytes for each compressed one, over the whole archive.
        ratio_from: Inflated bytes below which the ratio is not looked at: a few large
            items full of one letter are legitimate, and gzip makes 1,000 to 1 of them.
    """

    item: int = 64 * _MIB
    total: int = 64 * _GIB
    ratio: int = 250
    ratio_from: int = _GIB
