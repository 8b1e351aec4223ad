"""`bm train ablate`; also `python -m bm_training.tracking.ablate`. The protocol is in ablation.py."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from bm_sim2real.process_signals import temporary_folder
from bm_training.run_control import report, run_as_module

if TYPE_CHECKING:
    from bm_training.tracking.ablation import AblationPlan


@dataclass(frozen=True, kw_only=True)
class Ablate:
    """Table II of the paper on given motions: iterations until a clip completes in MuJoCo, by sampling mode.

    Training needs a GPU; checking needs MuJoCo and ONNX Runtime and may run elsewhere on the same folder. What is
    trained already is not trained again. Exit 0 done, 2 could not run.
    """

    out: Path
    """Folder of all runs: OUT/clip/mode-seed."""
    motions: str
    """Clips between commas; each is trained by itself."""
    modes: tuple[Literal["adaptive", "uniform", "start"], ...] = ("uniform", "adaptive")
    """Sampling modes, a column each."""
    seeds: int = 2
    """Runs of each."""
    max_iterations: int = 3000
    """PPO iterations of each run (the paper: 30 000)."""
    check_interval: int = 100
    """Iterations between the checkpoints that are tried in MuJoCo."""
    num_envs: int = 4096
    """Robots of a run."""
    parallel: int = 1
    """Trainings at once on this device."""
    phase: Literal["all", "train", "check"] = "all"
    """Only train, or only check what has been trained."""
    device: str | None = None
    """cuda:0, cpu, ...; default: a GPU where there is one."""
    backend: Literal["newton", "ovphysx", "physx"] = "newton"
    """Physics of the training."""
    train_options: Annotated[str, tyro.conf.arg(name="train-options")] = ""
    """More options of bm train tracking, in one text: --train-options="--hidden-dims 512 256 128"."""
    json: Path | None = None
    """Also write rows and table as one JSON document."""

    def __call__(self) -> int:
        from bm_sim2real.result_json import write_result
        from bm_training.tracking.ablation import AblationPlan, completes_in_mujoco, first_completion, summarize
        from bm_training.tracking.ablation import table_lines as lines_of

        self._check()
        plan = AblationPlan(
            out=self.out,
            clips=self._clips(),
            modes=self.modes,
            seeds=self.seeds,
            max_iterations=self.max_iterations,
            check_interval=self.check_interval,
        )
        if self.phase != "check":
            self._train(plan)
        if self.phase == "train":
            return 0
        rows = []
        with temporary_folder() as folder:
            for run in plan.runs:
                row = first_completion(run, lambda path, clip: completes_in_mujoco(path, clip, folder))
                report(f"{row['clip']} {row['mode']}-{row['seed']}: {row['iterations'] or 'not completed'}")
                rows.append(row)
        summary = summarize(rows)
        if self.json is not None:
            write_result(self.json, command="train ablate", rows=rows, summary=summary, passed=True)
        sys.stdout.write("\n".join(lines_of(summary, self.modes)) + "\n")
        return 0

    def _check(self) -> None:
        from bm_core.errors import ConfigError

        for name, value in (("--parallel", self.parallel), ("--num-envs", self.num_envs)):
            if value < 1:
                raise ConfigError(f"{name} {value}: must be at least 1")
        if not self.modes:
            raise ConfigError("--modes: no sampling mode; name at least one")

    def _clips(self) -> tuple[Path, ...]:
        """Files that are there and can be played: a training must not end at the last clip of many for a typing error.

        Raises ConfigError or ClipError.
        """
        from bm_core.errors import ConfigError
        from bm_core.motion import load_clip
        from bm_training.comma_list import named_parts

        paths = tuple(Path(part) for part in named_parts("--motions", self.motions.split(",")))
        for path in paths:
            if path.is_dir():
                raise ConfigError(f"--motions: {path} is a folder; name its clips, each is trained by itself")
            load_clip(path)
        return paths

    def _train(self, plan: AblationPlan) -> None:
        """Each run in a process of its own, `parallel` at once; ConfigError names the log of the first that fails."""
        from bm_core.errors import ConfigError

        waiting = [run for run in plan.runs if not plan.is_trained(run)]
        running: list[tuple[subprocess.Popen[bytes], Path]] = []
        try:
            while waiting or running:
                while waiting and len(running) < self.parallel:
                    run = waiting.pop(0)
                    run.run_dir.mkdir(parents=True, exist_ok=True)
                    log = run.run_dir / "train.log"
                    report(f"training {run.clip.stem} {run.mode}-{run.seed}: {log}")
                    with log.open("ab") as output:
                        process = subprocess.Popen(
                            self._command(plan.training_options(run)), stdout=output, stderr=output
                        )
                    running.append((process, log))
                time.sleep(1.0)
                for process, log in [entry for entry in running if entry[0].poll() is not None]:
                    running.remove((process, log))
                    if process.returncode != 0:
                        raise ConfigError(f"{log}: this training ended with code {process.returncode}; see there")
        finally:
            for process, _ in running:
                process.terminate()  # bm train tracking saves before it ends
            for process, _ in running:
                process.wait()

    def _command(self, options: list[str]) -> list[str]:
        command = [sys.executable, "-m", "bm_training.tracking.train", *options, "--num-envs", str(self.num_envs)]
        command += ["--backend", self.backend, *([] if self.device is None else ["--device", self.device])]
        return [*command, *self.train_options.split()]


if __name__ == "__main__":
    sys.exit(run_as_module(Ablate, "bm train ablate"))
