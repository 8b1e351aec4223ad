"""One environment of Isaac Lab for as long as a context lasts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from isaaclab.envs import ManagerBasedRLEnv

    from bm_training.tracking.env_cfg import TrackingEnvCfg


@contextmanager
def simulated_env(cfg: TrackingEnvCfg) -> Iterator[ManagerBasedRLEnv]:
    """Launches what the physics of `cfg` needs, and closes the environment whatever happens."""
    from isaaclab.envs import ManagerBasedRLEnv

    from bm_training.tracking.newton_overflow import silence_overflow
    from bm_training.tracking.simulation import simulation

    with simulation(cfg):
        env = ManagerBasedRLEnv(cfg)
        try:
            silence_overflow(env)
            yield env
        finally:
            env.close()
