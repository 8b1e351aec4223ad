"""What the robot does next: modes, their transitions, and the policy's targets in each of them, every 20 ms.

DAMPING -> HANG -> STAND -> RUNNING -> BRAKE -> STAND. Requests that do not fit the present mode are refused with a
reason; a fault of the task guard or of the policy latches DAMPING until `reset`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from bm_core.body_from_pelvis import BodyFromPelvis
from bm_core.errors import BmError, RobotError
from bm_core.g1 import ANCHOR_BODY, CONTROL_DT, G1
from bm_core.motion import MotionClip
from bm_core.reference import MotionReference, Reference, ReferenceFrame
from bm_core.state import LowCommand, RobotState
from bm_sim2real.blend import BlendConfig, ChainedReference, align_feet, blend, still, too_far
from bm_sim2real.faults import Fault, Reaction
from bm_sim2real.guard_limits import GuardLimits
from bm_sim2real.holds import Hold, SourceWatch, hold_names
from bm_sim2real.mailbox import PolicyCommand
from bm_sim2real.modes import Mode
from bm_sim2real.policies.tracker import PolicyOutput, TrackerPolicy, base_state_needed
from bm_sim2real.robots.protocol import BaseState, RobotFeatures
from bm_sim2real.stop_plans import PlannedStop, plan_with
from bm_sim2real.task_guard import TaskGuard

StopPlanner = Callable[[RobotState, ReferenceFrame], Reference]
"""A stop from the present speed: the robot's reading, the frame it should be in -> reference whose frame 0 is now."""

_LOG = logging.getLogger(__name__)
_ZERO = np.zeros(len(G1.joint_names))


@dataclass(frozen=True, kw_only=True)
class MachineConfig:
    """Times of the state machine."""

    hang_ramp_s: float = 3.0
    """s from the pose found to the default pose."""
    stop_attempts: int = 15
    """Moments, 20 ms apart, at which a stop is asked for."""
    plans_in_background: bool = False
    """Plan stops on a thread while the motion goes on; for real time, where planning (35 ms) would outlast a period."""
    blend: BlendConfig = field(default_factory=BlendConfig)


