"""The command delay inside Newton's own decimation loop, so that a control step stays one CUDA graph.

Where the solver runs all physics steps of a control step (isaaclab 3.0.0: `handles_decimation`) no Python runs between
them; a callback ahead of each solver step is recorded into the graph instead. Same trajectories as with the loop in
Isaac Lab (tests/training/test_newton_delay.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import warp as wp
from torch import Tensor

if TYPE_CHECKING:
    from isaaclab.assets import Articulation
    from isaaclab.envs import ManagerBasedEnv


@wp.kernel
def _select_target(
    substep: wp.array(dtype=wp.int32),  # pyright: ignore[reportInvalidTypeForm]
    delay: wp.array(dtype=wp.int32),  # pyright: ignore[reportInvalidTypeForm]
    previous: wp.array2d(dtype=wp.float32),  # pyright: ignore[reportInvalidTypeForm]
    newest: wp.array2d(dtype=wp.float32),  # pyright: ignore[reportInvalidTypeForm]
    target: wp.array2d(dtype=wp.float32),  # pyright: ignore[reportInvalidTypeForm]
):
    env, joint = wp.tid()
    if delay[env] > substep[0]:
        target[env, joint] = previous[env, joint]
    else:
        target[env, joint] = newest[env, joint]


@wp.kernel
def _advance(substep: wp.array(dtype=wp.int32)):  # pyright: ignore[reportInvalidTypeForm]
    substep[0] = substep[0] + 1


class NewtonDelay:
    """Buffers at fixed addresses that the recorded callback reads; write them once a control step."""

    def __init__(self, asset: Articulation, env: ManagerBasedEnv) -> None:
        num_envs, num_joints = asset.data.joint_pos.torch.shape
        self._asset: Any = asset
        self._device = str(env.device)
        self._previous = torch.zeros(num_envs, num_joints, device=env.device)
        self._newest = torch.zeros(num_envs, num_joints, device=env.device)
        self._delay = torch.zeros(num_envs, dtype=torch.int32, device=env.device)
        self._substep = torch.zeros(1, dtype=torch.int32, device=env.device)
        manager = env.sim.physics_manager
        manager.register_post_actuator_callback(self._apply)
        # Isaac Lab hands the loop over only where Newton computes explicit motors. Ours are implicit (the solver),
        # and allow it just as well; the environment has asked before this term was made.
        manager.activate_newton_actuator_path()
        env._physics_handles_decimation = manager.handles_decimation()

    def set(self, previous: Tensor, newest: Tensor, delay: Tensor) -> None:
        """Before the physics of a control step: targets (E, 29) in rad, delay (E,) in physics steps."""
        self._previous.copy_(previous)
        self._newest.copy_(newest)
        self._delay.copy_(delay)
        self._substep.zero_()

    def _apply(self) -> None:
        data = self._asset.data
        target = data._sim_bind_joint_position_target
        buffers = [wp.from_torch(x) for x in (self._substep, self._delay, self._previous, self._newest)]
        wp.launch(_select_target, dim=self._newest.shape, inputs=[*buffers, target], device=self._device)
        wp.launch(_advance, dim=1, inputs=[buffers[0]], device=self._device)
        if data._joint_targets_need_conversion:
            from isaaclab_newton.assets.articulation.joint_coordinates import scatter_joint_coordinates

            mask = self._asset._ALL_ENV_MASK
            scatter_joint_coordinates(data._joint_coord_map, target, data._sim_bind_joint_target_coords, mask)


def newton_delay(asset: Articulation, env: ManagerBasedEnv) -> NewtonDelay | None:
    """The delay inside the solver's loop, or None where Isaac Lab runs the loop."""
    if type(env.cfg.sim.physics).__name__ != "NewtonCfg" or not env.cfg.sim.use_newton_actuators:
        return None
    return NewtonDelay(asset, env)
