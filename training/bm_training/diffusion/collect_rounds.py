"""`bm collect rounds`: closed-loop data of a diffusion model. Also `python -m bm_training.diffusion.collect_rounds`."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from bm_training.diffusion.motion_options import StartMotionOptions
from bm_training.run_control import deadline_of, report, repository_commit, run_as_module, stopped_by_signals

if TYPE_CHECKING:
    from bm_core.diffusion.spec import DiffusionSpec
    from bm_training.diffusion.batch_planner import BatchPlanner
    from bm_training.diffusion.model import TokenTransformer
    from bm_training.diffusion.rollout_file import Rollouts, RolloutWriter
    from bm_training.diffusion.rounds import Rounds
    from bm_training.diffusion.stage import Stage


@dataclass(frozen=True, kw_only=True)
class CollectRounds:
    """Let a diffusion model act, let the tracker take over from its states, keep what survives as a collection.

    Exit 0 collected (also when stopped by a signal), 2 could not run.
    """

    model: Path
    """Run or checkpoint of `bm train diffusion`; its averaged weights."""
    out: Path
    """Folder of the collection; one that was begun alike is continued."""
    teacher: Path
    """Run or checkpoint of `bm train tracking`."""
    clips: Annotated[StartMotionOptions, tyro.conf.arg(name="")] = StartMotionOptions()
    """Which motions."""
    episodes: int = 20_000
    """In all, those collected before included."""
    steps: int = 125
    """Frames of an episode, as in the collection that it will be trained with."""
    survive: int = 250
    """Frames from the takeover that the tracker must last."""
    run: int = 200
    """Frames that the model acts each time."""
    guided: float = 0.5
    """Share of the runs that follow random velocities."""
    kick: float = 0.5
    """m/s, largest kick, about once a second while the model acts."""
    latency_ms: float = 20.0
    """Between a state and the first action planned from it."""
    passes: int | None = None
    """Denoising passes; default: the model's spec."""
    cold: bool = False
    """Plans start from noise, not from the last plan."""
    guidance: Path | None = None
    """JSON file with guidance settings that differ from the defaults."""
    backend: Literal["newton", "ovphysx", "physx"] = "newton"
    """Physics"""
    device: str | None = None
    """cuda:0, cpu, ...; default: a GPU where there is one."""
    num_envs: int = 2048
    """Robots"""
    max_delay_ms: float = 20.0
    """Commands reach the motors 0..this late, drawn per robot; besides the planning latency."""
    shard_episodes: int = 2048
    """At least so many go into a file."""
    max_minutes: float | None = None
    """Stop after this time and write what there is."""
    seed: int = 1000
    json: Path | None = None
    """Also write the counts as one JSON document."""

    def __call__(self) -> int:
        from bm_core.diffusion.guidance.settings import GuidanceSpec, read_guidance
        from bm_training.devices import usable_device
        from bm_training.diffusion.batch_planner import latency_steps
        from bm_training.diffusion.decoders import decoder_of
        from bm_training.diffusion.rollout_file import RolloutWriter
        from bm_training.diffusion.rounds import RoundConfig, Rounds
        from bm_training.diffusion.simulated_env import simulated_env
        from bm_training.diffusion.stage import Stage, stage_env_cfg
        from bm_training.diffusion.task_setup import task_of_options
        from bm_training.diffusion.teacher import read_teacher
        from bm_training.diffusion.trainer import load_model
        from bm_training.require import require
        from bm_training.tracking.checkpoint import find_checkpoint

        # All that can be refused without the simulator.
        deadline = deadline_of(time.monotonic(), self.max_minutes)
        require(self.episodes >= 1, "episodes", self.episodes, ">= 1")
        require(self.shard_episodes >= 1, "shard_episodes", self.shard_episodes, ">= 1")
        config = RoundConfig(run=self.run, steps=self.steps, survive=self.survive, guided=self.guided, kick=self.kick)
        guidance = GuidanceSpec() if self.guidance is None else read_guidance(self.guidance)
        device = usable_device(self.device)
        motions = self.clips.load()
        teacher = read_teacher(self.teacher, device)
        names = [clip.name for clip in motions.clips]
        path = find_checkpoint(self.model)
        spec, model = load_model(path, device)
        if self.passes is not None:
            spec = dataclasses.replace(spec, sampler=dataclasses.replace(spec.sampler, passes=self.passes))
        latency = latency_steps(self.latency_ms, spec.layout)
        writer = RolloutWriter(
            self.out,
            steps=self.steps,
            sources=names,
            provenance=self._provenance(teacher.name),
            action_width=spec.layout.step_width,
        )
        seed = self.seed + 7919 * writer.num_shards
        task = task_of_options(self, teacher, motions, device, seed)
        cfg = stage_env_cfg(task, is_randomised=True)
        with simulated_env(cfg) as env:
            stage = Stage(env, teacher)
            make_planner = self._planners(stage, spec, model, latency)
            rounds = Rounds(stage, make_planner, decoder_of(path, device), guidance, config, seed)
            self._collect(rounds, writer, seed, deadline)
        if self.json is not None:
            self._write_summary(rounds, writer)
        return 0

    # -- parts

    def _planners(
        self, stage: Stage, spec: DiffusionSpec, model: TokenTransformer, latency: int
    ) -> Callable[[int], BatchPlanner]:
        """From a seed to a planner of all robots."""
        from bm_training.diffusion.batch_planner import BatchPlanner, BatchPlannerConfig
        from bm_training.diffusion.sampler import TorchDenoiser

        denoiser = TorchDenoiser(model, is_bf16=stage.device.startswith("cuda"))

        def make_planner(run_seed: int) -> BatchPlanner:
            config = BatchPlannerConfig(latency=latency, is_warm=not self.cold, seed=run_seed)
            return BatchPlanner(spec, denoiser, stage.num_robots, stage.device, config)

        return make_planner

    def _provenance(self, teacher: str) -> dict[str, str]:
        names = ("run", "survive", "guided", "kick", "latency_ms", "passes", "cold", "max_delay_ms", "seed")
        options = {name: str(getattr(self, name)) for name in names}
        return {"teacher": teacher, "policy": self.model.name, "commit": repository_commit(), **options}

    def _collect(self, rounds: Rounds, writer: RolloutWriter, seed: int, deadline: float | None) -> None:
        from bm_training.diffusion.rollout_file import joined

        stopped: list[bool] = []
        waiting: list[Rollouts] = []
        started = time.monotonic()
        with stopped_by_signals(lambda: stopped.append(True)):
            while not stopped:
                count = writer.manifest.episodes + sum(part.episodes for part in waiting)
                if count >= self.episodes or (deadline is not None and time.monotonic() > deadline):
                    break
                waiting += rounds.episodes()
                self._progress(rounds, writer.manifest.episodes + sum(part.episodes for part in waiting), started)
                if sum(part.episodes for part in waiting) >= self.shard_episodes:
                    writer.write_shard(joined(waiting), seed)
                    waiting = []
        if waiting:
            writer.write_shard(joined(waiting), seed)

    def _progress(self, rounds: Rounds, episodes: int, started: float) -> None:
        count = rounds.count
        report(
            f"{episodes}/{self.episodes} episodes  {count.falls_per_minute:.2f} falls/min  "
            f"survived {count.survived}/{count.takeovers} takeovers, "
            f"{count.survived_before_falls}/{count.takeovers_before_falls} of them before falls  "
            f"{time.monotonic() - started:.0f} s"
        )

    def _write_summary(self, rounds: Rounds, writer: RolloutWriter) -> None:
        from bm_sim2real.result_json import write_result

        assert self.json is not None
        count = rounds.count
        summary = {
            **dataclasses.asdict(count),
            "falls_per_minute": count.falls_per_minute,
            "episodes": writer.manifest.episodes,
            "hours": writer.manifest.hours,
        }
        write_result(self.json, command="collect rounds", rows=[], summary=summary, passed=True)


if __name__ == "__main__":
    sys.exit(run_as_module(CollectRounds, "bm collect rounds"))
