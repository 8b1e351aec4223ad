"""`bm eval tracking`: how well does a tracker follow which motions?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from rich.table import Table

    from bm_sim2real.evaluation import ClipResult, EvaluationConfig
    from bm_sim2real.expert_evaluation import Played

_MUJOCO_ONLY = (
    "experts",
    "pushes",
    "seeds",
    "start",
    "delay_ms",
    "friction",
    "mass_scale",
    "gain_scale",
    "strength_scale",
    "jobs",
)
"""Options that Isaac Lab's evaluation has none of."""


@dataclass(frozen=True, kw_only=True)
class EvalTracking:
    """Play a tracker on clips in MuJoCo; report completion and errors. Exit 0 passed, 1 failed, 2 could not run.

    Completed = torso height, torso tilt and the heights of hands and feet stay within the trainer's limits until the
    clip's end, on simulator ground truth. Errors are of the re-anchored reference, 14 bodies, until a failure.
    """

    policy: Path | None = None
    """Policy bundle (.onnx); default: the shipped g1_tracker.onnx."""
    motions: str | None = None
    """Motion files, folders and policies with a motion inside, between commas; default: the policy's own motion if it
    has one inside, else the shipped clips."""
    motion_set: str | None = None
    """Motion set instead: a shipped one's name or a .yaml file."""
    motion_root: Path | None = None
    """Folder that ${MOTIONS} stands for in a motion set; default: the variable BM_MOTIONS."""
    experts: Literal["use", "compare", "ignore"] = "use"
    """Motions that name a policy bundle: played by it, by it and by --policy side by side, or by --policy alone."""
    backend: Literal["mujoco", "isaaclab"] = "mujoco"
    """isaaclab: on the trainer's physics, many robots at once; its own options: bm eval isaaclab --help."""
    pushes: bool = False
    """Push the pelvis every 1 to 3 s as the reference does; clips are then played in parts of at most 10 s."""
    seeds: int = 1
    """Runs of every part with other pushes."""
    start: Literal["reference", "stand"] = "reference"
    """Begin on the clip's first frame, or stand and enter it through a blend."""
    delay_ms: int = 0
    """From command to motor, ms; a multiple of 2."""
    friction: float = 1.0
    """Between soles and floor."""
    mass_scale: float = 1.0
    """Factor on all masses and inertias."""
    gain_scale: float = 1.0
    """Factor on the motors' stiffness and damping."""
    strength_scale: float = 1.0
    """Factor on the motors' effort limits."""
    require_completion: float = 0.9
    """Passed needs at least this share of episodes completed,"""
    require_body_error_mm: float = 60.0
    """and at most this body error, mm."""
    jobs: int | None = None
    """Processes; default: the cores of this machine."""
    provider: str = "cpu"
    """Execution provider of the network: auto, cpu, cuda or tensorrt; falls back to the CPU with a warning."""
    json: Path | None = None
    """Also write rows and summary as one JSON document."""

    def __call__(self) -> int:
        from bm_core.data import shipped
        from bm_sim2real.clip_files import chosen_clips, has_motion_inside
        from bm_sim2real.commands.progress import cores, tracked, wide_console
        from bm_sim2real.evaluation_batch import plan_episodes, row, with_base_state
        from bm_sim2real.expert_evaluation import Experts, assignments, run_with_experts
        from bm_sim2real.result_json import write_result

        policy = self.policy or shipped("policies", "g1_tracker.onnx")
        if self.backend == "isaaclab":
            return self._in_isaaclab(policy)
        config = with_base_state(self._config(), policy)
        own = str(policy) if self.motion_set is None and has_motion_inside(policy) else None
        clips = chosen_clips(self.motions or own, self.motion_set, self.motion_root)
        episodes = plan_episodes(clips, self.seeds, is_pushed=self.pushes)
        experts = Experts(self.experts)
        with tracked("episodes", sum(map(len, assignments(policy, episodes, experts)))) as advance:
            played = run_with_experts(
                policy,
                episodes,
                self._config(),
                experts,
                provider=self.provider,
                jobs=self.jobs or cores(),
                on_result=advance,
            )
        summary = {**_summary(played, policy), **self._conditions(config)}
        passed = self._is_passed(summary)
        if self.json is not None:
            rows = [{**row(one.result), "policy": Path(one.policy).name} for one in played]
            write_result(self.json, command="eval tracking", rows=rows, summary=summary, passed=passed)
        console = wide_console()
        for name, table in _tables(played):
            console.print(*([f"played by {name}"] if name else []), table, sep="\n")
        console.print(_verdict(summary, passed))
        return 0 if passed else 1

    def _in_isaaclab(self, policy: Path) -> int:
        """As `bm eval isaaclab`, which lives beside the trainer; nothing of it is imported here but by name."""
        from bm_core.data import shipped_folder
        from bm_core.errors import ConfigError
        from bm_sim2real.cli import main

        changed = [name for name in _MUJOCO_ONLY if getattr(self, name) != getattr(type(self), name)]
        if changed:
            raise ConfigError(f"--{changed[0].replace('_', '-')} is for MuJoCo; see bm eval isaaclab --help")
        words = ["eval", "isaaclab", str(policy)]
        motions = self.motions or (str(shipped_folder("motions")) if self.motion_set is None else None)
        given = {"motions": motions, "motion-set": self.motion_set, "motion-root": self.motion_root, "json": self.json}
        for name, value in given.items():
            words += [] if value is None else [f"--{name}", str(value)]
        words += ["--require-completion", str(self.require_completion)]
        return main([*words, "--require-body-error-mm", str(self.require_body_error_mm)])

    def _config(self) -> EvaluationConfig:
        from bm_sim2real.evaluation import EvaluationConfig, Start
        from bm_sim2real.pushes import PushConfig
        from bm_sim2real.robots.simulation_config import SimulationConfig

        simulation = SimulationConfig(
            delay_ms=self.delay_ms,
            friction=self.friction,
            mass_scale=self.mass_scale,
            gain_scale=self.gain_scale,
            strength_scale=self.strength_scale,
        )
        pushes = PushConfig() if self.pushes else None
        return EvaluationConfig(simulation=simulation, start=Start(self.start), pushes=pushes)

    def _conditions(self, config: EvaluationConfig) -> dict[str, Any]:
        """Under which the numbers were measured; they belong to the result."""
        from dataclasses import asdict

        simulation = {**asdict(config.simulation), "base_state": config.simulation.base_state.value}
        return {"start": self.start, "pushes": self.pushes, "seeds": self.seeds, "simulation": simulation}

    def _is_passed(self, summary: dict[str, Any]) -> bool:
        return (
            summary["completion_rate"] >= self.require_completion
            and summary["body_error_m"] <= 1e-3 * self.require_body_error_mm
        )


