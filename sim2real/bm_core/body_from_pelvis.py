"""Where a link of the robot is, seen from the pelvis: forward kinematics of one chain in every control step."""

from __future__ import annotations

from math import cos, sin

import numpy as np
from numpy.typing import NDArray

from bm_core import rotations_single as single
from bm_core.kinematics import KinematicTree, g1_kinematics
from bm_core.state import RobotState


class BodyFromPelvis:
    """Pose of one link from the pelvis and the joints, on Python floats: some 10 us instead of 130 for the torso."""

    def __init__(self, body: str, tree: KinematicTree | None = None) -> None:
        chain = (tree or g1_kinematics()).chain(body)
        self._links = [
            (link.pos.tolist(), _unless_identity(link.quat.tolist()), axis, single.coordinate_axis(axis), link.joint)
            for link, axis in ((link, link.axis.tolist()) for link in chain)
        ]

    def relative(self, joint_pos: NDArray[np.float64]) -> tuple[single.Vector, single.Quat]:
        """Position (m) and orientation of the link in the pelvis frame; joint_pos (29,) rad, canonical order."""
        pos: single.Vector = (0.0, 0.0, 0.0)
        quat: single.Quat = (1.0, 0.0, 0.0, 0.0)
        angles = joint_pos.tolist()
        for offset, turn, axis, _, joint in self._links:
            step = single.rotate(quat, offset)
            pos = (pos[0] + step[0], pos[1] + step[1], pos[2] + step[2])
            joint_quat = single.from_axis_angle(axis, angles[joint])
            quat = single.multiply(quat, joint_quat if turn is None else single.multiply(turn, joint_quat))
        return pos, quat

    def along(self, direction: single.Vector, joint_pos: NDArray[np.float64]) -> float:
        """Component (m) of the link's position along a `direction` of the pelvis frame: with "up", its height.

        The direction is turned into one link's frame after the other instead of the links into the pelvis's, which
        needs no orientations: the task guard asks for four heights in every control step.
        """
        x, y, z = direction
        total = 0.0
        angles = joint_pos.tolist()
        for offset, turn, axis, coordinate, joint in self._links:
            total += x * offset[0] + y * offset[1] + z * offset[2]
            if turn is not None:
                x, y, z = single.rotate_inverse(turn, (x, y, z))
            if coordinate is None:
                x, y, z = single.rotate_inverse(single.from_axis_angle(axis, angles[joint]), (x, y, z))
                continue
            c, s = cos(angles[joint]), sin(angles[joint])
            if coordinate == 0:
                y, z = c * y + s * z, c * z - s * y
            elif coordinate == 1:
                x, z = c * x - s * z, c * z + s * x
            else:
                x, y = c * x + s * y, c * y - s * x
        return total

    def world_pose(self, state: RobotState) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Position (3,) m and orientation (4,) in the world, for MotionReference.align and retarget_bodies.

        Without an estimate of the pelvis position the link is placed as if the pelvis were at the origin.
        """
        pelvis = state.pelvis_quat_w.tolist()
        pos, quat = self.relative(state.joint_pos)
        origin = np.zeros(3) if state.pelvis_pos_w is None else state.pelvis_pos_w
        return origin + single.rotate(pelvis, pos), np.array(single.multiply(pelvis, quat))


def _unless_identity(turn: single.Quat) -> single.Quat | None:
    return None if tuple(turn) == (1.0, 0.0, 0.0, 0.0) else turn
