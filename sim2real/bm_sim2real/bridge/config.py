"""Settings of a bridge, as they travel from the command line to its two processes."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path

from bm_core.errors import ConfigError
from bm_sim2real.guard_limits import GuardLimits
from bm_sim2real.real_time_factor import check_real_time_factor
from bm_sim2real.robots.simulation_config import TICK_DT
from bm_sim2real.robots.unitree.dds import LOOPBACK
from bm_sim2real.robots.unitree.robot import UnitreeConfig


@dataclass(frozen=True, kw_only=True)
class BridgeConfig:
    """One bridge on one interface."""

    interface: str = LOOPBACK
    """Network interface of the robot; lo is the simulated one."""
    is_dry_run: bool = False
    """Compute everything, send nothing."""
    log: Path | None = None
    """Event log, JSON lines."""
    releases_motion_service: bool = True
    """Make the vendor's controller let go on connect."""
    first_state_s: float = 10.0
    """s to wait for the robot."""
    estimates_base: bool = True
    """Publish the pelvis's position and velocity by the state estimator."""
    needs_heartbeat: bool | None = None
    """Arm only with a fresh operator heartbeat; None = on hardware. Once one has come, its loss counts everywhere."""
    needs_battery: bool = True
    """On hardware, arm only if the battery's charge is known."""
    user_control: bool = False
    """Command through rt/user_lowcmd, from which the vendor's balance controller can take over again at the end."""
    guardian_guid: str = ""
    """DDS GUID of the guardian's writer, which is no stranger on the command topic."""
    limits: GuardLimits = field(default_factory=GuardLimits)
    real_time_factor: float = 1.0
    """Simulated s per s of the wall clock."""

    def __post_init__(self) -> None:
        if self.is_hardware and self.limits.allows_stalls:
            raise ConfigError(f"{self.interface}: a stall allowance is for the simulated robot (lo); leave it out")
        if not (math.isfinite(self.first_state_s) and self.first_state_s >= 0.0):
            raise ConfigError(
                f"s to wait for the robot (--wait) = {self.first_state_s:g}: must be a finite number, 0 or more"
            )
        check_real_time_factor(self.real_time_factor, self.interface)

    @property
    def tick_s(self) -> float:
        """s of the wall clock that a tick of writer and guardian takes."""
        return TICK_DT / self.real_time_factor

    @property
    def is_hardware(self) -> bool:
        """Whether a real robot is at the other end."""
        return self.interface != LOOPBACK

    @property
    def robot(self) -> UnitreeConfig:
        """The same for the robot."""
        return UnitreeConfig(
            interface=self.interface,
            first_state_s=self.first_state_s,
            releases_motion_service=self.releases_motion_service and not self.is_dry_run,
            user_control=self.user_control,
        )

    @property
    def needs_deadman(self) -> bool:
        """Whether an open terminal is not enough of an operator: a key has to be held, and let go in time."""
        return self.is_hardware and not self.is_dry_run

    @property
    def demands_heartbeat(self) -> bool:
        """Whether arming needs one."""
        return self.is_hardware if self.needs_heartbeat is None else self.needs_heartbeat

    def to_json(self) -> str:
        """For the command line of the writer process."""
        values = dataclasses.asdict(self)
        values["log"] = None if self.log is None else str(self.log)
        return json.dumps(values)

    @classmethod
    def from_json(cls, text: str) -> BridgeConfig:
        """The other way."""
        values = json.loads(text)
        log = values.pop("log")
        return cls(
            **{**values, "limits": GuardLimits(**values["limits"])},
            log=None if log is None else Path(log),
        )
