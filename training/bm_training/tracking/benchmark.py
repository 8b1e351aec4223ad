"""Speed of the tracking task on this machine, beside mjlab's G1 tracking task where it is installed.

python -m bm_training.tracking.benchmark [--num-envs 4096 8192 16384] [--peer-python PYTHON] [--json FILE]

A process holds one simulation, so each number of environments and each side gets its own. Alike on both sides: solver
iterations, line search, njmax, nconmax, physics step, decimation, observation (160), networks, PPO numbers.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bm_core.errors import ConfigError
from bm_sim2real.process_signals import temporary_folder
from bm_training.run_control import report, run_as_module

RESULT = "RESULT "
"""What a measuring process prints before its JSON line."""

_PEER_SCRIPT = Path(__file__).with_name("benchmark_mjlab.py")


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Environment and training steps per second. Exit 0 measured, 2 could not run."""

    num_envs: tuple[int, ...] = (4096, 8192, 16384)
    """Robots at once; one after the other."""
    device: str = "cuda:0"
    motion: Path | None = None
    """Clip that both sides track; default: the shipped dance."""
    library_minutes: float = 0.0
    """Ours: repeat the clip until the library lasts this long; 0: once."""
    hidden_dims: tuple[int, ...] = (512, 256, 128)
    """Of actor and critic, both sides."""
    njmax: int = 250
    """Constraint rows of a world, both sides (mjlab's own number)."""
    nconmax: int = 50
    """Contacts of a world, both sides."""
    iterations: int = 15
    """PPO iterations that are timed,"""
    warm_up: int = 5
    """after so many that are not."""
    env_steps: int = 240
    """Control steps for the rate without learning."""
    solver_loop: bool = False
    """Ours: all physics steps of a control step in one CUDA graph."""
    profile: bool = False
    """Ours: also count kernel launches and synchronisations of a step, and time its parts."""
    peer: bool = True
    """Measure mjlab, too, if it is there."""
    peer_python: Path | None = None
    """Interpreter that has mjlab 1.6.0; default: .venv-peers/bin/python, else this one with --peer-path."""
    peer_path: str | None = None
    """PYTHONPATH for it, where mjlab is only a folder."""
    timeout_s: float = 900.0
    """Of each process."""
    json: Path | None = None
    """Also write rows and summary as one JSON document."""

    def __call__(self) -> int:
        from bm_sim2real.result_json import write_result

        rows: list[dict[str, Any]] = []
        peer = self._peer() if self.peer else None
        with temporary_folder() as folder:
            clip = folder / "motion.npz"
            self._write_clip(clip)
            for num_envs in self.num_envs:
                rows.append(self._measure([sys.executable, "-m", f"{__package__}.benchmark_task"], num_envs, clip))
                if peer is not None:
                    rows.append(self._measure([str(peer[0]), str(_PEER_SCRIPT)], num_envs, clip, path=peer[1]))
                report(_table(rows))
        summary = summarize(rows)
        if self.json is not None:
            write_result(self.json, command="bench training", rows=rows, summary=summary, passed=True)
        sys.stdout.write(_table(rows) + "\n" + _ratios(summary) + "\n")
        return 0

    # -- parts

    def _measure(self, command: Sequence[str], num_envs: int, clip: Path, path: str | None = None) -> dict[str, Any]:
        """One process; its RESULT line. Raises ConfigError with the end of its output if there is none."""
        options = {
            "num_envs": num_envs,
            "device": self.device,
            "motion": str(clip),
            "library_minutes": max(self.library_minutes, 1.0e-3),
            "hidden_dims": list(self.hidden_dims),
            "njmax": self.njmax,
            "nconmax": self.nconmax,
            "iterations": self.iterations,
            "warm_up": self.warm_up,
            "env_steps": self.env_steps,
            "solver_loop": self.solver_loop,
            "profile": self.profile,
        }
        # Nobody renders, and an accelerator's image need not have EGL.
        environment = {**os.environ, "MUJOCO_GL": "disable"}
        if path is not None:
            environment["PYTHONPATH"] = path
        report(f"measuring {num_envs} robots: {' '.join(command[1:])}")
        run = subprocess.run(
            [*command, json.dumps(options)], capture_output=True, text=True, env=environment, timeout=self.timeout_s
        )
        lines = [line for line in run.stdout.splitlines() if line.startswith(RESULT)]
        if not lines:
            tail = (run.stderr or run.stdout)[-3000:]
            raise ConfigError(f"benchmark: {' '.join(command[1:])} with {num_envs} robots gave no result:\n{tail}")
        return json.loads(lines[-1].removeprefix(RESULT))

    def _peer(self) -> tuple[Path, str | None] | None:
        here = Path(__file__).resolve().parents[3] / ".venv-peers" / "bin" / "python"
        python = self.peer_python or (Path(sys.executable) if self.peer_path is not None else here)
        environment = dict(os.environ) if self.peer_path is None else {**os.environ, "PYTHONPATH": self.peer_path}
        try:
            found = subprocess.run(
                [str(python), "-c", "import importlib.util as u; assert u.find_spec('mjlab')"],
                env=environment,
                capture_output=True,
            )
        except OSError:
            found = None
        if found is None or found.returncode != 0:
            report("mjlab is not here (make install-peers, or --peer-python, --peer-path): measuring ours alone")
            return None
        return python, self.peer_path

    def _write_clip(self, file: Path) -> None:
        """The clip as mjlab reads it: all bodies in MJCF order; ours reads the names beside them."""
        from bm_core.data import shipped
        from bm_core.motion import load_clip, save_clip

        save_clip(load_clip(self.motion or shipped("motions", "dance.npz")), file)


