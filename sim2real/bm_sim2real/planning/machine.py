"""The state machine with a second policy: RUNNING on plans, with the tracker in its other modes and as the way out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bm_core.g1 import CONTROL_DT, DEFAULT_ROOT_HEIGHT, G1
from bm_core.kinematics import g1_kinematics
from bm_core.reference import MotionReference, Reference, ReferenceFrame
from bm_core.rotations import quat_rotate
from bm_core.state import RobotState
from bm_sim2real.mailbox import PolicyCommand
from bm_sim2real.modes import Mode
from bm_sim2real.planning.policy import DiffusionPolicy
from bm_sim2real.standing import plan_start
from bm_sim2real.state_machine import StateMachine
from bm_sim2real.stop_plans import PlannedStop, plan_with

Array = NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class GuidedConfig:
    """When a policy that runs on plans gives up."""

    stop_before_end: int = 6
    """Control steps before the end of the newest plan at which a stop is looked for: not every moment has one."""
    start_s: float = 1.1
    """s that the tracker walks before plans are asked for: a start begins with a shift of weight that takes longer than
    a plan looks ahead (data from standing get 0.03 m far in 0.64 s), so no goal can tell it from standing."""
    start_limit_s: float = 2.5
    """s after which a start without a plan is given up."""


class GuidedMachine(StateMachine):
    """StateMachine whose RUNNING may be the diffusion policy's: `guide` begins, `brake` ends, as does a planner that is
    late: BRAKE -> STAND with the tracker, from the robot's own posture and speed."""

    def __init__(self, pilot: DiffusionPolicy, *args: Any, guided: GuidedConfig | None = None, **kwargs: Any) -> None:
        """`pilot` runs the plans; everything else as for StateMachine."""
        super().__init__(*args, **kwargs)
        self.pilot, self._guided = pilot, guided or GuidedConfig()
        self.is_guided = False
        """Whether RUNNING is the diffusion policy's."""
        self.plan_losses = 0
        """How often plans ran out."""
        self._is_braking, self._attempts = False, 0
        self._start: PlannedStop | None = None
        self._walked: int | None = None
        """Control steps of a start by the tracker."""
        self._last_q = G1.default_joint_pos

    def guide(self, velocity: Array | None = None) -> None:
        """STAND or RUNNING -> RUNNING on plans, as soon as the first is there. RobotError from another mode.

        With a `velocity` (3,) m/s, m/s, rad/s in its yaw frame a robot in STAND is first walked off by the tracker.
        """
        self._require(Mode.RUNNING, Mode.STAND, Mode.RUNNING)
        if velocity is None or self.mode is not Mode.STAND:
            self.pilot.is_wanted = True
            return
        start = partial(plan_start, velocity, self._guided.start_limit_s + 1.0)
        self._start = plan_with(start, 1, in_background=self.config.plans_in_background)

    @property
    def start_s(self) -> float:
        """s that the tracker walks before plans are asked for."""
        return self._guided.start_s

    @property
    def is_starting(self) -> bool:
        """Whether the tracker walks the robot off, or is about to."""
        return self._start is not None or self._walked is not None

    def step(self, state: RobotState) -> PolicyCommand:
        """The command for the next 20 ms; see StateMachine.step."""
        self._step_start(state)
        self.pilot.see(state)
        if not self.is_guided and self.pilot.is_wanted and self.mode in (Mode.STAND, Mode.RUNNING):
            self._begin()
        command = self._fly(state) if self.is_guided and self.mode is Mode.RUNNING else None
        if command is not None:
            return command
        if self.is_guided:
            self._end_guided()
        command = super().step(state)
        self.pilot.watch(command.low.q if self.mode.is_tracking else None)
        return command

    def brake(self, state: RobotState) -> None:
        """As StateMachine.brake; out of guidance while the plan lasts, until a stop is found."""
        if not self.is_guided:
            super().brake(state)
            return
        self._require(Mode.BRAKE, Mode.RUNNING)
        self._is_braking = True

    # -- parts

    def _step_start(self, state: RobotState) -> None:
        """From STAND into the first steps, from those to asking for plans; a start that leads nowhere ends."""
        if self._start is not None and self._start.future.done():
            planned, self._start = self._start.future, None
            if self.mode is Mode.STAND and planned.exception() is None:
                reference = planned.result()
                assert isinstance(reference, MotionReference)
                reference.align(*self._anchor.world_pose(state), 0)
                self._follow(Mode.RUNNING, reference)
                self._walked = 0
        if self._walked is None:
            return
        self._walked = self._walked + 1 if self.mode is Mode.RUNNING and not self.is_guided else None
        if self._walked == round(self._guided.start_s / CONTROL_DT):
            self.pilot.is_wanted = True
        elif self._walked == round(self._guided.start_limit_s / CONTROL_DT):
            self._walked, self.pilot.is_wanted = None, False
            self.plan_losses += 1
            super().brake(state)

    def _begin(self) -> None:
        if not self.pilot.is_ready or self.held or self.fault is not None:
            return
        self.is_guided, self._is_braking, self._attempts = True, False, 0
        self._walked = None
        self._enter(Mode.RUNNING, 0)

    def _fly(self, state: RobotState) -> PolicyCommand | None:
        """One step on the plan; None when the tracker (or damping) has to take over in this very step."""
        lost = self._task_guard.check(state, None, self._steps + 1)
        if lost is not None:
            self.latch(lost)
            return None
        output = None if self._is_stopped(state) else self.pilot.act()
        if output is None:
            if self.mode is Mode.RUNNING:  # nothing to run and no stop found
                self._stand_from(state)
            return None
        self._steps += 1
        self.holds |= self.sources.tick()
        self.output = output
        self._last_q = output.q
        return PolicyCommand(low=self._low(state, q=output.q, kp=output.kp, kd=output.kd), mode=self.mode)

    def _is_stopped(self, state: RobotState) -> bool:
        """Looks for a stop if one is due; whether the tracker has the robot from this step on."""
        is_late = self.pilot.steps_left <= self._guided.stop_before_end
        if not (self._is_braking or is_late or self.held):
            return False
        if not self._is_braking:
            self.plan_losses += is_late
            self._is_braking = True
        if self._plan_stop is None or self._attempts >= self.config.stop_attempts:
            self._stand_from(state)
            return True
        if self._stop is None:
            self._attempts += 1
            plan = partial(self._plan_stop, state, frame_of(state))
            self._stop = plan_with(plan, self._attempts, in_background=self.config.plans_in_background)
        else:
            self._stop.age += 1
        stop = self._stop
        if not stop.future.done():
            return False
        self._stop = None
        if stop.future.exception() is not None:  # this moment of the gait has no stop; the next may
            return False
        self._take_over(stop.future.result(), stop.age)
        self._enter(Mode.BRAKE, 0)
        return True

    def _stand_from(self, state: RobotState) -> None:
        """No plan and no stop: the blend to standing, from where the robot is."""
        frame = frame_of(state)
        self._take_over(_Held(frame))
        self._to_stand(frame)

    def _take_over(self, reference: Reference, frame: int = 0) -> None:
        self.policy.take_over(reference, frame, self._last_q)

    def _end_guided(self) -> None:
        self.is_guided = self._is_braking = False
        self.pilot.is_wanted = False


class _Held:
    """One frame for ever."""

    num_frames = 1

    def __init__(self, frame: ReferenceFrame) -> None:
        self._frame = frame

    def frame(self, k: int) -> ReferenceFrame:
        return self._frame


def frame_of(state: RobotState) -> ReferenceFrame:
    """The robot itself as a frame to follow; without an estimate of the base at the origin and without speed."""
    quat, tree = np.asarray(state.pelvis_quat_w, dtype=np.float64), g1_kinematics()
    origin = np.array([0.0, 0.0, DEFAULT_ROOT_HEIGHT]) if state.pelvis_pos_w is None else state.pelvis_pos_w
    still = np.zeros(3) if state.pelvis_lin_vel_b is None else state.pelvis_lin_vel_b
    pos, rot = tree.forward(origin, quat, state.joint_pos)
    speed, turn = (quat_rotate(quat, velocity) for velocity in (still, state.pelvis_gyro_b))
    lin, ang = tree.velocities(speed, turn, state.joint_vel, pos, rot)
    pos, rot, lin, ang = (np.asarray(values, dtype=np.float64) for values in (pos, rot, lin, ang))
    return ReferenceFrame(state.joint_pos, state.joint_vel, pos, rot, lin, ang)
