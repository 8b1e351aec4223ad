"""How full the battery is: as its own computer says it, else guessed from the voltage at the motors.

BmsState_ of unitree_hg comes slowly on rt/lf/bmsstate; it has no checksum. On the wire (CDR, little endian, 4 bytes of
header): version_high, version_low, fn, padding, cell_vol u16[40], bmsvoltage u32[3], current i32, soc u8, ...
"""

from __future__ import annotations

import math
import struct

import numpy as np
from numpy.typing import NDArray

from bm_sim2real.robots.unitree.low_command import CDR_LITTLE_ENDIAN

BMS_TOPIC = "rt/lf/bmsstate"
BMS_SIZE = 168
_SOC = 104
_CELLS = 13
"""In series; Unitree's data sheet names 13 cells."""
_CELL_V = (3.0, 3.4, 3.55, 3.65, 3.75, 3.95, 4.2)
_CHARGE = (0.0, 5.0, 15.0, 30.0, 50.0, 75.0, 100.0)
"""%, of a common lithium cell at rest: a guess, and a pessimistic one under load."""
_SMOOTHING = 0.002
"""Share of each reading: 1 s, so that a step's current does not count as an empty battery."""
_PLAUSIBLE_V = 20.0


class Battery:
    """Charge in percent; NaN as long as nobody has said anything plausible."""

    def __init__(self) -> None:
        self.voltage = math.nan
        """V at the motors, smoothed"""
        self.reported: float | None = None
        """% as the battery says"""

    def look(self, motor_voltage: NDArray[np.float64], reported: float | None) -> None:
        """Once a tick: (29,) V, and the charge that was reported last, if it is."""
        self.reported = reported
        middle = len(motor_voltage) // 2
        seen = float(np.partition(motor_voltage, middle)[middle])  # the median, in an eighth of np.median's time
        if seen < _PLAUSIBLE_V or not math.isfinite(seen):
            return
        self.voltage = seen if math.isnan(self.voltage) else self.voltage + _SMOOTHING * (seen - self.voltage)

    @property
    def percent(self) -> float:
        """Charge in %; NaN if unknown."""
        if self.reported is not None:
            return self.reported
        return float(np.interp(self.voltage / _CELLS, _CELL_V, _CHARGE)) if self.voltage == self.voltage else math.nan


def read_bms(message: bytes) -> float | None:
    """Charge in %; None for bytes that are no BmsState_ or say more than 100 %."""
    if len(message) < _SOC + 2 or message[0] != 0 or not message[1] & 1:
        return None
    return float(message[_SOC]) if message[_SOC] <= 100 else None


def pack_bms(percent: float) -> bytes:
    """As a robot with that charge sends it."""
    message = bytearray(BMS_SIZE)
    message[:4] = CDR_LITTLE_ENDIAN
    struct.pack_into("<B", message, _SOC, round(percent))
    return bytes(message)
