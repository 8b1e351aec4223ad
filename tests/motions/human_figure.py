"""A human of 0.84 m legs drawn from a pelvis path and two foot paths: what a capture looks like, made from scratch."""

from __future__ import annotations

import numpy as np

from bm_core.rotations import quat_from_euler_xyz, quat_rotate
from bm_training.motions.retarget.capture import HUMAN_BODIES, HumanCapture

THIGH, SHIN, ANKLE_HEIGHT, HALF_HIPS = 0.43, 0.41, 0.05, 0.09
FPS = 60.0


def draw(pelvis, feet, *, torso_pitch=0.0, foot_pitch=None, name="figure") -> HumanCapture:
    """pelvis (T, 3) m, feet {"left": (T, 3) ankles, "right": ...}, pitches (T,) rad; faces +x, arms hang."""
    frames = len(pelvis)
    upright = np.tile([1.0, 0.0, 0.0, 0.0], (frames, 1))
    torso_quat = quat_from_euler_xyz(0.0, np.broadcast_to(torso_pitch, (frames,)), 0.0)
    pos, quat = {"pelvis": pelvis}, dict.fromkeys(HUMAN_BODIES, upright)
    pos["torso"] = pelvis + [0.0, 0.0, 0.24]
    pos["head"] = pos["torso"] + quat_rotate(torso_quat, np.array([0.0, 0.0, 0.22]))
    quat["torso"] = quat["head"] = torso_quat
    for sign, side in ((1.0, "left"), (-1.0, "right")):
        hip, foot = pelvis + [0.0, sign * HALF_HIPS, 0.0], feet[side]
        pos[f"{side}_thigh"], pos[f"{side}_shin"], pos[f"{side}_foot"] = hip, knee(hip, foot), foot
        if foot_pitch is not None:
            quat[f"{side}_foot"] = quat_from_euler_xyz(0.0, foot_pitch[side], 0.0)
        shoulder = pos["torso"] + quat_rotate(torso_quat, np.array([0.0, sign * 0.18, 0.24]))
        pos[f"{side}_upper_arm"] = shoulder
        pos[f"{side}_lower_arm"] = shoulder + [0.0, sign * 0.08, -0.26]
        pos[f"{side}_hand"] = pos[f"{side}_lower_arm"] + [0.1, 0.0, -0.24]
    return HumanCapture(
        name=name,
        fps=FPS,
        body_pos=np.stack([np.broadcast_to(pos[body], (frames, 3)) for body in HUMAN_BODIES], axis=1),
        body_quat=np.stack([quat[body] for body in HUMAN_BODIES], axis=1),
        source="drawn",
        licence="none",
    )


def knee(hip, ankle):
    """Where the knee is, in front of the line from hip to ankle, (T, 3)."""
    line = ankle - hip
    length = np.linalg.norm(line, axis=-1, keepdims=True)
    along = (length**2 + THIGH**2 - SHIN**2) / (2.0 * length)
    forward = np.stack([-line[:, 2], np.zeros(len(line)), line[:, 0]], axis=-1)
    forward /= np.linalg.norm(forward, axis=-1, keepdims=True)
    return hip + along * line / length + np.sqrt(np.maximum(THIGH**2 - along**2, 0.0)) * forward


def standing_feet(frames: int):
    """Both ankles still, soles on the floor, 0.2 m apart."""
    return {side: np.tile([0.0, y, ANKLE_HEIGHT], (frames, 1)) for side, y in (("left", 0.1), ("right", -0.1))}


def swaying_pelvis(frames: int):
    """Knees bent, slow circles of 3 cm."""
    time = np.arange(frames) / FPS
    sway = 0.03 * np.stack([np.sin(3.0 * time), np.cos(3.0 * time), 0.5 * np.sin(2.0 * time)], axis=-1)
    return np.array([0.0, 0.0, 0.05 + 0.79]) + sway


def walk(seconds: float, *, speed: float = 0.8, step_seconds: float = 0.5):
    """Alternating steps of 0.1 m height: swing and stance of 0.5 s each."""
    time = np.arange(round(seconds * FPS)) / FPS
    feet = {}
    for side, y, delay in (("left", 0.1, 0.0), ("right", -0.1, 1.0)):
        phase = time / step_seconds + delay
        stride, inside = np.divmod(phase, 2.0)
        swing = np.clip(inside, 0.0, 1.0)
        ease = swing * swing * (3.0 - 2.0 * swing)
        x = speed * 2.0 * step_seconds * (stride + ease - 0.5 * delay - 0.75)
        z = ANKLE_HEIGHT + 0.1 * np.sin(np.pi * swing) ** 2
        feet[side] = np.stack([x, np.full_like(x, y), z], axis=-1)
    pelvis = np.stack([speed * time - 0.3, np.zeros_like(time), np.full_like(time, 0.8)], axis=-1)
    return draw(pelvis, feet, name="walk")
