"""What goes to /diagnostics: states of the bridge and of the policy as levels, one line, and numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from bm_core.g1 import CONTROL_DT
from bm_sim2real.guard_limits import GuardLimits
from bm_sim2real.operation.messages import Step


class Level(IntEnum):
    """As diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2
    STALE = 3


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """One DiagnosticStatus."""

    name: str
    level: Level
    message: str
    values: Mapping[str, str] = field(default_factory=dict)


def bridge_diagnoses(status: Mapping[str, Any], state_age_s: float, limits: GuardLimits) -> list[Diagnosis]:
    """`status`: as BridgeClient.status(); `state_age_s`: since the writer's last sign of life, s."""
    return [_link(status, state_age_s), _guard(status), _motors(status, limits)]


def policy_diagnoses(
    step: Step, skipped: int, timing_ms: Mapping[str, Mapping[str, float]], age_s: float
) -> list[Diagnosis]:
    """`step`: the newest, `age_s` old; `skipped`: how many were not published; `timing_ms`: the newest that was."""
    return [_loop(step, step.lost + skipped, timing_ms, age_s), _operation(step)]


def _link(status: Mapping[str, Any], age_s: float) -> Diagnosis:
    counters, timing = status.get("counters", {}), status.get("timing_ms", {})
    values = {
        "state_age_ms": f"{1e3 * age_s:.1f}",
        **_timing("writer_period", timing.get("writer_period", {})),
        **_timing("command_age", timing.get("command_age", {})),
        **_texts(counters, "received", "corrupt", "reordered", "unsent", "overruns", "torn"),
    }
    if age_s > 0.1:
        return Diagnosis(
            name="bridge: link", level=Level.ERROR, message=f"the writer stands still for {age_s:.1f} s", values=values
        )
    if counters.get("corrupt"):
        return Diagnosis(
            name="bridge: link", level=Level.WARN, message=f"{counters['corrupt']} corrupt readings", values=values
        )
    return Diagnosis(name="bridge: link", level=Level.OK, message="readings arrive", values=values)


def _guard(status: Mapping[str, Any]) -> Diagnosis:
    counters, fault = status.get("counters", {}), status.get("fault")
    values = {
        "mode": str(status.get("mode", "")),
        "is_armed": str(status.get("is_armed", False)),
        "arm_refusal": str(status.get("arm_refusal", "")),
        "effort_clamps": str(sum(counters.get("effort", ()))),
        "hard_stop_clamps": str(sum(counters.get("hard_stop", ()))),
        **_texts(counters, "slew", "dropped", "refused"),
    }
    if fault:
        values |= {"fault": fault["name"], "fault_tick": str(fault.get("tick", ""))}
        text = f"{fault['name']}: {fault['detail']} (latched; /reset when the robot is safe)"
        return Diagnosis(name="bridge: guard", level=Level.ERROR, message=text, values=values)
    text = f"{status.get('mode', 'unknown')}, {'armed' if status.get('is_armed') else 'disarmed'}"
    return Diagnosis(name="bridge: guard", level=Level.OK, message=text, values=values)


def _motors(status: Mapping[str, Any], limits: GuardLimits) -> Diagnosis:
    hottest = float(status.get("hottest_motor_c", math.nan))
    values = {"hottest_motor_c": f"{hottest:.0f}", "warn_c": f"{limits.motor_warn_c:.0f}"}
    percent = status.get("battery_percent")
    if percent is not None:
        values["battery_percent"] = f"{float(percent):.0f}"
    level = Level.ERROR if hottest >= limits.motor_stand_c else Level.OK
    if level is Level.OK and hottest >= limits.motor_warn_c:
        level = Level.WARN
    return Diagnosis(name="bridge: motors", level=level, message=f"hottest {hottest:.0f} degC", values=values)


def _loop(step: Step, lost: int, timing_ms: Mapping[str, Mapping[str, float]], age_s: float) -> Diagnosis:
    values = {"steps": str(step.number), "lost": str(lost), "age_ms": f"{1e3 * age_s:.1f}"}
    for name, numbers in timing_ms.items():
        values |= _timing(name, numbers)
    p99 = timing_ms.get("period", {}).get("p99", 0.0)
    if age_s > 0.5:
        return Diagnosis(name="policy: loop", level=Level.STALE, message=f"no step for {age_s:.1f} s", values=values)
    if p99 > 1.5e3 * CONTROL_DT:
        text = f"period p99 {p99:.1f} ms (20 ms nominal): the machine is overloaded"
        return Diagnosis(name="policy: loop", level=Level.WARN, message=text, values=values)
    return Diagnosis(name="policy: loop", level=Level.OK, message=f"period p99 {p99:.1f} ms", values=values)


def _operation(step: Step) -> Diagnosis:
    values = {"mode": step.mode.value, "motion": step.motion, "is_armed": str(step.is_armed)}
    if step.fault is not None:
        values["fault"] = step.fault.name
        return Diagnosis(name="policy: operation", level=Level.ERROR, message=str(step.fault), values=values)
    if step.held:
        return Diagnosis(name="policy: operation", level=Level.WARN, message=f"held: {step.held}", values=values)
    text = f"{step.mode.value}, {step.motion}" if step.is_playing else step.mode.value
    return Diagnosis(name="policy: operation", level=Level.OK, message=text, values=values)


def _timing(name: str, numbers: Mapping[str, float]) -> dict[str, str]:
    return {f"{name}_{key}_ms": f"{value:.2f}" for key, value in numbers.items()}


def _texts(values: Mapping[str, Any], *names: str) -> dict[str, str]:
    return {name: str(values.get(name, "")) for name in names}
