"""PPO numbers (beyondmimic 1.9) and their translation into rsl-rl's nested dict."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from bm_core.errors import ConfigError

COLD_STD = 0.4
"""Of the action in a run that begins with nothing. With the reference's 1.0 the action-rate penalty (0.12 a step)
outweighs all that tracking can earn (0.1), and the policy first learns to fall early [measured: episodes shrink for 25
iterations]."""


@dataclass(frozen=True, kw_only=True)
class PpoConfig:
    """Networks and learning. Nets are larger than whole_body_tracking's 512-256-128: one policy learns many clips."""

    hidden_dims: tuple[int, ...] = (1024, 512, 256)
    """Of actor and critic; ELU."""
    init_std: float | None = None
    """Of the action at the beginning; None: COLD_STD, after a warm start what those networks have."""
    num_steps_per_env: int = 24
    """Control steps of a rollout."""
    num_mini_batches: int = 4
    num_learning_epochs: int = 5
    learning_rate: float = 1.0e-3
    """At the beginning; then adapted to desired_kl."""
    desired_kl: float = 0.01
    entropy_coef: float = 0.005
    gamma: float = 0.99
    lam: float = 0.95
    clip_param: float = 0.2
    value_loss_coef: float = 1.0
    max_grad_norm: float = 1.0

    def __post_init__(self) -> None:
        if not self.hidden_dims or min(self.hidden_dims) < 1:
            raise ConfigError(f"hidden_dims = {self.hidden_dims}: at least one positive size")
        if self.num_steps_per_env < 2 or self.num_mini_batches < 1:
            raise ConfigError("num_steps_per_env must be >= 2 and num_mini_batches >= 1")
        if self.init_std is not None and not 0.0 < self.init_std < math.inf:
            raise ConfigError(f"init_std = {self.init_std}: a number above 0")
        for name in ("learning_rate", "desired_kl"):
            value = getattr(self, name)
            if not 0.0 < value < math.inf:
                raise ConfigError(f"{name} = {value}: a number above 0")
        if not math.isfinite(self.entropy_coef):
            raise ConfigError(f"entropy_coef = {self.entropy_coef}: a number")

    def as_rsl_rl(self, multi_gpu: dict[str, int] | None) -> dict[str, Any]:
        """A fresh dict for `PPO.construct_algorithm`, which pops keys out of it."""
        model = {"class_name": "MLPModel", "activation": "elu", "obs_normalization": True}
        std = COLD_STD if self.init_std is None else self.init_std
        gaussian = {"class_name": "GaussianDistribution", "init_std": std, "std_type": "scalar"}
        return {
            "num_steps_per_env": self.num_steps_per_env,
            "obs_groups": {"actor": ["policy"], "critic": ["critic"]},
            "multi_gpu": multi_gpu,
            "actor": {**model, "hidden_dims": list(self.hidden_dims), "distribution_cfg": gaussian},
            "critic": {**model, "hidden_dims": list(self.hidden_dims)},
            "algorithm": {
                "class_name": "PPO",
                "num_learning_epochs": self.num_learning_epochs,
                "num_mini_batches": self.num_mini_batches,
                "learning_rate": self.learning_rate,
                "schedule": "adaptive",
                "desired_kl": self.desired_kl,
                "entropy_coef": self.entropy_coef,
                "gamma": self.gamma,
                "lam": self.lam,
                "clip_param": self.clip_param,
                "value_loss_coef": self.value_loss_coef,
                "use_clipped_value_loss": True,
                "max_grad_norm": self.max_grad_norm,
            },
        }
