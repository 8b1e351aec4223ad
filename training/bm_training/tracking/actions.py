"""Joint position targets that arrive late: the policy's period is 20 ms, its command may take that long to the motors.

Per episode a delay of 0..4 physics steps is drawn. Walk through a step with delay 1 (targets: o old, n new):
    physics steps   0 1 2 3
    applied         o n n n
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from isaaclab.managers import ActionTerm, ActionTermCfg
from isaaclab.utils import configclass
from torch import Tensor

from bm_core.g1 import G1
from bm_training.tracking.newton_delay import newton_delay

if TYPE_CHECKING:
    from isaaclab.envs import ManagerBasedRLEnv

NAME = "joint_pos"
"""Of the action term in the environment."""


def joint_action(env: ManagerBasedRLEnv) -> DelayedJointPosition:
    """The environment's action term."""
    return env.action_manager.get_term(NAME)  # type: ignore[return-value]


class DelayedJointPosition(ActionTerm):
    """target = default_joint_pos + action_scale * action, not clipped, applied after the episode's delay."""

    cfg: DelayedJointPositionCfg

    def __init__(self, cfg: DelayedJointPositionCfg, env: ManagerBasedRLEnv) -> None:
        super().__init__(cfg, env)
        shape = (self.num_envs, len(G1.joint_names))
        self._scale = torch.tensor(G1.action_scale.copy(), dtype=torch.float32, device=self.device)
        self.nominal_joint_pos = torch.tensor(G1.default_joint_pos.copy(), dtype=torch.float32, device=self.device)
        """(29,) rad, as the runtime knows it."""
        offset = (2.0 * torch.rand(shape, device=self.device) - 1.0) * cfg.default_joint_pos_range
        self.default_joint_pos = self.nominal_joint_pos + offset
        """(E, 29) rad: encoders are never zeroed perfectly; drawn once, it shifts targets and joint_pos alike."""
        self._raw = torch.zeros(shape, device=self.device)
        self._target = self.default_joint_pos.clone()
        self._previous = self._target.clone()
        self._delay = torch.zeros(self.num_envs, 1, dtype=torch.int64, device=self.device)
        self._is_new = torch.ones(self.num_envs, 1, dtype=torch.bool, device=self.device)
        self._substep = 0
        self._in_solver = newton_delay(self._asset, env) if cfg.max_delay_steps > 0 else None

    @property
    def action_dim(self) -> int:
        return self._raw.shape[1]

    @property
    def raw_actions(self) -> Tensor:
        """(E, 29) as the policy gave them."""
        return self._raw

    @property
    def processed_actions(self) -> Tensor:
        """(E, 29) rad, the newest target, possibly not yet applied."""
        return self._target

    @property
    def delay_fraction(self) -> Tensor:
        """(E, 1) delay / control period, 0..1."""
        return self._delay / self._env.cfg.decimation

    def process_actions(self, actions: Tensor) -> None:
        """Once a control step: the former target stays until the delay is over."""
        # A new episode has no former target: the motors hold where they are.
        held = self._asset.data.joint_pos.torch
        self._previous = torch.where(self._is_new, held, self._target)
        self._is_new.zero_()
        self._raw.copy_(actions)
        self._target = self.default_joint_pos + self._scale * self._raw
        self._substep = 0

    def apply_actions(self) -> None:
        """Once a physics step, or once a control step where the solver runs the loop."""
        if self._in_solver is not None:
            self._in_solver.set(self._previous, self._target, self._delay[:, 0])
            target = self._target
        elif self.cfg.max_delay_steps == 0:
            target = self._target
        else:
            target = torch.where(self._delay > self._substep, self._previous, self._target)
        self._asset.actuators.target_command.set_position_index(value=target)
        self._substep += 1

    def reset(self, env_ids: Sequence[int] | slice | None = None) -> None:
        """New episodes: last action 0, another delay."""
        mask = torch.zeros(self.num_envs, dtype=torch.bool, device=self.device)
        mask[slice(None) if env_ids is None else env_ids] = True
        self.restart(mask)

    def episode_state(self) -> dict[str, Tensor]:
        """What the coming steps depend on, the tensors themselves; default_joint_pos, too, for the record."""
        names = ("_raw", "_target", "_previous", "_delay", "_is_new")
        return {name: getattr(self, name) for name in names} | {"default_joint_pos": self.default_joint_pos}

    def restart(self, mask: Tensor) -> None:
        """`reset` for the environments of `mask` (E,)."""
        column = mask[:, None]
        self._raw.masked_fill_(column, 0.0)
        self._is_new |= column
        if self.cfg.max_delay_steps > 0:
            drawn = torch.randint(self.cfg.max_delay_steps + 1, self._delay.shape, device=self.device)
            self._delay = torch.where(column, drawn, self._delay)


@configclass
class DelayedJointPositionCfg(ActionTermCfg):
    """The action of beyondmimic 1.5, plus the delay."""

    class_type: type = DelayedJointPosition
    asset_name: str = "robot"
    max_delay_steps: int = 4
    """Physics steps (5 ms): 0..max_delay_steps, uniform. 0 switches the delay off."""
    default_joint_pos_range: float = 0.01
    """rad; half range of the constant offset of every joint of every robot (beyondmimic 1.8)."""
