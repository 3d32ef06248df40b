"""The checksum that goes with an upload, computed here and sent as a header.

botocore would compute it too, but over https it sends it behind the body, in a coding
(``aws-chunked``) that many servers like S3 store as if it were content.

Source: Amazon S3 user guide, "Checking object integrity in Amazon S3".
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from importlib import import_module
from importlib.util import find_spec

ALGORITHMS = ("CRC32", "CRC32C", "SHA1", "SHA256", "CRC64NVME")
_OF_AWSCRT = {"CRC32C": 4, "CRC64NVME": 8}  # bytes; nothing else here computes them


def is_available(algorithm: str) -> bool:
    """Tell whether an algorithm can be computed on this machine."""
    return algorithm not in _OF_AWSCRT or find_spec("awscrt") is not None


def checksum_of(algorithm: str, data: bytes | bytearray) -> dict[str, str]:
    """Return the parameter of an upload that carries the checksum of *data*.

    Args:
        algorithm: One of `ALGORITHMS`; empty: none.
        data: The body of one request.
    """
    if not algorithm:
        return {}
    if algorithm == "CRC32":
        value = zlib.crc32(data).to_bytes(4, "big")
    elif algorithm == "SHA1":
        value = hashlib.sha1(data, usedforsecurity=False).digest()
    elif algorithm == "SHA256":
        value = hashlib.sha256(data).digest()
    else:
        function = getattr(import_module("awscrt.checksums"), algorithm.lower())
        value = function(data).to_bytes(_OF_AWSCRT[algorithm], "big")
    return {f"Checksum{algorithm}": base64.b64encode(value).decode("ascii")}
