"""Lets a curriculum act on a run: weights of the sampler, thresholds of the terminations."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bm_core.g1 import CONTROL_DT
from bm_training.sampling import Attribution
from bm_training.tracking.command import motion_command

if TYPE_CHECKING:
    from isaaclab.envs import ManagerBasedRLEnv

    from bm_training.tracking.curriculum import Curriculum

EPISODE_S = 10.0
"""Length of the episodes that `completion` speaks of."""
_TERMINATIONS = ("anchor_pos", "anchor_ori", "ee_body_pos")


class Stages:
    """One curriculum on one environment."""

    def __init__(self, curriculum: Curriculum, env: ManagerBasedRLEnv, num_steps_per_env: int) -> None:
        """`num_steps_per_env`: control steps of an iteration."""
        self.curriculum = curriculum
        self.begun = 0
        """Finished iterations when the present stage began."""
        self._iterations = math.ceil(EPISODE_S / (num_steps_per_env * CONTROL_DT))
        self._sampler = motion_command(env).sampler
        self._terms = [env.termination_manager.get_term_cfg(name) for name in _TERMINATIONS]
        self._thresholds = [term.params["threshold"] for term in self._terms]
        self._apply()

    def step(self, iteration: int, mean_failure_rate: float) -> dict[str, float]:
        """After an iteration and the sampler's statistics of it; scalars for the log.

        Completion counts from one episode length on: before that hardly anything has ended, what nobody has tried
        counts as failing every other time, and episodes under way count as if they had completed.
        """
        done = completion(mean_failure_rate, self._sampler.config.bin_s, self._sampler.config.attribution)
        is_known = iteration - self.begun >= self._iterations
        if self.curriculum.advance(iteration, done if is_known else None):
            self.begun = iteration
            self._apply()
        return {"curriculum/stage": float(self.curriculum.stage), "curriculum/completion": done}

    def continue_at(self, stage: int, begun: int) -> None:
        """After a resume, in a stage that began after `begun` iterations."""
        self.begun = begun
        self.curriculum.stage = min(stage, len(self.curriculum.stages) - 1)
        self._apply()

    def _apply(self) -> None:
        self._sampler.set_motion_weights(self.curriculum.weights)
        for term, threshold in zip(self._terms, self._thresholds, strict=True):
            term.params["threshold"] = threshold * self.curriculum.current.termination_scale


def completion(mean_failure_rate: float, bin_s: float, attribution: Attribution) -> float:
    """Share of 10 s episodes with evenly spread starts that no failure ends, from the mean rate of the bins.

    Estimated as if seconds failed independently of each other; where failures count for the bin of the start the rate
    is that of whole episodes already.
    """
    seconds = 1.0 if attribution is Attribution.START else EPISODE_S / bin_s
    return (1.0 - mean_failure_rate) ** seconds
