"""The G1 as lines between its link origins, for machines without OpenGL. Same camera and methods as MujocoArtist."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bm_core.g1 import ANCHOR_BODY, G1, ROOT_BODY
from bm_core.kinematics import g1_kinematics
from bm_core.rotations import quat_rotate

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

    from bm_sim2real.markers import Marker
    from bm_sim2real.rendering import Camera

Array = NDArray[np.floating]
Image = NDArray[np.uint8]

_FIELD_OF_VIEW = np.radians(45.0)
"""Vertical, MuJoCo's default."""
_NEAR = 0.2
"""m; what is closer to the camera is left out."""
_OVERSAMPLING = 2

# What has a length beyond the last link origin of its limb: body, offsets in its frame in m, drawn one after the other.
_ENDS = {
    "left_ankle_roll_link": ((-0.05, 0.0, -0.035), (0.13, 0.0, -0.035)),
    "right_ankle_roll_link": ((-0.05, 0.0, -0.035), (0.13, 0.0, -0.035)),
    "left_wrist_yaw_link": ((0.13, 0.0, 0.0),),
    "right_wrist_yaw_link": ((0.13, 0.0, 0.0),),
    ANCHOR_BODY: ((0.0, 0.0, 0.3), (0.0, 0.0, 0.45)),
}
_COLORS = {"left": (200, 60, 50), "right": (40, 90, 190), "middle": (60, 60, 60)}
_REFERENCE_COLOR = (150, 190, 215)


def _chains() -> list[tuple[str, tuple[str, ...]]]:
    """Side and bodies of each limb, from the trunk outwards."""
    waist = (ROOT_BODY, "waist_yaw_link", "waist_roll_link", ANCHOR_BODY)
    chains: list[tuple[str, tuple[str, ...]]] = [("middle", waist)]
    for side in ("left", "right"):
        own = [name for name in G1.body_names if name.startswith(side)]
        arm_start = next(index for index, name in enumerate(own) if "shoulder" in name)
        chains += [(side, (ROOT_BODY, *own[:arm_start])), (side, (ANCHOR_BODY, *own[arm_start:]))]
    return chains


class StickFigureArtist:
    """Draws with Pillow; left limbs red, right ones blue, the reference pale."""

    def __init__(self, size: tuple[int, int], camera: Camera) -> None:
        self._size = size
        azimuth, elevation = np.radians(camera.azimuth), np.radians(camera.elevation)
        self._distance = camera.distance
        flat = np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
        self._forward = np.cos(elevation) * flat + np.sin(elevation) * np.array([0.0, 0.0, 1.0])
        self._right = np.array([flat[1], -flat[0], 0.0])
        self._up = np.cross(self._right, self._forward)
        self._chains = _chains()

    def draw(self, qpos: Array, reference: Array | None, look_at: Array, markers: Sequence[Marker] = ()) -> Image:
        """One picture (height, width, 3)."""
        from PIL import Image as Pillow
        from PIL.ImageDraw import Draw

        canvas = Pillow.new("RGB", tuple(_OVERSAMPLING * side for side in self._size), (240, 242, 245))
        pen = Draw(canvas)
        self._draw_floor(pen, look_at)
        for marker in markers:
            self._draw_marker(pen, marker, look_at)
        if reference is not None:
            self._draw_robot(pen, reference, look_at, is_reference=True)
        self._draw_robot(pen, qpos, look_at, is_reference=False)
        return np.asarray(canvas.resize(self._size, Pillow.Resampling.LANCZOS), dtype=np.uint8)

    def close(self) -> None:
        """Nothing to give back; here because every artist has it."""

    def _draw_floor(self, pen: ImageDraw, look_at: Array) -> None:
        middle = np.round(look_at[:2] * 2.0) / 2.0
        reach = np.arange(-3.0, 3.01, 0.5)
        for shift in reach:
            along_x = np.stack([middle[0] + reach, np.full_like(reach, middle[1] + shift), np.zeros_like(reach)], -1)
            along_y = np.stack([np.full_like(reach, middle[0] + shift), middle[1] + reach, np.zeros_like(reach)], -1)
            for line in (along_x, along_y):
                self._draw_line(pen, line, look_at, (205, 210, 216), 1)

    def _draw_marker(self, pen: ImageDraw, marker: Marker, look_at: Array) -> None:
        """Its outline: rings at top and bottom, and what stands between them."""
        wide, deep = (marker.size[0], marker.size[1]) if marker.solid.value == "box" else (2 * marker.size[0],) * 2
        tall = {"box": marker.size[2], "cylinder": marker.size[1]}.get(marker.solid.value, 2 * marker.size[0])
        corners = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1], [1, 1]]) * [wide / 2, deep / 2]
        if marker.solid.value != "box":
            angle = np.linspace(0.0, 2.0 * np.pi, 13)
            corners = wide / 2 * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        cos, sin = np.cos(marker.yaw), np.sin(marker.yaw)
        ring = corners @ np.array([[cos, sin], [-sin, cos]]) + np.array(marker.center[:2])
        color = tuple(int(255 * part) for part in marker.rgba[:3])
        low, high = marker.center[2] - tall / 2, marker.center[2] + tall / 2
        for height in (low, high):
            self._draw_line(pen, np.column_stack([ring, np.full(len(ring), height)]), look_at, color, 2)
        for x, y in ring[: -1 : max(1, (len(ring) - 1) // 4)]:
            self._draw_line(pen, np.array([[x, y, low], [x, y, high]]), look_at, color, 2)

    def _draw_robot(self, pen: ImageDraw, qpos: Array, look_at: Array, *, is_reference: bool) -> None:
        pos, quat = g1_kinematics().forward(qpos[:3], qpos[3:7], qpos[7:])
        for side, names in self._chains:
            indices = [G1.body_index[name] for name in names]
            last = indices[-1]
            ends = [pos[last] + quat_rotate(quat[last], np.array(offset)) for offset in _ENDS[names[-1]]]
            line = np.array([*pos[indices], *ends])
            self._draw_line(pen, line, look_at, _REFERENCE_COLOR if is_reference else _COLORS[side], 4)

    def _draw_line(self, pen: ImageDraw, line: Array, look_at: Array, color: tuple[int, ...], width: int) -> None:
        relative = line - (look_at - self._distance * self._forward)
        depth = relative @ self._forward
        scale = 0.5 * self._size[1] * _OVERSAMPLING / np.tan(0.5 * _FIELD_OF_VIEW)
        for first, second in zip(range(len(line) - 1), range(1, len(line)), strict=True):
            if min(depth[first], depth[second]) < _NEAR:
                continue
            ends = []
            for index in (first, second):
                x = 0.5 * self._size[0] * _OVERSAMPLING + scale * (relative[index] @ self._right) / depth[index]
                y = 0.5 * self._size[1] * _OVERSAMPLING - scale * (relative[index] @ self._up) / depth[index]
                ends.append((x, y))
            pen.line(ends, fill=color, width=width * _OVERSAMPLING // 2)
