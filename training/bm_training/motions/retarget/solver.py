"""Inverse kinematics of the G1 with mink: a first pass follows all targets, more of them get the feet exactly right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import mink
import mujoco
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from bm_core.g1 import ANCHOR_BODY, FEET, G1, ROOT_BODY, mjcf_path
from bm_core.rotations import quat_normalize
from bm_training.motions.retarget.conditioning import low_pass, low_pass_quat
from bm_training.motions.retarget.contacts import SIDES, Mask
from bm_training.motions.retarget.targets import BodyTargets

Array = NDArray[np.floating]

_GRIP_SECONDS = 0.04
"""Standard deviation of the change between stance and swing costs, s; it is over before a contact begins."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class SolverCosts:
    """Weights of the tasks, per m or per rad of error; only their ratios matter."""

    stance_foot: tuple[float, float] = (100.0, 30.0)
    """Position, orientation of a foot with a point in contact."""
    swing_foot: tuple[float, float] = (50.0, 3.0)
    """Position, orientation of a foot in the air: human feet point farther down than the G1's ankle can."""
    foot_roll: float = 0.3
    """Share of the orientation cost about the foot's long axis: the sole is narrow, the ankle's roll range small."""
    pelvis: tuple[float, float] = (10.0, 5.0)
    torso: float = 5.0
    """Orientation."""
    knee: float = 1.0
    elbow: float = 4.0
    wrist: float = 4.0
    posture: float = 0.05
    """Towards the default pose: decides what no target does."""
    wrist_posture: float = 0.5
    """The same for the three wrist joints: a capture without hands must not turn them."""
    continuity: float = 0.3
    """Towards the frame before: near a singular arm, targets alone leave the shoulder free to whirl."""
    refined_pelvis: tuple[float, float] = (300.0, 100.0)
    """In the later passes, towards the smoothed one before: a jerk of the pelvis is a force that no foot can give."""
    refined_posture: float = 2.0
    """The same for the joints."""


@dataclass(frozen=True, kw_only=True)
class SolverConfig:
    """How the solver iterates."""

    costs: SolverCosts = SolverCosts()
    first_iterations: int = 100
    """For frame 0, which starts from the default pose."""
    iterations: int = 12
    """At most, for every later frame, which starts from the one before."""
    tolerance: float = 1e-4
    """Largest joint step in rad at which a frame counts as solved."""
    refinements: int = 4
    """Passes after the first."""
    cutoff: float = 5.0
    """Low-pass on the joints between the first pass and the others, Hz."""
    pelvis_cutoff: float = 4.0
    """Low-pass on the pelvis targets that the later passes aim at, Hz."""
    correction_cutoff: float = 3.0
    """Low-pass on what each pass gave up to keep the feet in place, before the next one aims at it, Hz."""
    limit_margin: float = 0.02
    """Distance kept from the joint limits, rad."""
    clearance: float = 0.01
    """Distance kept between the arms and the rest of the body, m."""


@dataclass(frozen=True, kw_only=True)
class SolvedMotion:
    """Joint angles and root pose over time."""

    root_pos: Array
    """(T, 3) m"""
    root_quat: Array
    """(T, 4)"""
    joint_pos: Array
    """(T, 29) rad"""


class _PointTask(mink.FrameTask):
    """Brings the origin of a link to a point, whatever the link's orientation."""

    def __init__(self, body: str, cost: float) -> None:
        super().__init__(body, "body", position_cost=cost, orientation_cost=0.0)
        self._body = body
        self._point = np.zeros(3)

    def aim(self, point: Array) -> None:
        """Sets the point, (3,) m."""
        self._point = point

    def take_orientation(self, configuration: mink.Configuration) -> None:
        """Makes the link's present orientation the wanted one, before every step.

        mink's error is the logarithm of the whole pose: any other orientation, even at no cost, bends the way there.
        """
        rotation = configuration.get_transform_frame_to_world(self._body, "body").rotation()
        self.set_target(mink.SE3.from_rotation_and_translation(rotation, self._point))