def summarize(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """By number of robots: ours / mjlab for training and environment, environment / physics alone."""
    summary: dict[str, Any] = {}
    for num_envs in dict.fromkeys(row["num_envs"] for row in rows):
        sides = {row["side"]: row for row in rows if row["num_envs"] == num_envs}
        ours, peer = sides.get("ours"), sides.get("mjlab")
        ratios: dict[str, float] = {}
        if ours is not None:
            ratios["env_over_empty"] = ours["env_steps_per_s"] / ours["physics_steps_per_s"]
            if peer is not None:
                ratios["training_over_mjlab"] = ours["training_steps_per_s"] / peer["training_steps_per_s"]
                ratios["env_over_mjlab"] = ours["env_steps_per_s"] / peer["env_steps_per_s"]
        summary[str(num_envs)] = ratios
    return summary


def _table(rows: Sequence[dict[str, Any]]) -> str:
    headings = f"{'training/s':>12}{'env only/s':>12}{'empty MDP/s':>13}{'collect s':>11}{'learn s':>9}{'MiB':>9}"
    lines = [f"{'robots':>7} {'side':<7}{headings}"]
    for row in rows:
        physics = f"{row['physics_steps_per_s']:>13,.0f}" if "physics_steps_per_s" in row else f"{'-':>13}"
        parts = f"{row.get('collect_s', float('nan')):>11.3f}{row.get('learn_s', float('nan')):>9.3f}"
        parts += f"{row.get('memory_mib', float('nan')):>9,.0f}"
        rates = f"{row['training_steps_per_s']:>12,.0f}{row['env_steps_per_s']:>12,.0f}"
        lines.append(f"{row['num_envs']:>7} {row['side']:<7}{rates}{physics}{parts}")
        if "profile" in row:
            lines.append(json.dumps(row["profile"], indent=2))
    return "\n".join(lines)


def _ratios(summary: dict[str, Any]) -> str:
    lines = []
    for num_envs, ratios in summary.items():
        lines += [f"{num_envs}: " + ", ".join(f"{name} {value:.2f}" for name, value in ratios.items())]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(run_as_module(Benchmark, "python -m bm_training.tracking.benchmark"))
