"""`bm eval isaaclab` and `bm eval tracking --backend isaaclab`; also `python -m bm_training.tracking.evaluate RUN`."""

from __future__ import annotations

import math
import sys
import time
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from bm_training.run_control import report, run_as_module
from bm_training.tracking.clip_options import ClipOptions

if TYPE_CHECKING:
    from bm_training.tracking.env_cfg import TaskConfig
    from bm_training.tracking.evaluation import IsaacEvaluation, IsaacEvaluationConfig
    from bm_training.tracking.motion_set import LoadedMotionSet
    from bm_training.tracking.policy_source import PolicySource


@dataclass(frozen=True, kw_only=True)
class EvaluateIsaacLab:
    """Play a tracker in Isaac Lab, many robots at once. Exit 0 passed, 1 failed, 2 could not run.

    Every clip from its first frame to its last (completion, errors), then episodes from evenly spread starts in every
    second of every clip (failure rate of each bin), the same for every policy however its training drew its starts.
    """

    policy: tyro.conf.Positional[Path]
    """Run, checkpoint or ONNX bundle."""
    clips: Annotated[ClipOptions, tyro.conf.arg(name="")] = ClipOptions()
    """What to play."""
    backend: Literal["newton", "ovphysx", "physx"] = "newton"
    """Physics."""
    device: str | None = None
    """cuda:0, cpu, ...; default: a GPU where there is one."""
    num_envs: int = 1024
    """Robots at once."""
    conditions: Literal["nominal", "training"] = "nominal"
    """nominal: no noise, delay, pushes, variation. training: all of them; actions are the mean in both."""
    repeats: int | None = None
    """Runs of each whole clip; default 1, under training conditions as many as there are robots for."""
    starts_per_bin: int = 8
    """Episodes that start in each bin; 0: whole clips only."""
    episode_s: float = 10.0
    """Longest of those, s."""
    bin_s: float = 1.0
    """Duration of a bin, s."""
    seed: int = 0
    require_completion: float = 0.9
    """Passed needs at least this share of whole clips completed,"""
    require_body_error_mm: float = 60.0
    """and at most this body error on them, mm."""
    json: Path | None = None
    """Also write rows, bins and summary as one JSON document."""

    def __call__(self) -> int:
        from bm_sim2real.result_json import write_result

        self._check()
        motions = self.clips.load()
        started = time.monotonic()
        evaluation, policy = self._evaluate(motions)
        summary = {
            **evaluation.summary,
            "policy": policy.name,
            "backend": self.backend,
            "conditions": self.conditions,
            "motion_set": motions.name,
            "motion_set_sha256": motions.sha256,
            "policy_steps": policy.contract.training.steps,
            "seed": self.seed,
            "wall_s": time.monotonic() - started,
        }
        enough = summary["completion_rate"] >= self.require_completion
        passed = bool(enough and summary["body_error_m"] <= 1e-3 * self.require_body_error_mm)
        if self.json is not None:
            rows = [{"kind": "clip", **row} for row in evaluation.motions]
            rows += [{"kind": "bin", **row} for row in evaluation.bins]
            write_result(self.json, command="eval tracking", rows=rows, summary=summary, passed=passed)
        _print(evaluation.motions, summary, passed)
        return 0 if passed else 1

    # -- parts

    def _check(self) -> None:
        """ConfigError for a value that nothing can be evaluated with, before the simulation takes a minute to start."""
        from bm_core.errors import ConfigError
        from bm_core.g1 import CONTROL_DT
        from bm_training.require import require

        least = {"num_envs": 1, "repeats": 1, "starts_per_bin": 0, "episode_s": CONTROL_DT, "bin_s": CONTROL_DT}
        for name, limit in least.items():
            value = getattr(self, name)
            if value is not None and not limit <= value < math.inf:
                raise ConfigError(f"--{name.replace('_', '-')} {value:g}: must be at least {limit:g}")
        for name in ("require_completion", "require_body_error_mm"):
            require(not math.isnan(getattr(self, name)), name, "nan", "a number")

    def _evaluate(self, motions: LoadedMotionSet) -> tuple[IsaacEvaluation, PolicySource]:
        from bm_training.devices import usable_device
        from bm_training.tracking.env_cfg import tracking_env_cfg
        from bm_training.tracking.evaluation import Evaluator
        from bm_training.tracking.newton_overflow import silence_overflow
        from bm_training.tracking.policy_source import read_policy
        from bm_training.tracking.simulation import simulation
        from bm_training.tracking.tracking_env import TrackingEnv
        from bm_training.tracking.vec_env import TrackingVecEnv

        device = usable_device(self.device)
        policy = read_policy(self.policy, device)
        task = self._task(motions, policy, device)
        env_cfg = tracking_env_cfg(task)
        # Isaac Lab greets on stdout, a page per manager; stdout belongs to results.
        with redirect_stdout(sys.stderr), simulation(env_cfg):
            env = TrackingEnv(env_cfg)
            try:
                silence_overflow(env)
                evaluator = Evaluator(TrackingVecEnv(env), policy.act, report)
                return evaluator.evaluate(self._config(len(motions.clips))), policy
            finally:
                env.close()

    def _config(self, num_clips: int) -> IsaacEvaluationConfig:
        from bm_training.tracking.evaluation import IsaacEvaluationConfig

        automatic = max(1, self.num_envs // num_clips) if self.conditions == "training" else 1
        return IsaacEvaluationConfig(
            repeats=self.repeats or automatic,
            starts_per_bin=self.starts_per_bin,
            episode_s=self.episode_s,
            bin_s=self.bin_s,
        )

    def _task(self, motions: LoadedMotionSet, policy: PolicySource, device: str) -> TaskConfig:
        from bm_core.errors import ConfigError
        from bm_training.sampling import AdaptiveSamplerConfig, SamplingMode, StartStateConfig
        from bm_training.tracking.env_cfg import Backend, TaskConfig

        task = TaskConfig(
            load_motions=motions.on_device,
            num_envs=self.num_envs,
            backend=Backend(self.backend),
            device=device,
            seed=self.seed,
            state_estimation=policy.state_estimation,
            reference_window=policy.reference_window,
            motion_ids=policy.motion_ids,
            play=self.conditions == "nominal",
            sampler=AdaptiveSamplerConfig(mode=SamplingMode.UNIFORM, bin_s=self.bin_s),
            start_state=StartStateConfig(probability=0.0),
        )
        if policy.contract.observations != task.terms:
            names = ", ".join(term.name for term in policy.contract.observations)
            raise ConfigError(
                f"{policy.name}: its observation ({names}) is not that of our task; evaluate it in MuJoCo"
            )
        return task


def _print(rows: list[dict[str, Any]], summary: dict[str, Any], passed: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("clip", box=None, header_style="bold", pad_edge=False)
    headings = ("seconds", "completed", "failed (uniform starts)", "body mm", "MPKPE mm", "root-rel. mm", "joint rad")
    for heading in (*headings, "joint rad/s", "body m/s"):
        table.add_column(heading, justify="right")
    table.add_column("what ended it")
    for row in rows:
        rate = row.get("failure_rate_uniform")
        table.add_row(
            row["clip"],
            f"{row['seconds']:.1f}",
            f"{row['completed_episodes']}/{row['episodes']}",
            "-" if rate is None else f"{rate:.0%}",
            f"{1e3 * row['body_error_m']:.1f}",
            f"{1e3 * row['mpkpe_global_m']:.0f}",
            f"{1e3 * row['mpkpe_root_m']:.1f}",
            f"{row['joint_error_rad']:.3f}",
            f"{row['joint_velocity_error_rad_s']:.2f}",
            f"{row['body_velocity_error_m_s']:.2f}",
            f"{row['failure']} at {row['failed_at_s']:.2f} s" if row["failed_at_s"] is not None else "",
        )
    console = Console()
    console = console if console.is_terminal else Console(width=220)
    console.print(table)
    console.print(_verdict(summary, passed))


def _verdict(summary: dict[str, Any], passed: bool) -> str:
    low, high = summary["completion_interval"]
    lines = [
        f"{summary['completed']} of {summary['clips']} clips, {summary['completed_episodes']} of {summary['episodes']} "
        f"episodes completed ({summary['completion_rate']:.1%}, 95 % interval {low:.1%} to {high:.1%})",
        f"body error {1e3 * summary['body_error_m']:.1f} mm, MPKPE {1e3 * summary['mpkpe_global_m']:.0f} mm global, "
        f"{1e3 * summary['mpkpe_root_m']:.1f} mm root-relative, joints {summary['joint_error_rad']:.3f} rad, "
        f"{summary['joint_velocity_error_rad_s']:.2f} rad/s",
    ]
    if "bins" in summary:
        lines.append(
            f"uniform starts: {summary['uniform_completion_rate']:.1%} of {summary['uniform_episodes']} episodes "
            f"completed; failure rate of {summary['bins']} bins {summary['bin_failure_rate']:.2%} on average, "
            f"{summary['worst_tenth_failure_rate']:.2%} in the worst tenth"
        )
    return "\n".join([*lines, "passed" if passed else "FAILED"])


if __name__ == "__main__":
    sys.exit(run_as_module(EvaluateIsaacLab, "bm eval isaaclab"))
