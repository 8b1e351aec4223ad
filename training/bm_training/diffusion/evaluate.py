"""`bm train eval-diffusion`: a diffusion model in closed loop, hundreds of robots at once in Isaac Lab.

Also `python -m bm_training.diffusion.evaluate RUN`.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import tyro

from bm_training.run_control import report, run_as_module

if TYPE_CHECKING:
    from bm_core.diffusion.guidance.settings import GuidanceSpec
    from bm_core.diffusion.spec import DiffusionSpec
    from bm_training.diffusion.decoders import ActionDecoder
    from bm_training.diffusion.sampler import TorchDenoiser
    from bm_training.diffusion.stage import Stage
    from bm_training.diffusion.trial import TrialConfig

_Number = TypeVar("_Number", int, float)


@dataclass(frozen=True, kw_only=True)
class EvaluateDiffusion:
    """Closed loops of a diffusion model in Isaac Lab. Exit 0 passed, 1 measured but failed, 2 could not run.

    Options that take several values (separated by commas) are run in every combination; the summary is the first one's.
    """

    model: tyro.conf.Positional[Path]
    """Run or checkpoint of `bm train diffusion`; its averaged weights."""
    tasks: str = "walk-perturb"
    """walk-perturb (unguided, kicks), joystick (four velocities), velocity (random velocities); several: commas."""
    latency_ms: str = "20"
    """Between a state and the first action planned from it, in steps of 20; several: commas."""
    start: str = "warm"
    """warm: plans start from the last one; cold: from noise; several: commas."""
    passes: str = ""
    """Denoising passes; several: commas. Default: the model's spec."""
    action_passes: int | None = None
    """Above 0: passes are on the states alone, then so many on the actions. Default: the model's spec."""
    eta: float | None = None
    """1 DDPM, 0 DDIM. Default: the model's spec."""
    warm_levels: tuple[int, int] | None = None
    """Levels to which the last plan's states and actions are re-noised. Default: the model's spec."""
    most_committed: int | None = None
    """Action tokens of the last plan that are kept at most, while the robot runs them. Default: the model's spec."""
    history_action_level: int | None = None
    """Level to which the actions of the history are re-noised. Default: the model's spec."""
    guidance: Path | None = None
    """JSON file with guidance settings that differ from the defaults."""
    guidance_scale: float | None = None
    seconds: float = 15.0
    """Of walk-perturb; its path is asked for in proportion."""
    kick: float | None = None
    """m/s, largest kick, once a second; default: the task's."""
    baseline: bool = False
    """Also let the tracker itself walk on through Walk + Perturb: what the scene allows."""
    teacher: Path | None = None
    """Tracker that walks the robots in; run or checkpoint of `bm train tracking`. Default: the shipped one."""
    backend: Literal["newton", "ovphysx", "physx"] = "newton"
    """Physics"""
    device: str | None = None
    """cuda:0, cpu, ...; default: a GPU where there is one."""
    num_envs: int = 512
    """Robots"""
    randomise: bool = True
    """Friction, torso mass centre and encoder offsets vary as in training."""
    max_delay_ms: float = 20.0
    """Commands reach the motors 0..this late, drawn per robot; besides the planning latency."""
    bf16: bool | None = None
    """Network in bfloat16; default: on a GPU."""
    require_success: float = 0.98
    """Of the first combination, to pass."""
    seed: int = 0
    json: Path | None = None
    """Also write rows and summary as one JSON document."""

    def __call__(self) -> int:
        from bm_training.devices import usable_device
        from bm_training.diffusion.decoders import decoder_of
        from bm_training.diffusion.sampler import TorchDenoiser
        from bm_training.diffusion.simulated_env import simulated_env
        from bm_training.diffusion.stage import Stage, stage_env_cfg
        from bm_training.diffusion.task_setup import task_of_options
        from bm_training.diffusion.teacher import read_teacher
        from bm_training.diffusion.trainer import load_model
        from bm_training.diffusion.walk_clip import walk_motions
        from bm_training.tracking.checkpoint import find_checkpoint

        # All that can be refused without the simulator.
        device = usable_device(self.device)
        path = find_checkpoint(self.model)
        spec, model = load_model(path, device)
        combinations, guidance = self._combinations(spec), self._guidance()
        decoder = decoder_of(path, device)
        teacher = read_teacher(self.teacher, device)
        task = task_of_options(self, teacher, walk_motions(), device, self.seed)
        cfg = stage_env_cfg(task, self.randomise)
        with simulated_env(cfg) as env:
            stage = Stage(env, teacher)
            is_bf16 = stage.device.startswith("cuda") if self.bf16 is None else self.bf16
            play = partial(self._run, stage, TorchDenoiser(model, is_bf16), decoder, guidance)
            rows = [play(combination) for combination in combinations]
            if self.baseline:
                asked = _Combination(trial=self._trial("walk-perturb"), latency=0, start="cold", spec=spec)
                rows.append(play(asked, is_baseline=True))
        passed = rows[0]["success_rate"] >= self.require_success
        if self.json is not None:
            self._write(rows, passed)
        return 0 if passed else 1

    # -- parts

    def _combinations(self, spec: DiffusionSpec) -> list[_Combination]:
        """ConfigError or BundleError for a value that the model cannot be run with."""
        from bm_core.errors import ConfigError
        from bm_training.comma_list import named_parts
        from bm_training.diffusion.batch_planner import latency_steps
        from bm_training.require import require

        require(not math.isnan(self.require_success), "require_success", "nan", "a number")
        tasks, starts = (named_parts(f"--{name}", getattr(self, name).split(",")) for name in ("tasks", "start"))
        for name, given, known in (
            ("tasks", tasks, ("walk-perturb", "joystick", "velocity")),
            ("start", starts, ("warm", "cold")),
        ):
            unknown = sorted(set(given) - set(known))
            if unknown:
                raise ConfigError(f"--{name}: {unknown[0]} is unknown; {', '.join(known)} are known")
        latencies = [latency_steps(ms, spec.layout) for ms in _numbers("--latency-ms", self.latency_ms, float)]
        passes = _numbers("--passes", self.passes, int) if self.passes else [None]
        return [
            _Combination(
                trial=self._trial(task),
                latency=latency,
                start=start,
                spec=dataclasses.replace(spec, sampler=self._sampler(spec, count)),
            )
            for task, latency, start, count in itertools.product(tasks, latencies, starts, passes)
        ]

    def _trial(self, task: str) -> TrialConfig:
        from bm_training.diffusion.trial import TrialConfig

        return TrialConfig(name=task, seconds=self.seconds, kick=self.kick, seed=self.seed)

    def _run(
        self,
        stage: Stage,
        denoiser: TorchDenoiser,
        decoder: ActionDecoder,
        guidance: GuidanceSpec,
        combination: _Combination,
        is_baseline: bool = False,
    ) -> dict[str, Any]:
        from bm_training.diffusion.batch_planner import BatchPlanner, BatchPlannerConfig
        from bm_training.diffusion.closed_loop import run_trial
        from bm_training.diffusion.trial import Trial

        task, latency, start = combination.trial.name, combination.latency, combination.start
        spec = combination.spec
        config = BatchPlannerConfig(latency=latency, is_warm=start == "warm", seed=self.seed)
        planner = BatchPlanner(spec, denoiser, stage.num_robots, stage.device, config)
        trial = Trial(combination.trial, stage.num_robots, stage.device)
        result = run_trial(stage, planner, decoder, trial, guidance, is_baseline=is_baseline)
        row: dict[str, Any] = {"task": task, "policy": "tracker" if is_baseline else self.model.name}
        row |= {"latency_ms": 20 * latency, "start": start, "passes": spec.sampler.passes}
        row |= {"action_passes": spec.sampler.action_passes, "eta": spec.sampler.eta}
        row |= result.score.summary()
        row |= {"robot_steps_per_second": result.robot_steps / result.seconds, "seconds": result.seconds}
        report(
            f"{row['policy']} {task}  latency {row['latency_ms']} ms  {start}  {row['passes']} passes: "
            f"success {row['success_rate']:.3f}  falls {row['fall_rate']:.3f}  path {row['path_m']:.2f} m  "
            f"velocity error {row.get('velocity_error', float('nan')):.3f}  "
            f"{row['robot_steps_per_second']:,.0f} robot steps/s  {result.plans / result.seconds:.1f} plans/s"
        )
        return row

    def _sampler(self, spec: DiffusionSpec, passes: int | None) -> Any:
        names = ("action_passes", "eta", "most_committed", "history_action_level")
        changes: dict[str, Any] = {"passes": passes} | {name: getattr(self, name) for name in names}
        if self.warm_levels is not None:
            changes |= {"warm_state_level": self.warm_levels[0], "warm_action_level": self.warm_levels[1]}
        given = {name: value for name, value in changes.items() if value is not None}
        return dataclasses.replace(spec.sampler, **given)

    def _guidance(self) -> GuidanceSpec:
        from bm_core.diffusion.guidance.settings import GuidanceSpec, read_guidance
        from bm_training.require import require

        settings = GuidanceSpec() if self.guidance is None else read_guidance(self.guidance)
        if self.guidance_scale is None:
            return settings
        require(math.isfinite(self.guidance_scale), "guidance_scale", self.guidance_scale, "a number")
        return dataclasses.replace(settings, scale=self.guidance_scale)

    def _write(self, rows: list[dict[str, Any]], passed: bool) -> None:
        from bm_sim2real.result_json import write_result

        assert self.json is not None
        names = ("task", "runs", "success_rate", "fall_rate", "velocity_error")
        summary = {name: rows[0].get(name) for name in names}
        write_result(self.json, command="train eval-diffusion", rows=rows, summary=summary, passed=passed)


@dataclass(frozen=True, kw_only=True)
class _Combination:
    """One closed loop."""

    trial: TrialConfig
    latency: int
    """Control steps."""
    start: str
    spec: DiffusionSpec
    """With the sampler of the options."""


def _numbers(option: str, text: str, kind: type[_Number]) -> list[_Number]:
    """Of a list between commas. ConfigError for an empty part, and for one that is no number."""
    from bm_core.errors import ConfigError
    from bm_training.comma_list import named_parts

    parts = named_parts(option, text.split(","))
    try:
        return [kind(part) for part in parts]
    except ValueError as error:
        what = "whole numbers" if kind is int else "numbers"
        raise ConfigError(f"{option} {text}: {what} between commas expected") from error


if __name__ == "__main__":
    sys.exit(run_as_module(EvaluateDiffusion, "bm train eval-diffusion"))
