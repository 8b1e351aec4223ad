"""Newton prints a line from inside a kernel whenever a world runs out of contacts, constraints or iterations.

Thousands of worlds make that a flood (isaaclab 3.0.0, mujoco-warp 3.12.0). The lines are switched off and the flags
behind them are counted instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isaaclab.envs import ManagerBasedRLEnv

_COUNTED = ("NEFC", "BROADPHASE", "NARROWPHASE", "ITERATIONS", "LS_ITERATIONS")
"""Constraints, pairs, contacts, solver iterations and those of its line search."""


def silence_overflow(env: ManagerBasedRLEnv) -> None:
    """Before the first physics step: kernels are built, and captured in a CUDA graph, with the setting of then."""
    solver = newton_solver(env)
    if solver is not None:
        solver.mjw_model.opt.warn_overflow = False


def overflow_shares(env: ManagerBasedRLEnv) -> dict[str, float]:
    """Share of the worlds with each kind of overflow since the last call; empty on other backends."""
    solver = newton_solver(env)
    if solver is None:
        return {}
    import torch
    import warp as wp
    from mujoco_warp import OverflowType

    flags = wp.to_torch(solver.mjw_data.overflow)
    kinds = [getattr(OverflowType, name) for name in _COUNTED]
    shares = torch.stack([(flags & kind.value).ne(0).float().mean() for kind in kinds]).tolist()
    flags.zero_()
    return {f"overflow_{kind.name.lower()}": share for kind, share in zip(kinds, shares, strict=True)}


def newton_solver(env: ManagerBasedRLEnv) -> Any:
    """MuJoCo-Warp's solver object; None on other backends."""
    if type(env.cfg.sim.physics).__name__ != "NewtonCfg":
        return None
    return env.sim.physics_manager._solver
