"""The guided tasks of `bm eval diffusion`; each run is fixed by its seed."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from bm_core.diffusion.contract import DiffusionContract
from bm_core.diffusion.guidance.obstacle import Obstacle
from bm_sim2real.diffusion_tasks.guided_task import GuidedTask
from bm_sim2real.diffusion_tasks.lanes import Lane, LaneConfig, judge_lane, random_lane
from bm_sim2real.diffusion_tasks.velocity_rules import (
    JOYSTICK,
    SEGMENT_S,
    FollowRule,
    judge_segments,
    random_commands,
)
from bm_sim2real.diffusion_tasks.waypoint_rules import TIMEOUT_S, judge_waypoint, judge_waypoints, random_places
from bm_sim2real.guidance.arrival import Arrival, ArrivalRule
from bm_sim2real.guidance.obstacles_source import AmongObstacles
from bm_sim2real.guidance.sources import GoalSource, ScriptedVelocity, VelocityTowards, Waypoints
from bm_sim2real.planning.episode import Verdict

LANE_TIMEOUT_S = 30.0
LANE_WITHIN_M = 0.5
LANE_SPEED = 0.6
"""m/s of the velocity that steers along a lane."""
HOLD_S = 6.0
"""s that each random point of the velocity range is held."""


class JoystickTask(GuidedTask):
    """Forward, backward, turn left, turn right; 3 s each."""

    def __init__(self, seed: int, contract: DiffusionContract) -> None:
        self._segments = [(SEGMENT_S, command) for _, command in JOYSTICK]
        super().__init__(contract, ScriptedVelocity(self._segments))
        self.seconds = SEGMENT_S * len(JOYSTICK)

    def judge(self) -> Verdict:
        results = judge_segments(self.track, self._segments, 0.0)
        missed = [name for (name, _), result in zip(JOYSTICK, results, strict=True) if not result.follows]
        values = {
            "segments": [{"name": name, **asdict(result)} for (name, _), result in zip(JOYSTICK, results, strict=True)]
        }
        if np.isfinite(results[0].velocity_error):
            values["velocity_error"] = results[0].velocity_error  # type: ignore[assignment]
        return Verdict(success=not missed, detail=f"not followed: {', '.join(missed)}" if missed else "", values=values)


class VelocityRangeTask(GuidedTask):
    """One random point of the (vx, vy, wz) range from standing; run k is point k of a fixed list."""

    seconds = HOLD_S
    POINTS = 1000

    def __init__(self, seed: int, contract: DiffusionContract) -> None:
        self.command = random_commands(self.POINTS, 0)[seed % self.POINTS]
        super().__init__(contract, ScriptedVelocity([(HOLD_S, self.command)]))

    def judge(self) -> Verdict:
        rule = FollowRule(window_s=HOLD_S - 2.0)
        (result,) = judge_segments(self.track, [(HOLD_S, self.command)], 0.0, rule)
        values = {"command": self.command, "achieved": result.mean, "follows": result.follows}
        if np.isfinite(result.velocity_error):
            values["velocity_error"] = result.velocity_error
        return Verdict(success=result.follows, detail="" if result.follows else "not followed", values=values)


class WaypointTask(GuidedTask):
    """Four random goals within 4 m, each reached and stopped at within 20 s."""

    def __init__(self, seed: int, contract: DiffusionContract) -> None:
        self.places = random_places(seed)
        self._waypoints = Waypoints(self.places, timeout_s=TIMEOUT_S)
        super().__init__(contract, self._waypoints)
        self.seconds = TIMEOUT_S * len(self.places) + 1.0
        self.starts: list[float] = []
        """s at which each place became the goal."""

    def is_over(self, time: float) -> bool:
        if self._waypoints.index >= len(self.starts) and not self._waypoints.is_done:
            self.starts.append(time)
        return self._waypoints.is_done

    def judge(self) -> Verdict:
        end = float(self.track.times[-1]) if self.states else 0.0
        results = judge_waypoints(self.track, self.places, self.starts, end)
        missed = [str(k + 1) for k, result in enumerate(results) if not result.reached]
        reached = [result for result in results if result.reached]
        values = {
            "waypoints": [asdict(result) for result in results],
            "reached": len(reached),
            "seconds_per_goal": float(np.mean([r.seconds for r in reached])) if reached else None,
            "path_ratio": float(np.mean([r.path_m / r.straight_m for r in reached])) if reached else None,
        }
        return Verdict(success=not missed, detail=f"missed goal {', '.join(missed)}" if missed else "", values=values)


class LaneTask(GuidedTask):
    """Along a lane of pillars by velocity and obstacle costs."""

    sees_obstacles = True
    config = LaneConfig()
    goal_radius = LANE_WITHIN_M

    def __init__(self, seed: int, contract: DiffusionContract) -> None:
        self.lane: Lane = random_lane(seed, self.config)
        source = self._source()
        super().__init__(contract, AmongObstacles(source, self.obstacles_at) if self.sees_obstacles else source)
        self.seconds = LANE_TIMEOUT_S

    def _source(self) -> GoalSource:
        return VelocityTowards(self.lane.goal, speed=LANE_SPEED)

    def obstacles_at(self, time: float) -> tuple[Obstacle, ...]:
        return self.lane.obstacles_at(time)

    def is_over(self, time: float) -> bool:
        return float(np.linalg.norm(self.states[-1].pos_xy - self.lane.goal)) < LANE_WITHIN_M

    def judge(self) -> Verdict:
        result = judge_lane(self.track, self.lane, within=LANE_WITHIN_M, timeout_s=LANE_TIMEOUT_S)
        values = {**asdict(result), "centers": self.lane.centers.tolist()}
        return Verdict(success=result.success, detail=_lane_detail(result.reached, result.touched), values=values)


class LaneControlTask(LaneTask):
    """The control: the same lanes and velocities without the obstacle cost. Touching is expected."""

    sees_obstacles = False


class MovingLaneTask(LaneTask):
    """Pillars that cross the lane at 0.3 m/s."""

    config = LaneConfig(speed=0.3)


class WaypointLaneTask(LaneTask):
    """The same pillars with the waypoint cost and its arrival rule."""

    goal_radius = ArrivalRule().distance

    def _source(self) -> GoalSource:
        return Waypoints([self.lane.goal])

    def __init__(self, seed: int, contract: DiffusionContract) -> None:
        super().__init__(seed, contract)
        self._arrival = Arrival(ArrivalRule())

    def is_over(self, time: float) -> bool:
        state = self.states[-1]
        return self._arrival.step(time, float(np.linalg.norm(state.pos_xy - self.lane.goal)), state.speed)

    def judge(self) -> Verdict:
        track = self.track
        lane = judge_lane(track, self.lane, within=0.0, timeout_s=LANE_TIMEOUT_S)
        arrival = judge_waypoint(track, self.lane.goal, 0.0, LANE_TIMEOUT_S, ArrivalRule())
        values = {**asdict(lane), **asdict(arrival), "centers": self.lane.centers.tolist()}
        success = arrival.reached and not lane.touched
        return Verdict(success=success, detail=_lane_detail(arrival.reached, lane.touched), values=values)


def _lane_detail(reached: bool, touched: bool) -> str:
    problems = [*(["touched a pillar"] if touched else []), *([] if reached else ["goal not reached"])]
    return ", ".join(problems)
