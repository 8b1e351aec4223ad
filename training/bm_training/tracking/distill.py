"""`bm train distill`: specialists teach one student. Also `python -m bm_training.tracking.distill` with its options."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bm_training.run_control import report, run_as_module
from bm_training.tracking.run_command import TrackingRun

if TYPE_CHECKING:
    from bm_training.tracking.distiller import DistillConfig
    from bm_training.tracking.distributed import Ranks
    from bm_training.tracking.env_cfg import TaskConfig
    from bm_training.tracking.motion_set import LoadedMotionSet
    from bm_training.tracking.ppo_cfg import PpoConfig
    from bm_training.tracking.runner import Runner
    from bm_training.tracking.runner_config import RunnerConfig
    from bm_training.tracking.teachers import Teacher
    from bm_training.tracking.tracking_env import TrackingEnv


@dataclass(frozen=True, kw_only=True)
class Distill(TrackingRun):
    """Teach one policy what several know (DAgger). Exit 0 trained, 2 could not run.

    Teachers see the robots without noise, and may see more than the student: an estimate of the base, another window.
    The result is a run like any other: evaluate and export it, or go on with bm train tracking --init-from.
    """

    teacher: tuple[str, ...]
    """RUN=PATTERN,PATTERN: run, checkpoint or bundle, and the clips it teaches by name; the first that fits counts."""
    max_iterations: int = 3000
    """Iterations in all, those before a resume included."""
    learning_rate: float = 5.0e-4
    exploration_std: float = 0.15
    """Noise on the student's actions: its teachers show how to come back from more places."""
    lead_iterations: int = 50
    """Iterations over which the share of robots that a teacher drives falls from all to none."""

    @property
    def command(self) -> str:
        """Name after `bm`."""
        return "train distill"

    def ppo(self) -> PpoConfig:
        """Networks and learning."""
        from bm_training.tracking.ppo_cfg import PpoConfig

        return PpoConfig(
            hidden_dims=self.hidden_dims,
            init_std=self.exploration_std,
            learning_rate=self.learning_rate,
            num_steps_per_env=self.num_steps_per_env,
            num_mini_batches=self.num_mini_batches,
        )

    def task(self, motions: LoadedMotionSet, ranks: Ranks) -> TaskConfig:
        """The environment, with what the teachers see."""
        from bm_training.tracking.teachers import assignment

        self._distill()
        teachers = self._teachers(ranks.device)
        assignment([clip.name for clip in motions.clips], teachers)  # refused before there is a simulator
        return dataclasses.replace(super().task(motions, ranks), teacher_terms=tuple(t.terms for t in teachers))

    def runner(self, env: TrackingEnv, config: RunnerConfig, ranks: Ranks, provenance: dict[str, Any]) -> Runner:
        """The training loop."""
        from bm_training.tracking.command import motion_command
        from bm_training.tracking.distiller import Distiller
        from bm_training.tracking.teachers import TeacherPanel

        panel = TeacherPanel(self._teachers(ranks.device), motion_command(env).library.names, ranks.device)
        counts = panel.of_motion.bincount(minlength=len(panel.names)).tolist()
        report("; ".join(f"{name} teaches {n} motions" for name, n in zip(panel.names, counts, strict=True)))
        return Distiller(env, self.ppo(), config, ranks, report, provenance, teachers=panel, distill=self._distill())

    def _distill(self) -> DistillConfig:
        from bm_training.tracking.distiller import DistillConfig

        return DistillConfig(lead_iterations=self.lead_iterations)

    def _teachers(self, device: str) -> list[Teacher]:
        from bm_training.tracking.teachers import load_teacher

        return [load_teacher(text, device) for text in self.teacher]


if __name__ == "__main__":
    sys.exit(run_as_module(Distill, "bm train distill"))
