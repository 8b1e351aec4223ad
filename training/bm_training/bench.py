"""`bm bench training`: the parts of a training step that are ours, without a simulator."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class BenchTraining:
    """Time the adaptive sampler and the motion library's gather. Exit 0 measured, 2 could not run.

    Both must cost the same for few motions and for many. Whole training steps: `bm train tracking` prints them.
    """

    num_envs: int = 4096
    """Environments that start, step or gather in one call."""
    motions: tuple[int, ...] = (5, 46, 1000)
    """Sizes of the motion set, one row each."""
    repeats: int = 200
    """Calls to time."""
    device: str = "cpu"
    """Torch device."""
    json: Path | None = None
    """Also write rows and summary as one JSON document."""

    def __call__(self) -> int:
        from rich.console import Console
        from rich.table import Table

        from bm_core.errors import ConfigError
        from bm_sim2real.result_json import write_result
        from bm_training.devices import usable_device
        from bm_training.sampling.benchmark import benchmark_sampler

        if min(self.num_envs, self.repeats, *self.motions) < 1:
            raise ConfigError("--num-envs, --repeats and --motions must be at least 1")
        usable_device(self.device)
        sampled = benchmark_sampler(
            num_motions=self.motions, num_envs=self.num_envs, repeats=self.repeats, device=self.device
        )
        rows = [
            {
                "name": f"sampler {row.operation}, {row.motions} motions",
                "p50": row.p50_ms,
                "p99": row.p99_ms,
                "max": row.max_ms,
                "unit": "ms",
            }
            for row in sampled
        ] + [self._gather(motions) for motions in self.motions]
        if self.json is not None:
            summary = {row["name"]: {key: row[key] for key in ("p50", "p99", "max", "unit")} for row in rows}
            write_result(self.json, command="bench training", rows=rows, summary=summary, passed=True)
        table = Table("what", "p50 ms", "p99 ms", "max ms", box=None, header_style="bold", pad_edge=False)
        for row in rows:
            table.add_row(row["name"], *(f"{row[key]:.3f}" for key in ("p50", "p99", "max")))
        Console(highlight=False).print(table)
        return 0

    def _gather(self, motions: int) -> dict[str, Any]:
        """One reference frame for each environment, from so many copies of a shipped stream."""
        import torch

        from bm_core.data import shipped
        from bm_core.motion import load_clip
        from bm_training.sampling.benchmark import percentiles
        from bm_training.tracking.motion_library import MotionLibrary

        clip = load_clip(shipped("motions", "stream_s2_000.npz"), end_s=2.0)
        library = MotionLibrary([clip] * motions, device=self.device)
        generator = torch.Generator(self.device).manual_seed(0)
        motion = torch.randint(motions, (self.num_envs,), generator=generator, device=self.device)
        frame = torch.randint(clip.num_frames, (self.num_envs,), generator=generator, device=self.device)
        p50, p99, slowest = percentiles(lambda: library.gather(motion, frame), self.repeats, library.device)
        return {"name": f"motion gather, {motions} motions", "p50": p50, "p99": p99, "max": slowest, "unit": "ms"}
