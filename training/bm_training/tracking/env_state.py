"""Everything that the next control steps depend on beside networks and sampler, so that a resumed run goes on exactly.

On Newton the solver's whole memory is positions, velocities and the warm start of its last solution; a restored run is
equal to the bit. PhysX keeps contact caches that nobody can read: there robots go on from their states, not exactly.
What is drawn at start-up (friction, masses, encoder offsets) comes from the seed and is not kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from bm_training.tracking.actions import joint_action
from bm_training.tracking.command import motion_command
from bm_training.tracking.newton_overflow import newton_solver

if TYPE_CHECKING:
    from bm_training.tracking.tracking_env import TrackingEnv

_STATE = ("joint_q", "joint_qd", "body_q", "body_qd")


def capture_env(env: TrackingEnv) -> dict[str, Any]:
    """Copies on the CPU, after a control step."""
    tensors = {name: value.cpu().clone() for name, value in _live(env).items()}
    counters = {"common_step_counter": env.common_step_counter, "sim_step_counter": env._sim_step_counter}
    return {"tensors": tensors, "counters": counters, "observations": {k: v.cpu() for k, v in _observed(env).items()}}


def restore_env(env: TrackingEnv, state: dict[str, Any]) -> None:
    """Go on where `capture_env` was called; `env` has been reset and has as many robots."""
    if newton_solver(env) is not None:
        # A reset that still waits would wipe the warm start at the next step.
        env.sim.physics_manager.forward()
    for name, value in _live(env).items():
        value.copy_(state["tensors"][name])
    if newton_solver(env) is None:
        _write_robot(env, state["tensors"])
    env.common_step_counter = state["counters"]["common_step_counter"]
    env._sim_step_counter = state["counters"]["sim_step_counter"]
    env.scene.update(dt=env.physics_dt)  # what was computed from the former state is stale
    motion_command(env).forget()
    env.obs_buf = {name: value.to(env.device) for name, value in state["observations"].items()}


def fits(env: TrackingEnv, state: dict[str, Any]) -> bool:
    """Whether a state is of as many robots, the same physics and the same observations."""
    now = {name: tuple(value.shape) for name, value in (_live(env) | _observed(env)).items()}
    then = {name: tuple(value.shape) for name, value in (state["tensors"] | state["observations"]).items()}
    return now == then


def _live(env: TrackingEnv) -> dict[str, Tensor]:
    """The tensors themselves, by name."""
    action, motion = joint_action(env), motion_command(env)
    manager = env.action_manager
    tensors = {
        "action": manager._action,
        "prev_action": manager._prev_action,
        "episode_length": env.episode_length_buf,
        **{f"action.{name}": value for name, value in action.episode_state().items()},
        **{f"motion.{name}": value for name, value in motion.episode_state().items()},
    }
    if env.push_timer is not None:
        tensors["push.left"] = env.push_timer.left
    return tensors | _physics(env)


def _physics(env: TrackingEnv) -> dict[str, Tensor]:
    solver = newton_solver(env)
    if solver is None:
        data = env.scene["robot"].data
        names = ("root_link_pose_w", "root_link_vel_w", "joint_pos", "joint_vel")
        return {f"physics.{name}": getattr(data, name).torch.clone() for name in names}
    import warp as wp

    state = env.sim.physics_manager.get_state_0()
    arrays = {name: getattr(state, name) for name in _STATE} | {"warm_start": solver.mjw_data.qacc_warmstart}
    return {f"physics.{name}": wp.to_torch(array) for name, array in arrays.items()}


def _write_robot(env: TrackingEnv, tensors: dict[str, Tensor]) -> None:
    """Backends whose state is not open: through Isaac Lab's own interface."""
    robot = env.scene["robot"]
    values = {name: tensors[f"physics.{name}"].to(env.device) for name in ("root_link_pose_w", "root_link_vel_w")}
    joints = {name: tensors[f"physics.{name}"].to(env.device) for name in ("joint_pos", "joint_vel")}
    robot.write_root_link_pose_to_sim_index(root_pose=values["root_link_pose_w"])
    robot.write_joint_position_to_sim_index(position=joints["joint_pos"])
    robot.write_joint_velocity_to_sim_index(velocity=joints["joint_vel"])
    robot.write_root_link_velocity_to_sim_index(root_velocity=values["root_link_vel_w"])


def _observed(env: TrackingEnv) -> dict[str, Tensor]:
    return {name: value for name, value in env.obs_buf.items() if isinstance(value, Tensor)}
