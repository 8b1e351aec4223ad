"""What the bridge tells its clients every 50 ms, as plain values for JSON. Keys are part of the client API."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bm_sim2real.bridge.shared_memory import Word
from bm_sim2real.holds import hold_names

if TYPE_CHECKING:
    from bm_sim2real.bridge.core import BridgeCore


_LOG_NAME = 200
"""Characters of the log's path: the status has room for some thousand bytes in all."""


def bridge_status(core: BridgeCore) -> dict[str, Any]:
    """Unknown numbers are None."""
    fault, words, watch = core.guard.fault, core.memory.words, core.watch
    return {
        "tick": core.tick_count,
        "mode": core.mode.value,
        "is_armed": bool(words[Word.LEASE]),
        "arm_refusal": core.arm_answer,
        "reset_refusal": core.reset_answer,
        "fault": None if fault is None else dataclasses.asdict(fault),
        "holds": hold_names(int(words[Word.HOLDS])),
        "is_operator_there": core.holds.is_operator_there,
        "counters": _counters(core),
        "hottest_motor_c": watch.hottest,
        "hottest_joint": watch.hottest_joint,
        "is_warm": watch.is_warm,
        "battery_percent": _known(watch.battery.percent),
        "battery_voltage": _known(watch.battery.voltage),
        "is_battery_low": watch.is_battery_low,
        "torso_imu_error": _known(watch.torso_imu_error),
        "estimate": None if core.estimate is None else core.estimate.status(),
        "is_dry_run": core.config.is_dry_run,
        "user_control": core.config.user_control,
        "estimates_base": core.config.estimates_base,
        "needs_battery": core.config.needs_battery,
        "log": log_name(core.config.log),
        "realtime": core.realtime,
        "timing_ms": core.timing_ms(),
        "late_ticks": core.late.counts,
    }


def log_name(path: Path | None) -> str | None:
    """The absolute path, of a long one its end; None without a log."""
    return None if path is None else str(path.absolute())[-_LOG_NAME:]


def _counters(core: BridgeCore) -> dict[str, Any]:
    counters = core.guard.counters
    return {
        **dataclasses.asdict(core.robot.counters),
        "effort": counters.effort.tolist(),
        "hard_stop": counters.hard_stop.tolist(),
        "slew": counters.slew,
        "dropped": counters.dropped,
        "refused": counters.refused,
        "overruns": counters.overruns,
        "torn": core.memory.command.torn,
        "events_lost": core.log.lost,
    }


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
