"""Training windows: rollouts on the device, drawn, made relative to their present, mirrored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bm_core.diffusion.layout import TokenLayout
from bm_core.diffusion.mirror import Mirror
from bm_core.diffusion.state import StateRepresentation
from bm_core.errors import ConfigError
from bm_core.g1 import TARGET_BODY_INDICES
from bm_core.kinematics import g1_kinematics
from bm_training.diffusion.kinematics import forward_kinematics, link_velocities
from bm_training.diffusion.rollout_file import Rollouts
from bm_training.rotations import (
    quat_conjugate,
    quat_from_yaw,
    quat_multiply,
    quat_normalize,
    quat_rotate,
    rot6d_from_quat,
    yaw_from_quat,
    yaw_quat,
)

_CHUNK = 1 << 18
"""Frames of kinematics at a time: 30 links of them take 0.2 GB."""


class TorchMirror:
    """A Mirror with its tables on the device: a copy from the host in every step would stall the GPU."""

    def __init__(self, mirror: Mirror, device: str | torch.device) -> None:
        self._index = torch.as_tensor(mirror.index, device=device)
        self._sign = torch.as_tensor(mirror.sign, dtype=torch.float32, device=device)

    def __call__(self, values: Tensor) -> Tensor:
        """(..., D) -> (..., D)"""
        return values[..., self._index] * self._sign


@dataclass(frozen=True, kw_only=True)
class WindowBatch:
    """B windows of N pairs, SI units."""

    states: Tensor
    """(B, N, D)"""
    actions: Tensor
    """(B, N, A): applied ones in the history, the teacher's from the present on."""
    applied: Tensor
    """(B, N, A): what the robot really ran; in the history the same."""

    def first(self, count: int) -> WindowBatch:
        """So many of them."""
        return WindowBatch(states=self.states[:count], actions=self.actions[:count], applied=self.applied[:count])

    def mirrored(self, which: Tensor, states: TorchMirror, actions: TorchMirror) -> WindowBatch:
        """The windows chosen by `which` (B,) bool, left and right exchanged."""
        chosen = which[:, None, None]
        return WindowBatch(
            states=torch.where(chosen, states(self.states), self.states),
            actions=torch.where(chosen, actions(self.actions), self.actions),
            applied=torch.where(chosen, actions(self.applied), self.applied),
        )


class Windows:
    """Every window of some episodes, except those with a push in their future: plans must not foresee pushes."""

    def __init__(
        self,
        rollouts: Rollouts,
        episodes: np.ndarray,
        layout: TokenLayout,
        representation: StateRepresentation,
        device: str | torch.device,
    ) -> None:
        """`episodes` (n,) indices. Kinematics run here, once. ConfigError if episodes are shorter than a window."""
        self.layout, self.representation, self.device = layout, representation, torch.device(device)
        steps = rollouts.root.shape[1]
        first, last = layout.present * layout.steps_per_token, steps - layout.horizon * layout.steps_per_token
        if last < first:
            raise ConfigError(f"episodes of {steps} frames are shorter than a window of {layout.window_steps}")
        in_episode = np.arange(first, last + 1)
        is_smooth = ~_jolted_within(rollouts.jolted[episodes, :, 0], in_episode, int(layout.state_offsets[-1]))
        presents = (in_episode + steps * np.arange(len(episodes))[:, None])[is_smooth]
        if len(presents) == 0:
            raise ConfigError(f"{len(episodes)} episode(s): every window has a push in its future")
        self._present = torch.as_tensor(presents, device=self.device)
        self._root = self._flat(rollouts.root, episodes)
        self._root[:, 3:7] = quat_normalize(self._root[:, 3:7])
        joint_pos, joint_vel = self._flat(rollouts.joint_pos, episodes), self._flat(rollouts.joint_vel, episodes)
        self._local = _local_features(self._root, joint_pos, joint_vel, representation)
        self._label, self._applied = (
            self._flat(values, episodes) for values in (rollouts.action_label, rollouts.action_applied)
        )
        self._state_offsets = torch.as_tensor(layout.state_offsets, device=self.device)
        self._action_offsets = torch.as_tensor(layout.action_offsets.reshape(-1), device=self.device)

    def __len__(self) -> int:
        return len(self._present)

    def draw(self, count: int, generator: torch.Generator) -> WindowBatch:
        """`count` windows, uniformly, with replacement."""
        return self.take(torch.randint(len(self), (count,), generator=generator, device=self.device))

    def take(self, index: Tensor) -> WindowBatch:
        """Windows by number (B,)."""
        present = self._present[index]
        frames = present[:, None] + self._state_offsets
        root = encode_root(self._root[frames], self._root[present])
        steps = present[:, None] + self._action_offsets
        is_history = (self._action_offsets < 0)[:, None]
        applied, tokens = self._applied[steps], (len(index), self.layout.tokens, self.layout.action_width)
        actions = torch.where(is_history, applied, self._label[steps])
        return WindowBatch(
            states=torch.cat([self._local[frames], root], dim=-1),
            actions=actions.reshape(tokens),
            applied=applied.reshape(tokens),
        )

    def _flat(self, values: np.ndarray, episodes: np.ndarray) -> Tensor:
        chosen = values[episodes].reshape(-1, values.shape[-1])
        return torch.as_tensor(chosen, device=self.device).float()