class RetargetSolver:
    """Solves frame after frame; deterministic, each frame warm-started by the one before."""

    def __init__(self, config: SolverConfig | None = None) -> None:
        self._config = config or SolverConfig()
        self._model = mujoco.MjModel.from_xml_path(str(mjcf_path()))
        costs = self._config.costs
        self._pelvis = _frame_task(ROOT_BODY, *costs.pelvis)
        self._torso = _frame_task(ANCHOR_BODY, 0.0, costs.torso)
        self._feet = [_frame_task(name, *costs.swing_foot) for name in FEET]
        self._knees = [_PointTask(f"{side}_knee_link", costs.knee) for side in SIDES]
        self._elbows = [_PointTask(f"{side}_elbow_link", costs.elbow) for side in SIDES]
        self._wrists = [_PointTask(f"{side}_wrist_yaw_link", costs.wrist) for side in SIDES]
        self._posture = mink.PostureTask(self._model, cost=costs.posture)
        self._continuity = mink.PostureTask(self._model, cost=costs.continuity)
        self._limits = [
            mink.ConfigurationLimit(self._model, gain=0.95, min_distance_from_limits=self._config.limit_margin),
            mink.CollisionAvoidanceLimit(
                self._model,
                _collision_pairs(),
                minimum_distance_from_collisions=self._config.clearance,
                collision_detection_distance=self._config.clearance + 0.05,
            ),
        ]

    def solve(self, targets: BodyTargets, contact: Mask, fps: float, progress: Progress | None = None) -> SolvedMotion:
        """Joint angles that follow the targets; soles in contact (T, 2, 2) follow theirs almost exactly."""
        total = targets.num_frames * (1 + self._config.refinements)
        report = progress or (lambda done, of: None)
        default = np.concatenate([targets.pelvis_pos[0], targets.pelvis_quat[0], G1.default_joint_pos])
        grip = _grip(contact, fps)
        qpos = self._follow(targets, grip, default, lambda frame: report(frame, total))
        aim = np.concatenate(
            [
                low_pass(targets.pelvis_pos, self._config.pelvis_cutoff, fps),
                low_pass_quat(targets.pelvis_quat, self._config.pelvis_cutoff, fps),
                low_pass(qpos[:, 7:], self._config.cutoff, fps),
            ],
            axis=1,
        )
        for index in range(self._config.refinements):
            # The correction alone is smoothed: the motion itself would lose its bounce, pass after pass.
            correction = _same_signs(qpos, aim) - aim
            wish = aim + low_pass(correction, self._config.correction_cutoff, fps)
            wish[:, 3:7] = quat_normalize(wish[:, 3:7])
            done = targets.num_frames * (1 + index)
            qpos = self._refine(targets, grip, wish, qpos, lambda frame, done=done: report(done + frame, total))
        return SolvedMotion(root_pos=qpos[:, :3], root_quat=quat_normalize(qpos[:, 3:7]), joint_pos=qpos[:, 7:])

    def _follow(self, targets: BodyTargets, grip: Array, default: Array, report: Callable[[int], None]) -> Array:
        """First pass, (T, 36): every target has a say."""
        self._posture.target_q = default
        _set_costs(self._pelvis, self._config.costs.pelvis)
        self._posture.set_cost(self._posture_cost())
        links = [self._pelvis, self._torso, *self._feet, *self._knees, *self._elbows, *self._wrists]
        configuration = mink.Configuration(self._model, q=default)
        solved = []
        for frame in range(targets.num_frames):
            self._aim_feet(targets, grip, frame)
            self._pelvis.set_target(_se3(targets.pelvis_pos[frame], targets.pelvis_quat[frame]))
            self._torso.set_target(_se3(np.zeros(3), targets.torso_quat[frame]))
            for side in range(2):
                self._knees[side].aim(targets.knee_pos[frame, side])
                self._elbows[side].aim(targets.elbow_pos[frame, side])
                self._wrists[side].aim(targets.wrist_pos[frame, side])
            if frame:
                self._continuity.set_target(solved[-1])
                tasks = [*links, self._posture, self._continuity]
                solved.append(self._iterate(configuration, tasks, self._config.iterations))
            else:
                solved.append(self._iterate(configuration, [*links, self._posture], self._config.first_iterations))
            report(frame + 1)
        return np.stack(solved)

    def _refine(
        self, targets: BodyTargets, grip: Array, wish: Array, before: Array, report: Callable[[int], None]
    ) -> Array:
        """Second pass, (T, 36): the smoothed first pass, with the legs bent so that the feet are where they belong."""
        _set_costs(self._pelvis, self._config.costs.refined_pelvis)
        self._posture.set_cost(self._config.costs.refined_posture)
        tasks = [self._pelvis, *self._feet, self._posture]
        solved = []
        for frame, wanted in enumerate(wish):
            # Started from this frame's last solution: what comes out cannot drift from frame to frame, and the start is
            # free of collisions. From inside a collision mink's limit would not lead out.
            configuration = mink.Configuration(self._model, q=before[frame])
            self._aim_feet(targets, grip, frame)
            self._pelvis.set_target(_se3(wanted[:3], wanted[3:7]))
            self._posture.set_target(wanted)
            solved.append(self._iterate(configuration, tasks, self._config.iterations))
            report(frame + 1)
        return np.stack(solved)

    def _aim_feet(self, targets: BodyTargets, grip: Array, frame: int) -> None:
        costs = self._config.costs
        for side, task in enumerate(self._feet):
            swing, stance = np.array(costs.swing_foot), np.array(costs.stance_foot)
            position, orientation = swing * (stance / swing) ** grip[frame, side]
            task.set_position_cost(position)
            task.set_orientation_cost([costs.foot_roll * orientation, orientation, orientation])
            task.set_target(_se3(targets.foot_pos[frame, side], targets.foot_quat[frame, side]))

    def _iterate(self, configuration: mink.Configuration, tasks: list[mink.Task], iterations: int) -> Array:
        points = [task for task in tasks if isinstance(task, _PointTask)]
        for _ in range(iterations):
            for task in points:
                task.take_orientation(configuration)
            step = mink.solve_ik(configuration, tasks, 1.0, solver="daqp", damping=1e-4, limits=self._limits)
            configuration.integrate_inplace(step, 1.0)
            if np.abs(step).max() < self._config.tolerance:
                break
        return configuration.q.copy()

    def _posture_cost(self) -> Array:
        cost = np.full(self._model.nv, self._config.costs.posture)
        cost[6:][["wrist" in name for name in G1.joint_names]] = self._config.costs.wrist_posture
        return cost


