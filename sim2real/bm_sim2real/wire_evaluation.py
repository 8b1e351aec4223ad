"""The same clip twice: in one process, and through the bridge over real DDS topics. Only the path differs.

Both in lockstep, so that the answer is the path's and not the machine's. Over the wire a policy answers the reading
before last, one tick (2 ms) old: in one process the same is a command delay of 2 ms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bm_core.errors import RobotError
from bm_core.g1 import CONTROL_DT
from bm_core.motion import MotionClip
from bm_sim2real.bridge.client import BridgeClient
from bm_sim2real.bridge.config import BridgeConfig
from bm_sim2real.bridge.core import BridgeCore
from bm_sim2real.bridge.event_log import EventLog
from bm_sim2real.bridge.shared_memory import BridgeMemory, memory_path
from bm_sim2real.evaluation import put_on_frame
from bm_sim2real.guard import CommandGuard
from bm_sim2real.loop import ControlLoop
from bm_sim2real.modes import Mode
from bm_sim2real.policies.tracker import TrackerPolicy
from bm_sim2real.process_signals import signals_put_off
from bm_sim2real.robots.mujoco import MujocoRobot
from bm_sim2real.robots.protocol import BaseState, RobotFeatures
from bm_sim2real.robots.simulation_config import TICK_MS, SimulationConfig
from bm_sim2real.robots.unitree.lockstep import LockstepUnitree
from bm_sim2real.standing import plan_stop, standing_frame
from bm_sim2real.state_machine import StateMachine
from bm_sim2real.tracking_errors import Terminations, tracking_errors

_STAND_STEPS = round(0.5 / CONTROL_DT)
_PATIENCE_S = 120.0
"""Lockstep: time is the machine's own affair."""
WIRE_DELAY_MS = TICK_MS
"""ms between the reading that a policy answers and the robot's present, over the wire in lockstep."""


@dataclass(frozen=True, kw_only=True)
class WireResult:
    """One clip on both paths."""

    clip: str
    delay_ms: int
    """From command to motor beside the wire's own"""
    in_process_m: float
    wire_m: float
    """Body errors, mean over the motion from standing on"""
    failure: str
    """What ended either run early; empty if nothing did"""

    @property
    def difference(self) -> float:
        """(wire - in process) / in process"""
        return self.wire_m / self.in_process_m - 1.0


def compare_paths(policy: TrackerPolicy, clip: MotionClip, base_state: BaseState, delay_ms: int = 0) -> WireResult:
    """From STAND, blended in, to the clip's end on each path. RobotError if the clip cannot be entered."""
    direct, fault = errors_in_process(policy, clip, base_state, delay_ms + WIRE_DELAY_MS)
    wired, wire_fault = _over_the_wire(policy, clip, base_state, delay_ms)
    return WireResult(
        clip=clip.name,
        delay_ms=delay_ms,
        in_process_m=float(np.mean(direct)),
        wire_m=float(np.mean(wired)),
        failure="; ".join(f"{where}: {text}" for where, text in (("in process", fault), ("wire", wire_fault)) if text),
    )


def entry_refusal(policy: TrackerPolicy, clip: MotionClip) -> str:
    """Why the clip cannot be entered from standing; empty if it can."""
    robot = MujocoRobot()
    robot.connect()
    put_on_frame(robot, standing_frame())
    machine = _machine(policy, robot.features)
    machine.start_standing(robot.read())
    try:
        machine.play(clip, robot.read())
    except RobotError as error:
        return str(error)
    finally:
        robot.close()
    return ""


def summarize_paths(results: Sequence[WireResult], most: float) -> dict[str, Any]:
    """The summary of `bm eval wire`."""
    worst = max(results, key=lambda result: abs(result.difference))
    total = [float(np.mean([getattr(r, name) for r in results])) for name in ("in_process_m", "wire_m")]
    return {
        "clips": len(results),
        "body_error_in_process_m": total[0],
        "body_error_wire_m": total[1],
        "difference": total[1] / total[0] - 1.0,
        "worst_difference": worst.difference,
        "worst_clip": worst.clip,
        "failed": [r.clip for r in results if r.failure or abs(r.difference) > most],
    }


def _machine(policy: TrackerPolicy, features: RobotFeatures) -> StateMachine:
    return StateMachine(policy, standing_frame(), features, plan_stop=plan_stop)


def errors_in_process(
    policy: TrackerPolicy,
    clip: MotionClip,
    base_state: BaseState,
    delay_ms: int,
    stance: NDArray[np.float64] | None = None,
) -> tuple[list[float], str]:
    """Body errors, m, of each control step of RUNNING from STAND on, and what ended it early, empty if nothing did.

    `stance` (36,) is the qpos to stand in before the clip; without it the pose of STAND.
    """
    robot = MujocoRobot(SimulationConfig(delay_ms=delay_ms, base_state=base_state))
    robot.connect()
    if stance is None:
        put_on_frame(robot, standing_frame())
    else:
        robot.reset(root_pos_w=stance[:3], root_quat_w=stance[3:7], joint_pos=stance[7:])
    machine = _machine(policy, robot.features)
    machine.start_standing(robot.read())
    loop = ControlLoop(robot, machine, CommandGuard(start_mode=Mode.STAND))
    for _ in range(_STAND_STEPS):
        loop.step()
    machine.play(clip, robot.read())
    errors: list[float] = []
    while machine.mode is Mode.RUNNING:
        loop.step()
        errors.append(_body_error(robot, machine))
    return errors[:-1], "" if loop.fault is None else str(loop.fault)


def _over_the_wire(
    policy: TrackerPolicy, clip: MotionClip, base_state: BaseState, delay_ms: int
) -> tuple[list[float], str]:
    body = MujocoRobot(SimulationConfig(delay_ms=delay_ms))
    robot = LockstepUnitree(body)
    robot.connect()
    put_on_frame(body, standing_frame())
    memory, log = BridgeMemory.create("lo"), EventLog(None, "writer")
    try:
        core = BridgeCore(robot, memory, BridgeConfig(), log, is_wall=False)

        def tick() -> None:
            core.tick()
            robot.step()

        tick()
        client = BridgeClient("lo", ready_s=_PATIENCE_S, idle=tick)
        client.arm(_PATIENCE_S)
        features = RobotFeatures(**{**vars(robot.features), "base_state": base_state})
        return _drive(client, body, _machine(policy, features), clip)
    finally:
        with signals_put_off():
            robot.close()
            memory.close()
            log.close()
            memory_path("lo").unlink(missing_ok=True)


def _drive(client: BridgeClient, body: MujocoRobot, machine: StateMachine, clip: MotionClip) -> tuple[list[float], str]:
    """As BridgedLoop, with a look at the truth at the end of each period."""
    machine.start_standing(client.read())
    errors: list[float] = []
    for step in range(10**9):
        client.wait_period(_PATIENCE_S)
        if machine.mode is Mode.RUNNING and step > _STAND_STEPS:
            errors.append(_body_error(body, machine))
        state = client.read()
        if step == _STAND_STEPS:
            machine.play(clip, state)
        client.put(machine.step(state))
        fault = machine.fault or client.fault
        if fault is not None or (step > _STAND_STEPS and machine.mode is not Mode.RUNNING):
            return errors, "" if fault is None else str(fault)
    raise AssertionError("unreachable")


def _body_error(robot: MujocoRobot, machine: StateMachine) -> float:
    return tracking_errors(robot.ground_truth(), machine.policy.present_frame, Terminations()).body
