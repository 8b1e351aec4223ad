"""Rollouts made from motion clips without a simulator: for tests, and to try the training before data exists."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bm_core.errors import ConfigError
from bm_core.g1 import G1
from bm_core.motion import MotionClip
from bm_training.diffusion.rollout_file import Rollouts

NOISE = 0.05
"""Standard deviation of the applied actions around the label, network units."""


def rollouts_from_clips(clips: Sequence[MotionClip], episodes: int, steps: int, seed: int) -> Rollouts:
    """Random cuts of the clips; the "teacher" asks for the next frame's joint positions. ConfigError if too short."""
    usable = [(index, clip) for index, clip in enumerate(clips) if clip.num_frames > steps]
    if not usable:
        raise ConfigError(f"no clip is longer than {steps} frames")
    rng, cuts = np.random.default_rng(seed), []
    for _ in range(episodes):
        index, clip = usable[rng.integers(len(usable))]
        cuts.append((index, clip, slice(start := int(rng.integers(clip.num_frames - steps)), start + steps)))

    def stacked(name: str) -> np.ndarray:
        return np.stack([getattr(clip, name)[cut] for _, clip, cut in cuts])

    following = np.stack([clip.joint_pos[cut.start + 1 : cut.stop + 1] for _, clip, cut in cuts])
    label = (following - G1.default_joint_pos) / G1.action_scale
    velocities = [stacked(name)[:, :, 0] for name in ("body_lin_vel_w", "body_ang_vel_w")]
    root = np.concatenate([stacked("root_pos"), stacked("root_quat"), *velocities], axis=-1)
    return Rollouts(
        root=root.astype(np.float32),
        joint_pos=stacked("joint_pos").astype(np.float16),
        joint_vel=stacked("joint_vel").astype(np.float16),
        action_label=label.astype(np.float16),
        action_applied=(label + NOISE * rng.standard_normal(label.shape)).astype(np.float16),
        jolted=np.zeros((episodes, steps, 1), dtype=np.uint8),
        source=np.array([index for index, _, _ in cuts], dtype=np.int32),
    )
