"""A UnitreeRobot and a simulated G1 on the same loopback, in lockstep: DDS delivers inside a process at once.

Both ends of the real topics, messages and checksums; only the time between them is taken away.
"""

import os

import pytest

pytest.importorskip("cyclonedds", reason="the hardware extra is not installed (x86-64 only)")

os.environ.setdefault("BM_DDS_TAG", f"test-{os.getpid()}")  # workers beside us have their own robots on this domain

from bm_sim2real.robots.mock import MockRobot  # noqa: E402
from bm_sim2real.robots.unitree.robot import UnitreeConfig, UnitreeRobot  # noqa: E402
from bm_sim2real.robots.unitree.simulated import SimulatedG1  # noqa: E402


class WiredRobot(UnitreeRobot):
    """Steps like a simulated robot: the one behind the wire does."""

    def __init__(self, body=None, wire=None):
        super().__init__(UnitreeConfig(releases_motion_service=False))
        self.body, self._wire_config = body or MockRobot(), wire
        self.wire = None

    def connect(self):
        self.body.connect()
        self.wire = SimulatedG1(self.body, self._wire_config)
        self._hello = True
        super().connect()

    def _take(self):
        if self._hello:  # the reader exists by now, so the first reading cannot be missed
            self._hello = False
            self.wire.publish()
        super()._take()

    def step(self):
        self._require_link()
        self.wire.tick()

    def close(self):
        super().close()
        if self.wire is not None:
            self.wire.close()
            self.body.close()
        self.wire = None
