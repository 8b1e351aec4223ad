"""`bm motion retarget`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from bm_core.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from bm_training.motions.retarget.quality import RetargetQuality


@dataclass(frozen=True, kw_only=True)
class Retarget:
    """Turn a human capture into a clip of the G1; measure foot slip, penetration and errors. Exit 0 good, 1 poor."""

    source: Annotated[str, tyro.conf.Positional]
    """Capture (.npz with link poses, Isaac Lab AMP format), or amp:walk, amp:run, amp:dance inside isaaclab."""
    out: Path
    """Clip to write (.npz)."""
    name: str = ""
    """Name of the clip; default: the file name of --out."""
    loop_seconds: float = 0.0
    """Repeat the best gait cycle for at least this long, s; 0: keep the capture as it is."""
    cutoff: float = 8.0
    """Low-pass on the capture, Hz."""
    json: Path | None = None
    """Also write rows and summary as one JSON document."""

    def __call__(self) -> int:
        from rich.console import Console
        from rich.progress import Progress

        from bm_core.motion import save_clip
        from bm_sim2real.result_json import write_result
        from bm_training.motions.retarget.capture import find_capture, read_capture
        from bm_training.motions.retarget.pipeline import RetargetConfig, retarget
        from bm_training.motions.retarget.quality import measure

        if self.out.suffix != ".npz":
            raise ConfigError(f"--out {self.out}: clips are saved as .npz")
        if self.loop_seconds < 0.0 or self.cutoff <= 0.0:
            raise ConfigError("motion retarget: --loop-seconds must be >= 0, --cutoff > 0")
        capture = read_capture(find_capture(self.source))
        config = RetargetConfig(cutoff=self.cutoff, loop_seconds=self.loop_seconds)
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("inverse kinematics", total=None)
            result = retarget(
                capture,
                config,
                name=self.name or self.out.stem,
                progress=lambda done, total: progress.update(task, completed=done, total=total),
            )
        quality = measure(result)
        save_clip(result.clip, self.out)
        _print_quality(Console(), result.clip.name, quality)
        if self.json is not None:
            row = {"clip": result.clip.name, "source": self.source, **asdict(quality)}
            summary = {"clips": 1, "failed": int(not quality.passed)}
            write_result(self.json, command="motion retarget", rows=[row], summary=summary, passed=quality.passed)
        return 0 if quality.passed else 1


def _print_quality(console: Console, name: str, quality: RetargetQuality) -> None:
    from rich.table import Table

    table = Table("clip", "s", "slip mm/s", "worst", "sinks mm", "floats mm", "fastest joint", "rad/s")
    table.add_row(
        name,
        f"{quality.seconds:.2f}",
        f"{1e3 * quality.slip:.1f}",
        f"{1e3 * quality.worst_slip:.0f}",
        f"{1e3 * quality.penetration:.1f}",
        f"{1e3 * quality.floating:.1f}",
        quality.fastest_joint.removesuffix("_joint"),
        f"{quality.joint_speed:.1f}",
    )
    console.print(table)