class StateMachine:
    """Owns the policy and its reference. Not thread safe: requests and `step` come from one thread."""

    def __init__(
        self,
        policy: TrackerPolicy,
        stand: ReferenceFrame,
        features: RobotFeatures,
        *,
        plan_stop: StopPlanner | None = None,
        limits: GuardLimits | None = None,
        config: MachineConfig | None = None,
    ) -> None:
        """`stand`: the pose to stand in. Without `plan_stop`, BRAKE blends from the present frame to it."""
        self.mode = Mode.DAMPING
        self.fault: Fault | None = None
        """The latched fault."""
        self.holds = Hold.NONE
        """Why the robot has to stand and stay, as found here; latched until `reset`."""
        self.bridge_holds = Hold.NONE
        """The same, as the bridge says it; the bridge latches."""
        self.sources = SourceWatch(limits or GuardLimits(), CONTROL_DT)
        """Planner, guidance, operator: whoever steers says `beat`, and is missed from then on."""
        self.output: PolicyOutput | None = None
        """Of the last step, if the policy took part in it."""
        self.policy = policy
        self.config = config or MachineConfig()
        self._stand = stand
        self._plan_stop = plan_stop
        self._task_guard = TaskGuard(
            limits,
            has_height=features.base_state is not BaseState.NONE,
            is_estimated=features.base_state is BaseState.ESTIMATE,
        )
        self._anchor = BodyFromPelvis(ANCHOR_BODY)
        self._steps = 0
        self._ramp_start = G1.default_joint_pos
        self._ramp_steps = 0
        self._lead = 0
        self._stop: PlannedStop | None = None

    def step(self, state: RobotState) -> PolicyCommand:
        """The command for the next 20 ms. Does not raise for what robot or policy do wrong: that becomes a fault."""
        self._steps += 1
        self.output = None
        self.holds |= self.sources.tick()
        if self.mode is Mode.RUNNING and self.held:
            self.brake(state)
        if self.mode is not Mode.DAMPING:
            frame = self.policy.present_frame if self.mode.is_tracking else None
            lost = self._task_guard.check(state, frame, self._steps)
            if lost is not None:
                self.latch(lost)
        if self.mode is Mode.BRAKE and self._stop is not None:
            self._stop.age += 1
            self._take_stop(state)
        if self.mode in (Mode.RUNNING, Mode.BRAKE) and self.policy.is_finished and self._stop is None:
            self._to_stand(self.policy.present_frame)
        if self.mode.is_tracking:
            low = self._track(state)
        elif self.mode is Mode.HANG:
            low = self._hang(state)
        else:
            low = self._low(state, q=_ZERO, kp=_ZERO, kd=_ZERO)
        return PolicyCommand(low=low, mode=self.mode)

    @property
    def needs_base(self) -> bool:
        """Whether the policy cannot work without an estimate of the base."""
        return base_state_needed(self.policy.contract) is not BaseState.NONE

    @property
    def clip_frame(self) -> int:
        """Frame of the motion that the last step aimed at; negative while the entry blend runs. Only in RUNNING."""
        return self.policy.next_frame - 1 - self._lead

    def hang(self, state: RobotState) -> None:
        """DAMPING -> HANG. For a robot that is carried; RobotError from another mode or with a latched fault."""
        self._require(Mode.HANG, Mode.DAMPING)
        self._ramp_start = np.array(state.joint_pos)
        self._ramp_steps = 0
        self._enter(Mode.HANG, 0)

    def stand(self, state: RobotState) -> None:
        """HANG -> STAND once the ramp is done; RUNNING or BRAKE go through `brake`. RobotError if it does not fit."""
        self._require(Mode.STAND, Mode.HANG)
        if not self.is_hang_done:
            raise RobotError(f"stand: the ramp to the default pose takes {self.config.hang_ramp_s} s; wait for its end")
        self.start_standing(state)

    def play(self, clip: MotionClip, state: RobotState) -> None:
        """STAND -> RUNNING: the clip, moved onto the robot and blended in. RobotError if it begins too far away."""
        self._require(Mode.RUNNING, Mode.STAND)
        motion = MotionReference(clip)
        motion.align(*self._anchor.world_pose(state), 0)
        start = self._present_pose(state)
        reason = too_far(start, motion.frame(0), self.config.blend)
        if reason:
            raise RobotError(f"{clip.name}: cannot be entered from standing: {reason}; cut its beginning")
        entry = ChainedReference(blend(start, motion.frame(0), self.config.blend), motion)
        self._follow(Mode.RUNNING, entry, lead=entry.lead)

    def brake(self, state: RobotState) -> None:
        """RUNNING -> BRAKE -> STAND, at any moment. RobotError from another mode.

        Where no stop can be planned (some phases of some steps), the motion goes on and the next moments are tried;
        after `stop_attempts` the blend to standing takes its place: braking never fails.
        """
        self._require(Mode.BRAKE, Mode.RUNNING)
        if self._plan_stop is None:
            self._to_stand(self.policy.present_frame)
            return
        self._stop = self._planned(state, attempt=1)
        self.mode = Mode.BRAKE
        self._take_stop(state)

    def damp(self) -> None:
        """DAMPING from anywhere, not latched."""
        self.mode = Mode.DAMPING

    def estop(self, reason: str) -> None:
        """DAMPING from anywhere, latched. An earlier fault stays the first cause."""
        self.latch(Fault("estop", Reaction.DAMPING, self._steps, reason, source="operator"))

    def latch(self, fault: Fault) -> None:
        """DAMPING until `reset`; also for faults of the command guard, or lifting theirs would restart the motion."""
        self.fault = self.fault or fault
        self.mode = Mode.DAMPING

    def reset(self) -> None:
        """Forgets a latched fault and the holds; the robot stays in DAMPING or STAND."""
        self.fault = None
        self.holds = Hold.NONE

    @property
    def held(self) -> Hold:
        """All reasons to stand and stay: a motion that runs is braked, none begins."""
        return self.holds | self.bridge_holds

    def start_standing(self, state: RobotState) -> None:
        """STAND at once, from a robot that already stands (or hangs) in the default pose. For HANG and simulation."""
        reference = still(self._stand)
        reference.align(*self._anchor.world_pose(state), 0)
        self.policy.reset(reference)
        self._enter(Mode.STAND, 0)

    def start_running(self, reference: Reference, frame: int = 0) -> None:
        """RUNNING at once with the robot in `frame` of the reference: only a simulator can put it there."""
        self.policy.reset(reference, frame)
        self._enter(Mode.RUNNING, 0)

    @property
    def is_hang_done(self) -> bool:
        """Whether the ramp of HANG has reached the default pose."""
        return self.mode is Mode.HANG and self._ramp_steps * CONTROL_DT >= self.config.hang_ramp_s

    def _require(self, wanted: Mode, *allowed: Mode) -> None:
        if self.fault is not None:
            raise RobotError(f"{wanted.value}: refused, a fault is latched ({self.fault}); reset it first")
        if self.held and wanted is not Mode.BRAKE:
            raise RobotError(
                f"{wanted.value}: refused, held by {', '.join(hold_names(self.held))}; reset when it is over"
            )
        if self.mode not in allowed:
            names = " or ".join(mode.value for mode in allowed)
            raise RobotError(f"{wanted.value}: refused in {self.mode.value}; only from {names}")

    def _planned(self, state: RobotState, attempt: int) -> PlannedStop:
        assert self._plan_stop is not None
        plan = partial(self._plan_stop, state, self.policy.present_frame)
        return plan_with(plan, attempt, in_background=self.config.plans_in_background)

    def _take_stop(self, state: RobotState) -> None:
        """Follows the planned stop from where it has got to by now, once it is there."""
        stop = self._stop
        if stop is None or not stop.future.done():
            return
        error = stop.future.exception()
        if error is None:
            self._follow(Mode.BRAKE, stop.future.result(), frame=stop.age)
        elif stop.age == 0:  # just asked for: the robot has not moved on yet
            return
        elif stop.attempt < self.config.stop_attempts:
            self._stop = self._planned(state, stop.attempt + 1)
            self._take_stop(state)
        else:
            _LOG.warning("no stop could be planned (%s); blending to standing", error)
            self._to_stand(self.policy.present_frame)

    def _follow(self, mode: Mode, reference: Reference, *, lead: int = 0, frame: int = 0) -> None:
        self.policy.follow(reference, frame)
        self._enter(mode, lead)

    def _enter(self, mode: Mode, lead: int) -> None:
        self._stop = None
        self._lead = lead
        self._task_guard.reset()
        self.mode = mode

    def _to_stand(self, present: ReferenceFrame) -> None:
        goal = still(self._stand)
        align_feet(goal, present)
        bridge = blend(present, goal.frame(0), self.config.blend)
        self._follow(Mode.STAND, ChainedReference(bridge, goal))

    def _present_pose(self, state: RobotState) -> ReferenceFrame:
        """The frame followed now, moved under the robot: no jump in posture, and drift is forgiven."""
        reference = still(self.policy.present_frame)
        reference.align(*self._anchor.world_pose(state), 0)
        return reference.frame(0)

    def _track(self, state: RobotState) -> LowCommand:
        try:
            self.output = output = self.policy.step(state)
        except BmError as error:
            self.latch(Fault("policy_error", Reaction.DAMPING, self._steps, str(error), source="policy"))
            return self._low(state, q=_ZERO, kp=_ZERO, kd=_ZERO)
        return self._low(state, q=output.q, kp=output.kp, kd=output.kd)

    def _hang(self, state: RobotState) -> LowCommand:
        self._ramp_steps += 1
        fraction = min(1.0, self._ramp_steps * CONTROL_DT / self.config.hang_ramp_s)
        target = self._ramp_start + fraction * (G1.default_joint_pos - self._ramp_start)
        return self._low(state, q=target, kp=G1.kp, kd=G1.kd)

    def _low(self, state: RobotState, *, q: np.ndarray, kp: np.ndarray, kd: np.ndarray) -> LowCommand:
        return LowCommand(seq=self._steps, state_seq=state.seq, q=q, dq=_ZERO, tau=_ZERO, kp=kp, kd=kd)