def _collision_pairs() -> list[tuple[list[str], list[str]]]:
    """Each arm against legs, trunk and the other arm, as names of collision shapes."""

    def shapes(side: str, *parts: str) -> list[str]:
        return [f"{side}_{part}_collision" for part in parts]

    legs = [shape for side in SIDES for shape in shapes(side, "hip", "thigh")]
    lower_arms = {side: shapes(side, "forearm", "wrist", "hand") for side in SIDES}
    trunk = ["pelvis_collision", "torso_collision", "head_collision"]
    own = [(lower_arms[side], [*legs, *trunk]) for side in SIDES]
    return [*own, (lower_arms["left"], lower_arms["right"])]


def _grip(contact: Mask, fps: float) -> Array:
    """1 while a foot has a point down, 0 in mid-swing, smooth between: a jump of costs would be a jump of the pelvis.

    contact (T, 2, 2) -> (T, 2).
    """
    sigma = _GRIP_SECONDS * fps
    held = maximum_filter1d(np.any(contact, axis=-1).astype(np.float64), 4 * round(sigma) + 1, axis=0, mode="nearest")
    return gaussian_filter1d(held, sigma, axis=0, mode="nearest")


def _same_signs(qpos: Array, reference: Array) -> Array:
    """The same (T, 36) with each root quaternion on the hemisphere of the reference's."""
    result = qpos.copy()
    flips = np.sum(qpos[:, 3:7] * reference[:, 3:7], axis=1) < 0.0
    result[flips, 3:7] *= -1.0
    return result


def _frame_task(body: str, position_cost: float, orientation_cost: float) -> mink.FrameTask:
    return mink.FrameTask(body, "body", position_cost=position_cost, orientation_cost=orientation_cost)


def _set_costs(task: mink.FrameTask, costs: tuple[float, float]) -> None:
    task.set_position_cost(costs[0])
    task.set_orientation_cost(costs[1])


def _se3(pos: Array, quat: Array) -> mink.SE3:
    return mink.SE3(wxyz_xyz=np.concatenate([quat, pos]))
