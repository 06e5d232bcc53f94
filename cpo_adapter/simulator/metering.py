"""A meter that runs in real time: its register is the integral of power over elapsed seconds."""

import time
from collections.abc import Callable
from decimal import ROUND_CEILING, Decimal

_WH_PER_WATT_SECOND = Decimal(1) / Decimal(3600)


class Meter:
    """`register_wh` is the lifetime reading, never reset and never backwards; `power_w` is what flows now."""

    def __init__(self, register_wh: Decimal, elapsed: Callable[[], float] = time.monotonic) -> None:
        self.register_wh = register_wh
        self.power_w = Decimal(0)
        self._elapsed = elapsed
        self._read_at = elapsed()

    def switch(self, power_w: Decimal) -> None:
        """Change the power from now on."""
        self.read()
        self.power_w = power_w

    def read(self, most_wh: Decimal | None = None) -> Decimal:
        """The register now, in Wh. The car takes nothing beyond a register of `most_wh`."""
        now = self._elapsed()
        seconds, self._read_at = Decimal(str(round(now - self._read_at, 6))), now
        self.register_wh += self.power_w * seconds * _WH_PER_WATT_SECOND
        if most_wh is not None and self.register_wh > most_wh:
            self.register_wh = most_wh
        return self.register_wh

    def settle(self, most_wh: Decimal | None = None) -> int:
        """Power off, and the register on the next whole Wh: StopTransaction knows no fractions."""
        self.read(most_wh)
        self.power_w = Decimal(0)
        self.register_wh = self.register_wh.to_integral_value(ROUND_CEILING)
        return int(self.register_wh)
