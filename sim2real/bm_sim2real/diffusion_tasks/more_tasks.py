"""Guided tasks beyond the first four: transitions of skill, keyframes, the loss of the planner."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial

import numpy as np

from bm_core.diffusion.contract import DiffusionContract
from bm_core.diffusion.guidance.goal import GuidanceGoal
from bm_core.diffusion.guidance.keyframe import Keyframes
from bm_core.diffusion.trajectory import RobotTrajectory
from bm_core.g1 import CONTROL_DT
from bm_core.locomotion.generator import generate
from bm_core.motion import clip_from_qpos
from bm_sim2real.diffusion_tasks.guided_task import GuidedTask
from bm_sim2real.diffusion_tasks.transitions import TRANSITIONS, judge_transitions
from bm_sim2real.guidance.planar_state import PlanarState
from bm_sim2real.guidance.sources import ScriptedVelocity
from bm_sim2real.planning.episode import TaskStart, Verdict
from bm_sim2real.planning.interrupted import InterruptedSource
from bm_sim2real.planning.machine import GuidedConfig


class TransitionsTask(GuidedTask):
    """Walk, stand, turn, walk back, step aside, run through all of them by velocity alone."""

    def __init__(self, seed: int, contract: DiffusionContract) -> None:
        segments = [(seconds, command) for _, seconds, command in TRANSITIONS]
        super().__init__(contract, ScriptedVelocity(segments))
        self.seconds = sum(seconds for seconds, _ in segments)

    def judge(self) -> Verdict:
        results = judge_transitions(self.track)
        missed = [result.name for result in results if not result.follows]
        values = {"transitions": [asdict(result) for result in results]}
        return Verdict(success=not missed, detail=f"not followed: {', '.join(missed)}" if missed else "", values=values)


class KeyframeSource:
    """Keyframes of a motion whose time 0 is the first question."""

    def __init__(self, times: np.ndarray, trajectory: RobotTrajectory) -> None:
        self._times, self._trajectory = times, trajectory
        self._goal: GuidanceGoal | None = None

    def goal(self, state: PlanarState) -> GuidanceGoal:
        if self._goal is None:
            keyframes = Keyframes(times=self._times + state.time, trajectory=self._trajectory)
            self._goal = GuidanceGoal(keyframes=keyframes)
        return self._goal


class InBetweenTask(GuidedTask):
    """A walk of which only every fifth token (0.2 s, as in BeyondMimic v4) is given; what lies between is the model's.

    Success: the pelvis is within 0.3 m of the keyframes, on the mean over the run.
    """

    seconds = 8.0
    EVERY_S = 0.2
    WITHIN_M = 0.3

    def __init__(self, seed: int, contract: DiffusionContract) -> None:
        rng = np.random.default_rng([seed, 2])
        speed, turn = float(rng.uniform(0.3, 0.7)), float(rng.uniform(-0.3, 0.3))
        steps = round((self.seconds + 2.0) / CONTROL_DT)
        motion = generate(np.tile([speed, 0.0, turn], (steps, 1)))
        fps = 1.0 / CONTROL_DT
        clip = clip_from_qpos("in-between", motion.root_pos, motion.root_quat, motion.joint_pos, fps, made_by="runtime")
        frames = np.arange(0, steps, round(self.EVERY_S / CONTROL_DT))
        trajectory = RobotTrajectory.from_clip(clip).take(frames)
        self._wanted = np.asarray(clip.root_pos)[:, :2]
        super().__init__(contract, KeyframeSource(frames * CONTROL_DT, trajectory))

    def judge(self) -> Verdict:
        track = self.track
        error = np.linalg.norm(track.pos_xy - self._wanted[: len(track.times)], axis=1)
        mean = float(error.mean()) if len(error) else float("nan")
        detail = "" if mean <= self.WITHIN_M else f"{mean:.2f} m off its keyframes"
        return Verdict(success=not detail, detail=detail, values={"root_error_m": mean})


class PlannerKilledTask(GuidedTask):
    """The planner dies while the robot walks; success: it stands 6 s later."""

    WALK_S = 3.0
    SPREAD_S = 1.0
    """A gait cycle and more: it dies in any phase."""
    AFTER_S = 6.0
    late_steps: int | None = None

    def __init__(self, seed: int, contract: DiffusionContract) -> None:
        rng = np.random.default_rng([seed, 3])
        speed, turn = float(rng.uniform(0.3, 0.8)), float(rng.uniform(-0.3, 0.3))
        self._at = round((self.WALK_S + rng.uniform(0.0, self.SPREAD_S)) / CONTROL_DT)
        super().__init__(contract, ScriptedVelocity([(60.0, (speed, 0.0, turn))]))
        # The planner's time begins with the first plan, when the tracker has walked the robot off.
        self._at_time = GuidedConfig().start_s + self._at * CONTROL_DT
        self.seconds = self._at_time + self.AFTER_S

    def start(self) -> TaskStart:
        sabotage = partial(InterruptedSource, at=self._at, late_steps=self.late_steps)
        start = super().start()
        return TaskStart(seconds=start.seconds, sabotage=sabotage)

    def judge(self) -> Verdict:
        track = self.track
        last = track.speed[-round(1.0 / CONTROL_DT) :]
        stands = len(track.times) >= round(self.seconds / CONTROL_DT) - 1 and bool((last < 0.1).all())
        end = round(self._at_time / CONTROL_DT)
        before = track.speed[end - 50 : end]
        walked = float(np.median(before)) if len(before) else 0.0
        detail = "" if stands else "does not stand"
        return Verdict(success=stands, detail=detail, values={"speed_before": walked}, may_lose_plans=True)


class PlannerLateTask(PlannerKilledTask):
    """From a moment on every plan comes 0.5 s late, behind the horizon that it was made for."""

    late_steps = 25