def _summary(played: Sequence[Played], policy: Path) -> dict[str, Any]:
    """Each motion by whom its set names; beside it, every policy by itself and who is better where both played."""
    from bm_sim2real.evaluation_batch import summarize
    from bm_sim2real.expert_evaluation import by_policy, duel

    rivals = duel(played, policy)
    chosen = [one.result for one in played if not (one.policy == str(policy) and one.result.clip in rivals)]
    policies = {Path(path).name: summary for path, summary in by_policy(played).items()}
    extra = {"policies": policies, "duel": rivals} if len(policies) > 1 else {}
    return {**summarize(chosen), **extra}


def _tables(played: Sequence[Played]) -> list[tuple[str, Table]]:
    """One table a policy, with its name if there are several."""
    paths = list(dict.fromkeys(one.policy for one in played))
    tables = [_table([one.result for one in played if one.policy == path]) for path in paths]
    return [(Path(path).name if len(paths) > 1 else "", table) for path, table in zip(paths, tables, strict=True)]


def _table(results: Sequence[ClipResult]) -> Table:
    """One line a clip: episodes taken together, the calm clips first, the acrobatic apart."""
    from rich.table import Table

    table = Table("clip", box=None, header_style="bold", pad_edge=False)
    for heading in ("seconds", "completed", "joint rad", "body mm", "anchor mm", "tick p50 / p99 ms"):
        table.add_column(heading, justify="right")
    table.add_column("what ended it")
    names = list(dict.fromkeys(result.clip for result in results))
    groups = [[result for result in results if result.clip == name] for name in names]
    for is_acrobatic in (False, True):
        for group in groups:
            if group[0].is_acrobatic is is_acrobatic:
                table.add_row(*_cells(group))
        if not is_acrobatic:
            table.add_section()
    return table


def _cells(group: Sequence[ClipResult]) -> list[str]:
    from bm_sim2real.evaluation_batch import summarize

    summary = summarize(group)
    tick = summary["tick_ms"]
    failed = [result for result in group if not result.completed]
    return [
        group[0].clip,
        f"{sum(result.seconds for result in group):.1f}",
        f"{summary['completed_episodes']}/{len(group)}",
        f"{summary['joint_error_rad']:.3f}",
        f"{1e3 * summary['body_error_m']:.1f}",
        f"{1e3 * summary['anchor_error_m']:.0f}",
        f"{tick['p50']:.2f} / {tick['p99']:.2f}" if tick else "-",
        _ending(failed[0]) if failed else "",
    ]


def _ending(result: ClipResult) -> str:
    """Short enough for the table; the JSON document has it all."""
    if result.failed_at_s is None:
        return result.detail
    cause = f"{result.failure} {result.fault}".strip()
    return f"{cause} at {result.start_s + result.failed_at_s:.2f} s"


def _verdict(summary: dict[str, Any], passed: bool) -> str:
    low, high = summary["completion_interval"]
    tick = summary["tick_ms"]
    lines = [
        f"{summary['completed']} of {summary['clips']} clips, {summary['completed_episodes']} of {summary['episodes']} "
        f"episodes completed ({summary['completion_rate']:.1%}, 95 % interval {low:.1%} to {high:.1%})",
        f"body error {1e3 * summary['body_error_m']:.1f} mm, anchor {1e3 * summary['anchor_error_m']:.0f} mm, "
        f"joints {summary['joint_error_rad']:.3f} rad; {summary['guard_stops']} stopped by a guard, "
        f"{summary['clamp_share']:.2%} of joint-ticks clamped",
    ]
    if tick:
        lines.append(
            f"tick {tick['p50']:.2f} ms p50, {tick['p99']:.2f} p99, {tick['max']:.2f} max; "
            f"{summary['realtime_factor']:.1f} x real time per process"
        )
    return "\n".join([*lines, "passed" if passed else "FAILED"])
