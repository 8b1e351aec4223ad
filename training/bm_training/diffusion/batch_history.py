"""The last control steps of many robots, as tokens relative to each one's present. Torch twin of bm_core's History."""

from __future__ import annotations

import torch
from torch import Tensor

from bm_core.diffusion.layout import TokenLayout
from bm_core.diffusion.state import StateRepresentation
from bm_training.diffusion.rollout_file import ROOT_WIDTH
from bm_training.diffusion.windows import encode_bodies, encode_root
from bm_training.tracking.robot_view import RobotView


class BatchHistory:
    """Of E robots in step with one another; full once a window's past has gone by."""

    def __init__(
        self, layout: TokenLayout, representation: StateRepresentation, robots: int, device: str | torch.device
    ) -> None:
        self._layout, self._representation = layout, representation
        self._past = layout.present * layout.steps_per_token
        self._frames = torch.zeros(robots, self._past + 1, 0, device=device)
        self._actions = torch.zeros(robots, self._past, layout.step_width, device=device)
        self._count = 0

    def add_state(self, robot: RobotView) -> None:
        """The state at this control step, before its action."""
        frame = torch.cat([root_state(robot), local_features(robot, self._representation)], dim=-1)
        if self._frames.shape[-1] == 0:
            self._frames = frame[:, None].repeat(1, self._past + 1, 1)
        self._frames = torch.cat([self._frames[:, 1:], frame[:, None]], dim=1)

    def add_action(self, action: Tensor) -> None:
        """(E, step_width) what is applied from this control step to the next."""
        self._actions = torch.cat([self._actions[:, 1:], action[:, None]], dim=1)
        self._count += 1

    @property
    def is_full(self) -> bool:
        """Whether a window's whole past has gone by."""
        return self._count >= self._past

    @property
    def present(self) -> Tensor:
        """(E, 13) root state now."""
        return self._frames[:, -1, :ROOT_WIDTH]

    def tokens(self) -> tuple[Tensor, Tensor]:
        """State tokens (E, present + 1, D) and action tokens (E, present, A), SI units."""
        frames = self._frames[:, :: self._layout.steps_per_token]
        root = encode_root(frames[..., :ROOT_WIDTH], self.present)
        actions = self._actions.reshape(len(root), self._layout.present, self._layout.action_width)
        return torch.cat([frames[..., ROOT_WIDTH:], root], dim=-1), actions


def root_state(robot: RobotView) -> Tensor:
    """(E, 13) position, quaternion wxyz, linear and angular velocity of the pelvis."""
    parts = (robot.body_pos, robot.body_quat, robot.body_lin_vel, robot.body_ang_vel)
    return torch.cat([part[:, robot.root] for part in parts], dim=-1)


def local_features(robot: RobotView, representation: StateRepresentation) -> Tensor:
    """The part of a state token that no present enters, (E, 84 | 58), read from the simulator's bodies."""
    if representation is StateRepresentation.JOINT_ROT:
        return torch.cat([robot.joint_pos, robot.joint_vel], dim=-1)
    return encode_bodies(root_state(robot), robot.body_pos, robot.body_lin_vel)
