"""The npz of whole_body_tracking and mjlab: joints and bodies in the order of whichever simulator wrote it.

Isaac writes breadth-first, MuJoCo depth-first, other importers something else, and nothing in the file tells which. So
the order is proven: root and joints go through our kinematics, and every body must come out where the file has it.
Velocities are not used: Isaac Lab's linear ones are of the centre of mass, ours of link origins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bm_core.clip_validation import QUAT_TOLERANCE
from bm_core.errors import ClipError
from bm_core.g1 import G1
from bm_core.joint_order import ISAAC_BODY_NAMES, ISAAC_JOINT_NAMES
from bm_core.kinematics import g1_kinematics
from bm_core.npz_file import number_array
from bm_core.rotations import quat_angle, quat_normalize, quat_wxyz_from_xyzw

Array = NDArray[np.floating]

POSITION_TOLERANCE = 0.02
"""m between a body in the file and in our kinematics."""
ROTATION_TOLERANCE = 0.1
"""rad; the last joint of a limb turns its link without moving the link's origin."""

_LAYOUTS = {
    "Isaac's breadth-first order": (ISAAC_JOINT_NAMES, ISAAC_BODY_NAMES),
    "MuJoCo's depth-first order": (G1.joint_names, G1.body_names),
}


@dataclass(frozen=True)
class Mismatch:
    """Where file and kinematics disagree most, in units of the tolerance."""

    severity: float
    body: str
    frame: int
    distance: float
    angle: float

    def __str__(self) -> str:
        return f"{self.body} is {100 * self.distance:.1f} cm and {self.angle:.2f} rad off at frame {self.frame}"


def read_nameless(label: str, arrays: dict[str, NDArray[Any]], quat: str | None) -> tuple[Array, Array, Array, str]:
    """Root position (T, 3), root quaternion wxyz (T, 4), canonical joints (T, 29), and the file's quaternion order.

    `quat` is the declared order of body_quat_w (None: wxyz, as both projects write). Raises ClipError naming the body
    that lies elsewhere.
    """
    joint_pos = number_array(label, arrays, "joint_pos")
    body_pos = number_array(label, arrays, "body_pos_w")
    body_quat = number_array(label, arrays, "body_quat_w")
    _check_shapes(label, joint_pos, body_pos, body_quat)
    body_quat = quat_normalize(body_quat)
    order = quat or "wxyz"
    wxyz = body_quat if order == "wxyz" else quat_wxyz_from_xyzw(body_quat)
    best = _best_layout(joint_pos, body_pos, wxyz)
    if best[1].severity > 1.0:
        raise ClipError(f"{label}: {_explain(joint_pos, body_pos, body_quat, order, best)}")
    return body_pos[:, 0], wxyz[:, 0], _canonical(joint_pos, _LAYOUTS[best[0]][0]), order


def worst_mismatch(body_pos: Array, body_quat: Array, fk_pos: Array, fk_quat: Array) -> Mismatch:
    """The body, among the 30 of the G1 in canonical order, that lies farthest from its place. All (T, 30, 3|4)."""
    distance = np.linalg.norm(body_pos - fk_pos, axis=-1)
    angle = quat_angle(body_quat, fk_quat)
    severity = np.maximum(distance / POSITION_TOLERANCE, angle / ROTATION_TOLERANCE)
    frame, body = np.unravel_index(int(np.argmax(severity)), severity.shape)
    return Mismatch(
        severity=float(severity[frame, body]),
        body=G1.body_names[body],
        frame=int(frame),
        distance=float(distance[frame, body]),
        angle=float(angle[frame, body]),
    )


def _best_layout(joint_pos: Array, body_pos: Array, body_quat: Array) -> tuple[str, Mismatch]:
    found = {}
    for layout, (joints, bodies) in _LAYOUTS.items():
        fk_pos, fk_quat = g1_kinematics().forward(body_pos[:, 0], body_quat[:, 0], _canonical(joint_pos, joints))
        columns = np.array([bodies.index(name) for name in G1.body_names])
        found[layout] = worst_mismatch(body_pos[:, columns], body_quat[:, columns], fk_pos, fk_quat)
    return min(found.items(), key=lambda item: item[1].severity)


def _canonical(joint_pos: Array, names: tuple[str, ...]) -> Array:
    return joint_pos[:, np.array([names.index(name) for name in G1.joint_names])]


def _explain(joint_pos: Array, body_pos: Array, body_quat: Array, order: str, best: tuple[str, Mismatch]) -> str:
    other = "xyzw" if order == "wxyz" else "wxyz"
    # Relative to the declared order the other one is a roll of the raw components.
    swapped = quat_wxyz_from_xyzw(body_quat) if other == "xyzw" else body_quat
    if _best_layout(joint_pos, body_pos, swapped)[1].severity <= 1.0:
        return f"body_quat_w is {other}, not {order}: all bodies agree with our kinematics then; give --quat {other}"
    return (
        f"{best[1]} ({100 * POSITION_TOLERANCE:g} cm, {ROTATION_TOLERANCE:g} rad tolerated) even in {best[0]}: "
        "another robot, or another joint or body order; export it again with names"
    )


def _check_shapes(label: str, joint_pos: Array, body_pos: Array, body_quat: Array) -> None:
    frames, joints, bodies = len(joint_pos) if joint_pos.ndim else 0, len(G1.joints), len(G1.body_names)
    for name, values, shape in (
        ("joint_pos", joint_pos, (frames, joints)),
        ("body_pos_w", body_pos, (frames, bodies, 3)),
        ("body_quat_w", body_quat, (frames, bodies, 4)),
    ):
        if values.shape != shape:
            raise ClipError(
                f"{label}: {name} has shape {values.shape}, expected {shape}: the G1 has {joints} joints and {bodies} "
                "bodies; an importer that keeps fixed links writes more, export it with them merged"
            )
        if not frames:
            raise ClipError(f"{label}: no frames")
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            where = ", ".join(str(index) for index in bad[0][1:])
            raise ClipError(
                f"{label}: frame {bad[0][0]}: {name}[{where}] is {values[tuple(bad[0])]}; repair the source"
            )
    norm = np.linalg.norm(body_quat, axis=-1)
    frame, body = np.unravel_index(int(np.argmax(np.abs(norm - 1.0))), norm.shape)
    if abs(norm[frame, body] - 1.0) > QUAT_TOLERANCE:
        raise ClipError(
            f"{label}: frame {frame}: quaternion of body {body} has length {norm[frame, body]:.3f}, "
            f"must be 1 within {QUAT_TOLERANCE:g}"
        )
