"""`bm bridge`: the processes that own a Unitree G1."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Bridge:
    """Own a Unitree G1: 500 Hz writer with the command guard, and a guardian behind it. Damps until a client arms.

    Ends with SIGINT or SIGTERM, after a second of damping; when its terminal hangs up, as soon as nobody is armed.
    Ctrl-Z does not stop it. SIGUSR1 to the writer is an emergency stop. Exit 0 after an orderly end, 1 after the
    guardian had to take over.
    """

    network_interface: str
    """Interface to the robot, such as eth0; lo is the simulated robot (`bm sim-robot`)."""
    dry_run: bool = False
    """Compute everything, send nothing."""
    log: Path | None = None
    """Append events with their writer ticks to this file (JSON lines)."""
    keep_motion_service: bool = False
    """Do not make the vendor's controller let go (then arming will be refused if it publishes)."""
    wait: float = 10.0
    """s to wait for the robot."""
    user_control: bool = False
    """Command through rt/user_lowcmd and give the robot back to the vendor's controller at the end."""
    no_estimator: bool = False
    """Publish no estimate of the pelvis's position and velocity."""
    ignore_battery: bool = False
    """Arm even if the battery's charge is unknown."""
    stall_allowance: float = 0.0
    """Simulated robot only: s for which this computer may stand still before the guard calls it a fault; 0..2."""
    real_time_factor: float = 1.0
    """Simulated robot only: simulated s per s of the wall clock, 0.05..1, the same as `bm sim-robot` was given."""

    def __call__(self) -> int:
        from bm_sim2real.bridge.config import BridgeConfig
        from bm_sim2real.bridge.guardian import Guardian
        from bm_sim2real.commands.progress import wide_console
        from bm_sim2real.guard_limits import GuardLimits
        from bm_sim2real.robots.unitree.dds import domain_of
        from bm_sim2real.robots.unitree.sdk import load_sdk

        config = BridgeConfig(
            interface=self.network_interface,
            is_dry_run=self.dry_run,
            log=self.log,
            releases_motion_service=not self.keep_motion_service,
            first_state_s=self.wait,
            user_control=self.user_control,
            estimates_base=not self.no_estimator,
            needs_battery=not self.ignore_battery,
            limits=GuardLimits().allowing_stalls(self.stall_allowance),
            real_time_factor=self.real_time_factor,
        )
        kind = "HARDWARE" if config.is_hardware else "SIMULATED"
        quiet = ", DRY RUN: nothing is sent" if self.dry_run else ""
        if self.stall_allowance:
            quiet += f", ages {self.stall_allowance:g} s wider than on a robot"
        if self.real_time_factor != 1.0:
            quiet += f", {self.real_time_factor:g} x real time"
        wide_console().print(
            f"bridge on {config.interface}, DDS domain {domain_of(config.interface)}: {kind}{quiet}; {load_sdk().found}"
        )
        guardian = Guardian(config)
        wide_console().print(f"guardian: {guardian.realtime}", markup=False)
        return guardian.run()
