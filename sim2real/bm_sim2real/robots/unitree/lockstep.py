"""UnitreeRobot and SimulatedG1 in one process, in lockstep: DDS delivers inside a process at once.

Both ends of the real topics, messages and checksums; only the time between them is taken away. For tests and faults.
"""

from __future__ import annotations

from bm_sim2real.robots.mock import MockRobot
from bm_sim2real.robots.protocol import SteppedRobot
from bm_sim2real.robots.unitree.link import Link
from bm_sim2real.robots.unitree.mock_link import MockNetwork
from bm_sim2real.robots.unitree.robot import UnitreeConfig, UnitreeRobot
from bm_sim2real.robots.unitree.simulated import SimulatedG1, WireConfig


class LockstepUnitree(UnitreeRobot):
    """Steps like a simulated robot: the one behind the wire does."""

    wire: SimulatedG1
    """The other end; there after `connect`."""

    def __init__(
        self, body: SteppedRobot | None = None, wire: WireConfig | None = None, network: MockNetwork | None = None
    ) -> None:
        """`body` is the robot behind the wire, by default a MockRobot; it is connected and closed with this one.

        `network` takes the place of DDS.
        """
        super().__init__(UnitreeConfig(releases_motion_service=False))
        self.body = body or MockRobot()
        self._wire_config = wire
        self.network = network
        self._says_hello = False
        self._has_wire = False

    def connect(self) -> None:
        """Both ends."""
        self.body.connect()
        self.wire = SimulatedG1(self.body, self._wire_config, link=self._open_link())
        self._has_wire = self._says_hello = True
        super().connect()

    def step(self) -> None:
        """2 ms at the other end."""
        self._require_link()
        self.wire.tick()

    def close(self) -> None:
        """Both ends."""
        super().close()
        if self._has_wire:
            self.wire.close()
            self.body.close()
        self._has_wire = False

    def _open_link(self) -> Link:
        return super()._open_link() if self.network is None else self.network.link()

    def _take(self) -> None:
        if self._says_hello:  # our reader exists by now; a lossy link may need more than one
            self.wire.publish()
        super()._take()
        self._says_hello = self._newest is None