def encode_root(root: Tensor, present: Tensor) -> Tensor:
    """Root part of state tokens, as bm_core's encode_root: (B, N, 13), (B, 13) of the present -> (B, N, 15)."""
    to_present = quat_from_yaw(-yaw_from_quat(present[:, 3:7]))[:, None]
    offset = torch.cat([root[..., :2] - present[:, None, :2], root[..., 2:3]], dim=-1)
    turned = rot6d_from_quat(quat_multiply(to_present.expand_as(root[..., 3:7]), root[..., 3:7]))
    lin_vel, ang_vel = quat_rotate(to_present, root[..., 7:10]), quat_rotate(to_present, root[..., 10:13])
    return torch.cat([quat_rotate(to_present, offset), turned, lin_vel, ang_vel], dim=-1)


def encode_bodies(root: Tensor, body_pos: Tensor, body_lin_vel: Tensor) -> Tensor:
    """The part of Body-Pos that no present enters: (F, 13), (F, 14, 3) m, (F, 14, 3) m/s, world -> (F, 84)."""
    to_own_yaw = quat_conjugate(yaw_quat(root[:, 3:7]))[:, None]
    own_pos = quat_rotate(to_own_yaw, body_pos - root[:, None, :3])
    own_vel = quat_rotate(to_own_yaw, body_lin_vel - root[:, None, 7:10])
    return torch.cat([own_pos.flatten(1), own_vel.flatten(1)], dim=-1)


def split_episodes(episodes: int, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Training and validation episodes, at least one each. ConfigError below two."""
    if episodes < 2:
        raise ConfigError(f"{episodes} episode(s): at least 2 are needed, one of them for validation")
    order = np.random.default_rng(seed).permutation(episodes)
    count = min(max(round(share * episodes), 1), episodes - 1)
    return np.sort(order[count:]), np.sort(order[:count])


def _jolted_within(jolted: np.ndarray, presents: np.ndarray, ahead: int) -> np.ndarray:
    """(n, P) whether a frame of (present, present + ahead] follows a push; jolted (n, T), presents (P,)."""
    pushes = np.pad(np.cumsum(jolted, axis=1, dtype=np.int64), ((0, 0), (1, 0)))
    return pushes[:, presents + ahead + 1] > pushes[:, presents + 1]


def _local_features(root: Tensor, joint_pos: Tensor, joint_vel: Tensor, representation: StateRepresentation) -> Tensor:
    """The part of a state that no present enters, (F, 84 | 58)."""
    if representation is StateRepresentation.JOINT_ROT:
        return torch.cat([joint_pos, joint_vel], dim=-1)
    tree, parts = g1_kinematics(), []
    targets = torch.tensor(TARGET_BODY_INDICES, device=root.device)
    for start in range(0, len(root), _CHUNK):
        part = slice(start, start + _CHUNK)
        pos, quat = forward_kinematics(tree, root[part, :3], root[part, 3:7], joint_pos[part])
        vel = link_velocities(tree, root[part, 7:10], root[part, 10:13], joint_vel[part], pos, quat)[:, targets]
        parts.append(encode_bodies(root[part], pos[:, targets], vel))
    return torch.cat(parts)
