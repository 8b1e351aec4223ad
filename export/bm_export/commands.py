"""`bm export ...`: from a training run to a file that a robot can run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True, kw_only=True)
class ExportTracking:
    """Turn a checkpoint into a policy bundle: ONNX graph, contract, golden trace; proven before it is written."""

    checkpoint: tyro.conf.Positional[Path]
    """model_*.pt or best.pt of bm train tracking, or a run's folder: its newest checkpoint."""
    out: Path = Path("policies/g1_tracker.onnx")
    """Policy bundle to write."""
    clip: tuple[Path, ...] = ()
    """Clips or folders to play for the golden trace; default: the shipped clips."""

    def __call__(self) -> int:
        from bm_core.data import shipped_folder
        from bm_core.errors import ClipError
        from bm_core.motion import find_clips, load_clip
        from bm_export.checkpoint import load_tracker
        from bm_export.tracker import export_tracker

        tracker = load_tracker(self.checkpoint)
        paths = [path for where in self.clip or (shipped_folder("motions"),) for path in find_clips(where)]
        if not paths:
            raise ClipError("no clip to play for the golden trace; give one with --clip")
        chosen = [paths[i] for i in sorted({0, len(paths) // 2, len(paths) - 1})]
        report = export_tracker(tracker.actor, tracker.contract, [load_clip(path) for path in chosen], self.out)
        print(
            f"{report.path}: {report.num_bytes / 1e6:.1f} MB, {tracker.contract.observation_dim} observations; "
            f"ONNX against torch {report.parity_error:.1e}; golden trace of {report.trace.num_ticks} ticks replayed"
        )
        return 0
