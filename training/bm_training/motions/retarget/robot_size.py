"""Segment lengths of the G1 and of the human, and what scales between them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bm_core.g1 import G1
from bm_core.kinematics import g1_kinematics
from bm_training.motions.retarget.capture import FOOT_POINTS, HumanCapture
from bm_training.motions.retarget.contacts import SIDES

Array = NDArray[np.floating]

SOLE_RADIUS = 0.01
"""Of the G1's sole capsules, m."""
ANKLE_HEIGHT = 0.035
"""Of the ankle_roll_link origin above the floor when the G1 stands flat, m."""
G1_FOOT_POINTS = {"heel": np.array([-0.054, 0.0, -0.025]), "toe": np.array([0.132, 0.0, -0.025])}
"""Centres of the ends of the sole's middle capsule in the ankle_roll_link frame, m."""
SOLE_OUTLINE = np.array(
    [
        (x, sign * y, -0.025)
        for x, y in ((-0.054, 0.0), (-0.044, 0.018), (0.05, 0.026), (0.1, 0.026), (0.123, 0.018), (0.132, 0.0))
        for sign in (1.0, -1.0)
    ]
)
"""Centres of the outermost capsule ends of the sole, m."""


@dataclass(frozen=True, kw_only=True)
class RobotSize:
    """Lengths of the G1 in its zero pose, m. Hips are the hip_roll links, shoulders the shoulder_roll links."""

    hip_centre: Array
    """Middle between the hips, pelvis frame (3,)."""
    half_hip_width: float
    thigh: float
    leg: float
    """Hip to ankle_roll_link with a straight knee."""
    torso_origin: Array
    """torso_link in the pelvis frame with a straight waist (3,)."""
    shoulder: dict[str, Array]
    """Side -> shoulder in the torso frame (3,)."""
    upper_arm: float
    """Shoulder to elbow_link."""
    forearm: float
    """elbow_link to wrist_yaw_link."""

    def hip(self, sign: float) -> Array:
        """Left (+1) or right (-1) hip in the pelvis frame, (3,)."""
        return self.hip_centre + np.array([0.0, sign * self.half_hip_width, 0.0])


@lru_cache(maxsize=1)
def g1_size() -> RobotSize:
    """Measured once by forward kinematics of the zero pose, where the G1's leg is straight."""
    pos, _ = g1_kinematics().forward(np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0]), np.zeros(len(G1.joints)))
    at = {name: pos[index] for name, index in G1.body_index.items()}
    hips = [at[f"{side}_hip_roll_link"] for side in SIDES]
    return RobotSize(
        hip_centre=0.5 * (hips[0] + hips[1]),
        half_hip_width=0.5 * float(np.linalg.norm(hips[0] - hips[1])),
        thigh=_distance(hips[0], at["left_knee_link"]),
        leg=_distance(hips[0], at["left_ankle_roll_link"]),
        torso_origin=at["torso_link"],
        shoulder={side: at[f"{side}_shoulder_roll_link"] - at["torso_link"] for side in SIDES},
        upper_arm=_distance(at["left_shoulder_roll_link"], at["left_elbow_link"]),
        forearm=_distance(at["left_elbow_link"], at["left_wrist_yaw_link"]),
    )


def _distance(first: Array, second: Array) -> float:
    return float(np.linalg.norm(first - second))


@dataclass(frozen=True, kw_only=True)
class HumanSize:
    """Lengths of the captured human, m (medians over time and sides)."""

    leg: float
    """Thigh plus shin."""
    half_hip_width: float
    ankle_height: float
    """Of the foot's origin above a flat sole."""


def human_size(capture: HumanCapture) -> HumanSize:
    """Measured from the link origins."""

    def length(first: str, second: str) -> float:
        return float(np.median(np.linalg.norm(capture.pos(first) - capture.pos(second), axis=-1)))

    legs = [length(f"{side}_thigh", f"{side}_shin") + length(f"{side}_shin", f"{side}_foot") for side in SIDES]
    return HumanSize(
        leg=0.5 * sum(legs),
        half_hip_width=0.5 * length("left_thigh", "right_thigh"),
        ankle_height=-float(FOOT_POINTS["heel"][2]),
    )
