"""The checksum of whole objects that Google's and Amazon's storages both know."""

# pyright: reportMissingTypeStubs=false

from __future__ import annotations

from base64 import b64encode
from typing import Any, cast

import google_crc32c


class CRC32C:
    """See `Digest`; the value is in base64, as both services write it."""

    def __init__(self) -> None:
        self._checksum: Any = cast(Any, google_crc32c.Checksum)()

    def update(self, data: bytes, /) -> None:
        """See `Digest.update`."""
        self._checksum.update(data)

    def value(self) -> str:
        """See `Digest.value`."""
        return b64encode(self._checksum.digest()).decode()
