"""SIGINT and SIGTERM as a flag: whoever moves a robot ends at a place of its own choosing."""

from __future__ import annotations

import signal
from types import FrameType


class Stop:
    """Set by the first SIGINT or SIGTERM from its construction on."""

    def __init__(self) -> None:
        self.count = 0
        """How often."""
        self.reason = ""
        """Which signal."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)

    @property
    def requested(self) -> bool:
        """Whether at all."""
        return self.count > 0

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        self.reason = self.reason or signal.Signals(number).name
        self.count += 1
