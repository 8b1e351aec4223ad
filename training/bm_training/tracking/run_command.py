"""What training commands of the tracking task have in common: options, and the way from them to a finished run."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from bm_training.run_control import deadline_of, report, repository_commit, stopped_by_signals
from bm_training.tracking.clip_options import ClipOptions
from bm_training.tracking.sampling_options import SamplingOptions

if TYPE_CHECKING:
    from bm_training.tracking.distributed import Ranks
    from bm_training.tracking.env_cfg import TaskConfig
    from bm_training.tracking.motion_set import LoadedMotionSet
    from bm_training.tracking.ppo_cfg import PpoConfig
    from bm_training.tracking.run_start import RunStart
    from bm_training.tracking.runner import Runner
    from bm_training.tracking.runner_config import RunnerConfig
    from bm_training.tracking.tracking_env import TrackingEnv


@dataclass(frozen=True, kw_only=True)
class TrackingRun:
    """Options of every run."""

    run_dir: Path
    """Folder of the run: checkpoints/, contract.json, TensorBoard events, log.jsonl, bins.jsonl, motions.jsonl."""
    clips: Annotated[ClipOptions, tyro.conf.arg(name="")] = ClipOptions()
    """What to train on."""
    backend: Literal["newton", "ovphysx", "physx"] = "newton"
    """Physics: newton is faster on a GPU, ovphysx on a CPU; physx runs inside Isaac Sim."""
    device: str | None = None
    """cuda:0, cpu, ...; default: a GPU where there is one."""
    num_envs: int = 4096
    """Robots, per process."""
    num_steps_per_env: int = 24
    """Control steps of a rollout."""
    num_mini_batches: int = 4
    """Of each of the 5 epochs."""
    hidden_dims: tuple[int, ...] = (1024, 512, 256)
    """Layers of actor and critic."""
    max_iterations: int = 30_000
    """Iterations in all, those before a resume included."""
    max_minutes: float | None = None
    """Stop after this time, counted from the start of the command, and save."""
    seed: int = 0
    state_estimation: bool = False
    """Let the policy see anchor position and base linear velocity, which need an estimate of the base."""
    reference_window: str = "none"
    """Future frames in the policy's observation, such as 4,8,16 (control steps ahead), or none."""
    motion_id: bool = False
    """Tell the policy which clip it follows, one number a clip (all 0 in a tenth of the episodes)."""
    max_delay_ms: float = 20.0
    """Commands reach the motors 0..this late, drawn per episode, in steps of 5 ms."""
    solver_loop: bool = False
    """Newton: run the physics steps of a control step in one CUDA graph instead of one graph each; same results."""
    sampler: Annotated[SamplingOptions, tyro.conf.arg(name="")] = SamplingOptions()
    """Where episodes start."""
    curriculum: Path | None = None
    """YAML file with stages in which motions come in (docs/training.md)."""
    resume: Path | None = None
    """Run or checkpoint to continue exactly: networks, optimiser, sampler, robots, random states."""
    init_from: Path | None = None
    """Run or checkpoint whose networks to begin with; its observation may be another."""
    wandb_project: str | None = None
    """Also log to this project of W&B: offline unless WANDB_MODE=online, later `wandb sync RUN/wandb/offline-*`."""
    save_interval: int = 200
    """Iterations between checkpoints."""
    keep_last: int = 3
    """Checkpoints kept, besides the best."""
    json: Path | None = None
    """Also write a summary as one JSON document."""

    def __call__(self) -> int:
        started = time.monotonic()
        from bm_core.errors import ConfigError

        if self.resume is not None and self.init_from is not None:
            raise ConfigError("--resume continues a run, --init-from begins another: give one of them")
        from bm_training.tracking.checkpoint import check_run_dir
        from bm_training.tracking.distributed import join

        # Before the ranks meet: later the first one may have written a checkpoint already.
        check_run_dir(self.run_dir, self.resume)
        motions = self.clips.load()
        ranks = join(self.device)
        try:
            runner, values = self._train(motions, ranks, started)
        finally:
            ranks.close()
        if self.json is not None and ranks.is_first:
            self._write_summary(self.json, runner, values)
        return 0

    # -- what commands differ in

    @property
    def command(self) -> str:
        """Name after `bm`."""
        raise NotImplementedError

    def ppo(self) -> PpoConfig:
        """Networks and learning."""
        raise NotImplementedError

    def task(self, motions: LoadedMotionSet, ranks: Ranks) -> TaskConfig:
        """The environment."""
        from bm_training.tracking.env_cfg import Backend, TaskConfig, delay_steps

        return TaskConfig(
            load_motions=motions.on_device,
            num_envs=self.num_envs,
            backend=Backend(self.backend),
            device=ranks.device,
            seed=self.seed + 1000 * ranks.rank,
            state_estimation=self.state_estimation,
            reference_window=_window(self.reference_window),
            motion_ids=tuple(clip.name for clip in motions.clips) if self.motion_id else (),
            solver_owns_loop=self.solver_loop,
            max_delay_steps=delay_steps(self.max_delay_ms),
            sampler=self.sampler.config(),
        )

    def runner(self, env: TrackingEnv, config: RunnerConfig, ranks: Ranks, provenance: dict[str, Any]) -> Runner:
        """The training loop."""
        from bm_training.tracking.runner import Runner

        return Runner(env, self.ppo(), config, ranks, report, provenance)

    # -- parts

    def _train(self, motions: LoadedMotionSet, ranks: Ranks, started: float) -> tuple[Runner, dict[str, float]]:
        """The runner after the last iteration, and that iteration's scalars."""
        from bm_training.tracking.env_cfg import tracking_env_cfg
        from bm_training.tracking.simulation import simulation
        from bm_training.tracking.tracking_env import TrackingEnv

        # All that can be refused without a simulator, before there is one and before there is a folder.
        config, task, start = self._config(started), self.task(motions, ranks), self._start(motions, ranks)
        env_cfg = tracking_env_cfg(task)
        with simulation(env_cfg):
            env = TrackingEnv(env_cfg)
            try:
                runner = self.runner(env, config, ranks, self._provenance(motions))
                self._prepare(runner, start, ranks)
                if ranks.is_first:
                    self._write_contract(task, motions, runner)
                with stopped_by_signals(runner.stop):
                    values = runner.learn()
                if ranks.is_first:
                    self._write_contract(task, motions, runner)
            finally:
                env.close()
        return runner, values

    def _start(self, motions: LoadedMotionSet, ranks: Ranks) -> RunStart:
        """What the run begins with. ConfigError for what it cannot begin with."""
        from bm_core.errors import ConfigError
        from bm_training.tracking.run_start import read_start

        self.ppo()
        if self.num_mini_batches > self.num_steps_per_env * self.num_envs:
            raise ConfigError(f"--num-mini-batches {self.num_mini_batches}: more than there are steps in a rollout")
        return read_start(
            motions,
            bin_s=self.sampler.config().bin_s,
            bin_probabilities=self.sampler.bin_probabilities,
            curriculum=self.curriculum,
            checkpoint=self.init_from if self.resume is None else self.resume,
            is_resumed=self.resume is not None,
            device=ranks.device,
        )

    def _config(self, started: float) -> RunnerConfig:
        from bm_training.tracking.runner_config import RunnerConfig

        if self.wandb_project is not None:
            from bm_training.tracking.training_log import check_wandb

            check_wandb()
        return RunnerConfig(
            run_dir=self.run_dir,
            max_iterations=self.max_iterations,
            save_interval=self.save_interval,
            keep_last=self.keep_last,
            deadline=deadline_of(started, self.max_minutes),
            wandb_project=self.wandb_project,
        )

    def _prepare(self, runner: Runner, start: RunStart, ranks: Ranks) -> None:
        """Sampler by hand, curriculum, earlier networks."""
        if start.curriculum is not None:
            runner.follow(start.curriculum)
        if start.bin_weights is not None:
            runner.override_bins(start.bin_weights)
        if self.resume is not None:
            self._resume(runner, start, ranks)
            return
        if start.curriculum is not None or start.bin_weights is not None:
            runner.start_anew()
        if start.state is not None:
            new = runner.warm_start(start.state)
            report(f"networks of {start.checkpoint}; new observation blocks: {new}")

    def _resume(self, runner: Runner, start: RunStart, ranks: Ranks) -> None:
        from bm_training.tracking.checkpoint import run_of
        from bm_training.tracking.run_start import differing_options

        assert start.checkpoint is not None and start.state is not None
        differing = differing_options(start.state, self._options())
        is_exact = runner.resume(start.state, run_of(start.checkpoint))
        how = "with new episodes" if not is_exact else "with other options" if differing else "exactly"
        options = f"; options that differ: {', '.join(differing)}" if differing else ""
        report(f"resumed {start.checkpoint} at iteration {runner.iteration}, {how}{options}")
        if runner.iteration >= self.max_iterations and ranks.is_first:
            report(f"at iteration {runner.iteration} of {self.max_iterations} already: nothing to train")

    def _options(self) -> dict[str, str]:
        return {name: str(value) for name, value in _flat(dataclasses.asdict(self)).items()}

    def _provenance(self, motions: LoadedMotionSet) -> dict[str, Any]:
        return {
            "commit": repository_commit(),
            "command": self.command,
            "motion_set": motions.name,
            "motion_set_sha256": motions.sha256,
            "options": self._options(),
        }

    def _write_contract(self, task: TaskConfig, motions: LoadedMotionSet, runner: Runner) -> None:
        from bm_core.atomic_file import atomic_write_text
        from bm_core.contract import Training, g1_contract

        training = Training(
            commit=repository_commit(),
            motion_set=motions.name,
            motion_set_sha256=motions.sha256,
            steps=runner.steps,
            run=self.run_dir.name,
        )
        atomic_write_text(self.run_dir / "checkpoints" / "contract.json", g1_contract(task.terms, training).to_json())

    def _write_summary(self, path: Path, runner: Runner, values: dict[str, float]) -> None:
        from bm_sim2real.result_json import write_result

        summary = {
            "steps": runner.steps,
            "steps_per_second": values.get("time/steps_per_second", 0.0),
            "iterations": runner.iteration,
        }
        rows = [values] if values else []  # none: it was at its last iteration already
        write_result(path, command=self.command, rows=rows, summary=summary, passed=True)


def _window(text: str) -> tuple[int, ...]:
    """Frames of --reference-window. ConfigError for anything but ascending numbers above 0, or none."""
    from bm_core.errors import ConfigError

    if text == "none":
        return ()
    try:
        window = tuple(map(int, text.split(",")))
    except ValueError as error:
        raise ConfigError(f"--reference-window {text}: frames such as 4,8,16, or none") from error
    if window[0] < 1 or any(later <= earlier for earlier, later in zip(window, window[1:], strict=False)):
        raise ConfigError(f"--reference-window {text}: frames above 0 in ascending order, such as 4,8,16, or none")
    return window


def _flat(options: dict[str, Any]) -> dict[str, Any]:
    """Groups of options are one level on the command line, so they are in the checkpoint."""
    flat: dict[str, Any] = {}
    for name, value in options.items():
        flat |= value if isinstance(value, dict) else {name: value}
    return flat
