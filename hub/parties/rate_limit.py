"""How often one platform may ask: what is too much is answered 429 with Retry-After, before anything is done for it (U-36)."""

import math
import time
from collections.abc import Callable
from uuid import UUID

from hub.parties.platforms import Platform
from ocpi_modules import headers as names
from ocpi_modules.status import ClientError

BURST_SECONDS = 10
"""So long a platform that was quiet may ask as fast as it likes, up to what the limit gives it in that time."""


class RateLimit:
    """`per_second` requests of each platform, 0 for no limit. One per process; in memory only, two numbers a platform: prompt
    requests are counted apart, so that a flood of others refuses no driver (S-31)."""

    def __init__(self, per_second: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._monotonic = monotonic
        self._used_until: dict[tuple[UUID, bool], float] = {}
        """Up to when each platform has used what it is given."""

    def check(self, platform: Platform, prompt: bool) -> None:
        """Count a request; a driver waits for a `prompt` one. Raises ClientError (2000, HTTP 429), which is not counted."""
        if not self._per_second:
            return
        now, each = self._monotonic(), 1 / self._per_second
        used = max(self._used_until.get((platform.id, prompt), now), now) + each
        ahead = used - now - BURST_SECONDS
        if ahead > each / 2:  # not 0: sums of fractions are never quite right
            seconds = math.ceil(ahead)
            raise ClientError(
                f"Too many requests: at most {self._per_second} a second are taken; go on in {seconds} s.",
                http_status=429,
                headers={names.RETRY_AFTER: str(seconds)},
            )
        self._used_until[platform.id, prompt] = used
