"""Joints and links of a G1 at one instant: of the robot, of a reference, of a plan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bm_core.g1 import ANCHOR_BODY, G1

Array = NDArray[np.float64]

_ANCHOR = G1.body_index[ANCHOR_BODY]


@dataclass(frozen=True)
class BodyState:
    """World frame, link origins; the joints and the 30 bodies in the order of bm_core.g1."""

    joint_pos: Array
    """(29,) rad"""
    joint_vel: Array
    """(29,) rad/s"""
    body_pos_w: Array
    """(30, 3) m"""
    body_quat_w: Array
    """(30, 4) wxyz"""
    body_lin_vel_w: Array
    """(30, 3) m/s"""
    body_ang_vel_w: Array
    """(30, 3) rad/s"""

    @property
    def anchor_pos_w(self) -> Array:
        """(3,) m, origin of torso_link."""
        return self.body_pos_w[_ANCHOR]

    @property
    def anchor_quat_w(self) -> Array:
        """(4,) wxyz of torso_link."""
        return self.body_quat_w[_ANCHOR]
