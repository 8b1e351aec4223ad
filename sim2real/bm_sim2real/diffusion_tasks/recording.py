"""One run again, with everything that is drawn: lockstep runs repeat themselves exactly."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bm_sim2real.diffusion_tasks.guided_task import GuidedTask
from bm_sim2real.diffusion_tasks.tasks import LaneTask, WaypointTask
from bm_sim2real.markers import Marker, goal_markers, obstacle_markers
from bm_sim2real.planning.episode import EpisodeResult, Task, run_episode
from bm_sim2real.planning.evaluation import DiffusionEvaluation, load_pilot, task_maker
from bm_sim2real.planning.machine import GuidedMachine
from bm_sim2real.plots_map import MapGoal, MapPicture
from bm_sim2real.policies.tracker import TrackerPolicy
from bm_sim2real.robots.ground_truth import GroundTruth

Array = NDArray[np.floating]

PLAN_EVERY = 50
"""Control steps between two plans on the map."""


@dataclass
class RunRecording:
    """One run, step by step."""

    task: Task
    result: EpisodeResult | None = None
    qpos: list[Array] = field(default_factory=list)
    """(36,) each: root position m, quaternion wxyz, joints rad"""
    markers: list[list[Marker]] = field(default_factory=list)
    """What stands beside the robot"""
    plans: list[Array] = field(default_factory=list)
    """(n, 2) m, one a second"""
    commands: list[tuple[float, float, float]] = field(default_factory=list)
    """Velocities asked for; NaN where none was"""

    def on_step(self, time: float, truth: GroundTruth, machine: GuidedMachine) -> None:
        """For run_episode."""
        self.qpos.append(np.concatenate([truth.body_pos_w[0], truth.body_quat_w[0], truth.joint_pos]))
        plan = machine.pilot.plan if machine.is_guided else None
        ahead = None if plan is None else plan.trajectory().root_pos_w[plan.layout.present :, :2]
        if ahead is not None and (len(self.qpos) - 1) % PLAN_EVERY == 0:
            self.plans.append(ahead)
        if not isinstance(self.task, GuidedTask):
            return
        # What the robot is not told (the control of the obstacle task) is in the way all the same.
        shown = [marker for obstacle in self.task.obstacles_at(time) for marker in obstacle_markers(obstacle)]
        self.markers.append([*shown, *goal_markers(self.task.goal, ahead, with_obstacles=False)])
        wish = self.task.goal.velocity
        self.commands.append((np.nan, np.nan, np.nan) if wish is None else wish)

    def map_picture(self) -> MapPicture | None:
        """From above; None for tasks without goals and for runs that never began."""
        if not isinstance(self.task, GuidedTask) or not self.task.states:
            return None
        track, last = self.task.track, self.task.states[-1].time
        lane = self.task.lane if isinstance(self.task, LaneTask) else None
        pillars = (
            [] if lane is None else [(*center, lane.config.radius) for center in lane.centers_at(last)[0].tolist()]
        )
        moved = []
        if lane is not None and lane.config.speed > 0.0:
            earlier = np.arange(0.0, last, 1.0)
            moved = [(*c, lane.config.radius) for t in earlier for c in lane.centers_at(float(t))[0].tolist()]
        return MapPicture(
            path=track.pos_xy, yaw=track.yaw, plans=self.plans, goals=self._goals(), pillars=pillars, moved=moved
        )

    def _goals(self) -> list[MapGoal]:
        values: Any = {} if self.result is None else self.result.values
        if isinstance(self.task, WaypointTask):
            reached = [waypoint["reached"] for waypoint in values.get("waypoints", [])]
            reached += [False] * (len(self.task.places) - len(reached))
            return [
                MapGoal(place=place, radius=0.3, label=str(k + 1), reached=done)
                for k, (place, done) in enumerate(zip(self.task.places, reached, strict=True))
            ]
        if isinstance(self.task, LaneTask):
            radius = self.task.goal_radius
            return [MapGoal(place=self.task.lane.goal, radius=radius, reached=bool(values.get("reached")))]
        return []


def record_run(config: DiffusionEvaluation, seed: int) -> RunRecording:
    """Play one run of an evaluation again and keep it."""
    pilot = load_pilot(config.policy, config.pilot)
    task = task_maker(config.task)(seed, pilot.contract)
    recording = RunRecording(task=task)
    tracker = TrackerPolicy.load(config.tracker)
    recording.result = run_episode(pilot, tracker, task, seed, config.episode, on_step=recording.on_step)
    return recording
