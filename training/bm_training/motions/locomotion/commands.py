"""`bm motion generate`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

from bm_core.errors import ConfigError
from bm_core.locomotion.config import GaitConfig
from bm_training.motions.locomotion.streams import StreamConfig


@dataclass(frozen=True, kw_only=True)
class Generate:
    """Generate walking clips from random velocity commands, a standing clip and stops, with a manifest beside them."""

    out: Path
    """Folder for the clips; made if missing."""
    minutes: float = 5.0
    """Total length of the streams; 0: none."""
    num: int | None = None
    """Number of streams, of equal length; default: as many as it takes, 20-60 s each."""
    seed: int = 0
    """Equal seeds give equal clips."""
    stand: bool = True
    """Also write stand.npz (10 s)."""
    stop_phases: int = 4
    """Also write stop clips, this many phases of the stride for each of ten velocities; 0: none."""
    stream: StreamConfig = field(default_factory=StreamConfig)
    gait: GaitConfig = field(default_factory=GaitConfig)

    def __call__(self) -> int:
        from rich.console import Console
        from rich.progress import Progress

        from bm_training.motions.locomotion.clip_set import write_set
        from bm_training.motions.locomotion.clips import ClipSetPlan

        if self.minutes < 0.0 or self.stop_phases < 0 or (self.num is not None and self.num < 1):
            raise ConfigError("motion generate: --minutes and --stop-phases must be >= 0, --num >= 1")
        plan = ClipSetPlan.make(self.minutes, self.num, self.seed, has_stand=self.stand, stop_phases=self.stop_phases)
        recipe = {"seed": self.seed, "gait": asdict(self.gait), "stream": asdict(self.stream)}
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("generating", total=len(plan))
            written = write_set(
                self.out, plan.clips(self.stream, self.gait), recipe, lambda n: progress.update(task, completed=n)
            )
        minutes = sum(clip.seconds for clip in written) / 60.0
        Console().print(f"{len(written)} clips, {minutes:.1f} min: {self.out}")
        return 0
