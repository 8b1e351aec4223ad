"""`bm train tracking`: environment, training, saving. Also `python -m bm_training.tracking.train` with its options."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bm_training.run_control import run_as_module
from bm_training.tracking.run_command import TrackingRun

if TYPE_CHECKING:
    from bm_training.tracking.ppo_cfg import PpoConfig


@dataclass(frozen=True, kw_only=True)
class TrainTracking(TrackingRun):
    """Train a motion tracker in Isaac Lab. Exit 0 trained (also when stopped by time or signal), 2 could not run."""

    init_std: float | None = None
    """Standard deviation of the action at the beginning. Default: 0.4, with --init-from what those networks have."""
    desired_kl: float = 0.01
    """Change of the policy in one update; the learning rate follows it."""
    learning_rate: float | None = None
    """At the beginning. Default: 1e-3, with --init-from 1e-4 (trained networks do not survive the former)."""
    entropy_coef: float = 0.005
    """Reward for a wide action distribution; lower it to sharpen a policy that can already do the task."""

    @property
    def command(self) -> str:
        """Name after `bm`."""
        return "train tracking"

    def ppo(self) -> PpoConfig:
        """Networks and learning."""
        from bm_training.tracking.ppo_cfg import PpoConfig

        default = 1.0e-3 if self.init_from is None else 1.0e-4
        return PpoConfig(
            hidden_dims=self.hidden_dims,
            init_std=self.init_std,
            desired_kl=self.desired_kl,
            learning_rate=default if self.learning_rate is None else self.learning_rate,
            entropy_coef=self.entropy_coef,
            num_steps_per_env=self.num_steps_per_env,
            num_mini_batches=self.num_mini_batches,
        )


if __name__ == "__main__":
    sys.exit(run_as_module(TrainTracking, "bm train tracking"))
