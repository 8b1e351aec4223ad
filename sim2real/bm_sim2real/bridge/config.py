"""Settings of a bridge, as they travel from the command line to its two processes."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path

from bm_sim2real.guard_limits import GuardLimits
from bm_sim2real.robots.unitree.dds import LOOPBACK


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
    guardian_guid: str = ""
    """DDS GUID of the guardian's writer, which is no stranger on the command topic."""
    limits: GuardLimits = field(default_factory=GuardLimits)

    @property
    def is_hardware(self) -> bool:
        """Whether a real robot is at the other end."""
        return self.interface != LOOPBACK

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
