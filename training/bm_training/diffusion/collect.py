"""`bm collect`: rollouts of a tracker for the diffusion model. Also `python -m bm_training.diffusion.collect`."""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from bm_training.diffusion.motion_options import MotionOptions
from bm_training.run_control import deadline_of, report, repository_commit, run_as_module, stopped_by_signals

if TYPE_CHECKING:
    from bm_training.diffusion.collector import Collector
    from bm_training.diffusion.rollout_file import Rollouts, RolloutWriter
    from bm_training.diffusion.teacher import TeacherCheckpoint
    from bm_training.tracking.motion_set import LoadedMotionSet

_REPORT_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Collect:
    """Collect rollouts of a tracker in Isaac Lab. Exit 0 collected (also when stopped by a signal), 2 could not run."""

    out: Path
    """Folder of the collection; one that was begun alike is continued."""
    teacher: Path
    """Run or checkpoint of `bm train tracking`."""
    latent: Path | None = None
    """Run or checkpoint of `bm train latent`: its decoder acts, and latents are collected instead of joint actions."""
    clips: Annotated[MotionOptions, tyro.conf.arg(name="")] = MotionOptions()
    """Which motions."""
    episodes: int = 20_000
    """In all, those collected before included; 20 000 of 2.5 s are 14 h."""
    steps: int = 125
    """Frames of an episode, 20 ms each."""
    survive: int = 250
    """Frames that a rollout must last from an episode's first one for it to be kept."""
    rollout_s: float = 20.0
    """s after which a robot starts anew; a rollout is cut into episodes without gaps."""
    noise: float = 1.0
    """Factor on the action noise; 0 for none."""
    backend: Literal["newton", "ovphysx", "physx"] = "newton"
    """Physics: newton is faster on a GPU, ovphysx on a CPU; physx runs inside Isaac Sim."""
    device: str | None = None
    """cuda:0, cpu, ...; default: a GPU where there is one."""
    num_envs: int = 4096
    """Robots"""
    max_delay_ms: float = 20.0
    """Commands reach the motors 0..this late, drawn per rollout."""
    shard_episodes: int = 2048
    """At least so many go into a file."""
    max_minutes: float | None = None
    """Stop after this time and write what there is."""
    seed: int = 0
    json: Path | None = None
    """Also write a summary as one JSON document."""

    def __call__(self) -> int:
        from bm_core.g1 import G1
        from bm_training.devices import usable_device
        from bm_training.diffusion.action_noise import ActionNoiseConfig
        from bm_training.diffusion.collector import Collector, collection_env_cfg
        from bm_training.diffusion.latent_model import latent_from_document, read_latent
        from bm_training.diffusion.simulated_env import simulated_env
        from bm_training.diffusion.task_setup import task_of_options
        from bm_training.diffusion.teacher import read_teacher
        from bm_training.diffusion.window_keeper import KeeperConfig

        # All that can be refused without the simulator.
        deadline = deadline_of(time.monotonic(), self.max_minutes)
        keeper = KeeperConfig(steps=self.steps, survive=self.survive)
        noise = ActionNoiseConfig(ladder=tuple(self.noise * rung for rung in ActionNoiseConfig.ladder))
        device = usable_device(self.device)
        motions = self.clips.load()
        self._check(motions)
        teacher = read_teacher(self.teacher, device)
        latent = None if self.latent is None else latent_from_document(read_latent(self.latent, device), device)
        width = len(G1.joint_names) if latent is None else latent.config.latent
        writer = self._writer(teacher, motions, width)
        # A continued collection must not see the same noise again.
        seed = self.seed + 7919 * writer.num_shards
        task = task_of_options(self, teacher, motions, device, seed)
        env_cfg = collection_env_cfg(task, self.rollout_s)
        with simulated_env(env_cfg) as env:
            collector = Collector(env, teacher, noise, keeper, seed, latent)
            rate = self._collect(collector, writer, seed, deadline)
        if self.json is not None:
            self._write_summary(self.json, writer, collector, rate)
        return 0

    # -- parts

    def _check(self, motions: LoadedMotionSet) -> None:
        """ConfigError for what would collect nothing, however long it goes on."""
        from bm_core.errors import ConfigError
        from bm_core.g1 import CONTROL_DT
        from bm_training.require import require

        require(self.episodes >= 1, "episodes", self.episodes, ">= 1")
        require(self.shard_episodes >= 1, "shard_episodes", self.shard_episodes, ">= 1")
        least = self.survive * CONTROL_DT
        require(least <= self.rollout_s < math.inf, "rollout_s", self.rollout_s, f"at least survive, {least:g} s")
        if all(clip.num_frames <= self.survive for clip in motions.clips):
            raise ConfigError(
                f"no clip goes on for {self.survive} frames, which a rollout must last; give longer ones, or lower "
                "--survive and --steps"
            )

    def _writer(self, teacher: TeacherCheckpoint, motions: LoadedMotionSet, width: int) -> RolloutWriter:
        from bm_training.diffusion.rollout_file import RolloutWriter

        provenance = {
            "teacher": teacher.name,
            "teacher_steps": str(teacher.state.get("steps", "")),
            "motion_set": motions.name,
            "motion_set_sha256": motions.sha256,
            "noise": str(self.noise),
            "survive": str(self.survive),
            "rollout_s": str(self.rollout_s),
            "max_delay_ms": str(self.max_delay_ms),
            "seed": str(self.seed),
            "commit": repository_commit(),
        }
        names = [clip.name for clip in motions.clips]
        if self.latent is not None:
            provenance["latent"] = self.latent.name
        return RolloutWriter(self.out, steps=self.steps, sources=names, provenance=provenance, action_width=width)

    def _collect(self, collector: Collector, writer: RolloutWriter, seed: int, deadline: float | None) -> float:
        """Until there are enough episodes, the time is over or a signal comes; returns control steps per second."""
        from bm_training.diffusion.rollout_file import joined

        stopped: list[bool] = []
        waiting: list[Rollouts] = []
        started = last = time.monotonic()
        begun = writer.manifest.episodes
        with stopped_by_signals(lambda: stopped.append(True)):
            while not stopped:
                count = writer.manifest.episodes + sum(part.episodes for part in waiting)
                now = time.monotonic()
                if count >= self.episodes or (deadline is not None and now > deadline):
                    break
                if now - last > _REPORT_S:
                    self._progress(count, begun, collector, now - started)
                    last = now
                kept = collector.step()
                if kept is not None:
                    waiting.append(kept)
                if sum(part.episodes for part in waiting) >= self.shard_episodes:
                    writer.write_shard(joined(waiting), seed)
                    waiting = []
        if waiting:
            writer.write_shard(joined(waiting), seed)
        elapsed = time.monotonic() - started
        self._progress(writer.manifest.episodes, begun, collector, elapsed)
        return collector.frames / elapsed

    def _progress(self, count: int, begun: int, collector: Collector, elapsed: float) -> None:
        new = count - begun
        left = max(self.episodes - count, 0)
        eta = timedelta(seconds=round(elapsed * left / new)) if new > 0 else "unknown"
        report(
            f"{count}/{self.episodes} episodes  {collector.frames / elapsed:,.0f} steps/s  "
            f"{collector.falls} falls  ETA {eta}"
        )

    def _write_summary(self, path: Path, writer: RolloutWriter, collector: Collector, rate: float) -> None:
        from bm_core.g1 import CONTROL_DT
        from bm_sim2real.result_json import write_result

        summary = {
            "steps": collector.frames,
            "steps_per_second": rate,
            "iterations": collector.frames // self.num_envs,
            "episodes": writer.manifest.episodes,
            "hours": writer.manifest.hours,
            "falls": collector.falls,
            "falls_per_minute": collector.falls / max(collector.frames * CONTROL_DT / 60.0, 1e-9),
        }
        write_result(path, command="collect", rows=[], summary=summary, passed=True)


if __name__ == "__main__":
    sys.exit(run_as_module(Collect, "bm collect"))
