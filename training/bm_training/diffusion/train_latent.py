"""`bm train latent`. Also `python -m bm_training.diffusion.train_latent` with its options."""

from __future__ import annotations

import dataclasses
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from bm_training.diffusion.motion_options import MotionOptions
from bm_training.run_control import deadline_of, report, repository_commit, run_as_module, stopped_by_signals

if TYPE_CHECKING:
    from isaaclab.envs import ManagerBasedRLEnv

    from bm_training.diffusion.latent_model import LatentConfig
    from bm_training.diffusion.latent_trainer import LatentTrainer, LatentTrainerConfig
    from bm_training.diffusion.teacher import TeacherCheckpoint


@dataclass(frozen=True, kw_only=True)
class TrainLatent:
    """Distil a tracker into an encoder of references and a decoder of actions. Exit 0 trained, 2 could not run."""

    run_dir: Path
    """Folder of the run: checkpoints/, TensorBoard events, log.jsonl."""
    teacher: Path
    """Run or checkpoint of `bm train tracking`."""
    clips: Annotated[MotionOptions, tyro.conf.arg(name="")] = MotionOptions()
    """Which motions."""
    latent: int = 32
    """Numbers in z"""
    hidden: tuple[int, ...] = (2048, 1024, 512)
    """Of encoder and decoder"""
    kl_weight: float = 0.01
    learning_rate: float = 5e-4
    iterations: int = 2000
    """Of 16 control steps of every robot"""
    max_minutes: float | None = None
    """Stop after this time and save; schedules end there if it comes first."""
    backend: Literal["newton", "ovphysx", "physx"] = "newton"
    """Physics"""
    device: str | None = None
    """cuda:0, cpu, ...; default: a GPU where there is one."""
    num_envs: int = 4096
    """Robots"""
    max_delay_ms: float = 20.0
    """Commands reach the motors 0..this late, drawn per robot."""
    seed: int = 0
    json: Path | None = None
    """Also write a summary as one JSON document."""

    def __call__(self) -> int:
        started = time.monotonic()
        from bm_training.tracking.checkpoint import check_run_dir

        check_run_dir(self.run_dir, can_resume=False)
        from bm_training.devices import usable_device
        from bm_training.diffusion.collector import collection_env_cfg
        from bm_training.diffusion.latent_model import LatentConfig
        from bm_training.diffusion.latent_trainer import LatentTrainerConfig
        from bm_training.diffusion.simulated_env import simulated_env
        from bm_training.diffusion.task_setup import task_of_options
        from bm_training.diffusion.teacher import read_teacher

        # All that can be refused without the simulator.
        size = LatentConfig(latent=self.latent, hidden=self.hidden)
        settings = LatentTrainerConfig(
            run_dir=self.run_dir,
            iterations=self.iterations,
            learning_rate=self.learning_rate,
            kl_weight=self.kl_weight,
            seed=self.seed,
            deadline=deadline_of(started, self.max_minutes),
        )
        device = usable_device(self.device)
        motions = self.clips.load()
        teacher = read_teacher(self.teacher, device)
        task = task_of_options(self, teacher, motions, device, self.seed)
        cfg = collection_env_cfg(task)
        provenance = {"commit": repository_commit(), "teacher": teacher.name, "motion_set_sha256": motions.sha256}
        options = dataclasses.asdict(self)
        options |= options.pop("clips")  # as flat as on the command line
        provenance |= {name: str(value) for name, value in options.items()}
        with simulated_env(cfg) as env:
            trainer = self._trainer(env, teacher, size, settings, provenance)
            with stopped_by_signals(trainer.stop):
                values = trainer.learn()
        if self.json is not None:
            _write_summary(self.json, trainer.iteration, values)
        return 0

    # -- parts

    def _trainer(
        self,
        env: ManagerBasedRLEnv,
        teacher: TeacherCheckpoint,
        size: LatentConfig,
        settings: LatentTrainerConfig,
        provenance: dict[str, str],
    ) -> LatentTrainer:
        import torch

        from bm_training.diffusion.latent_model import ActionAutoencoder
        from bm_training.diffusion.latent_trainer import LatentTrainer

        torch.manual_seed(self.seed)
        model = ActionAutoencoder(size, teacher.state["layouts"]["policy"]).to(env.device)
        scaling = teacher.state["alg"]["actor_state_dict"]
        model.scale_as(scaling["obs_normalizer._mean"][0], scaling["obs_normalizer._std"][0])
        return LatentTrainer(env, teacher, model, settings, report, provenance)


def _write_summary(path: Path, iterations: int, values: dict[str, float]) -> None:
    from bm_sim2real.result_json import write_result

    summary = {
        "steps": int(values.get("time/steps", 0.0)),
        "steps_per_second": values.get("time/steps_per_second", 0.0),
        "iterations": iterations,
    }
    write_result(path, command="train latent", rows=[values], summary=summary, passed=True)


if __name__ == "__main__":
    sys.exit(run_as_module(TrainLatent, "bm train latent"))
