"""The flat table of time bins over all clips: where a bin lies, how long it is, which bin a frame belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bm_core.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class BinTable:
    """Bins of equal duration, clip after clip; only a clip's last bin may be shorter. B bins, M motions.

    A clip of T frames has T - 1 control steps, so its bins hold T - 1 start frames, 0..T-2: nothing can be tracked from
    the last frame. The last frame, against which the last step is judged, belongs to the last bin.
    """

    motion: Tensor
    """Motion of each bin, (B,) int64."""
    first_frame: Tensor
    """First frame of each bin in its own clip, (B,) int64."""
    steps: Tensor
    """Duration of each bin in control steps = number of start frames in it, (B,) int64, >= 1."""
    motion_first_bin: Tensor
    """(M,) int64."""
    motion_num_bins: Tensor
    """(M,) int64, >= 1."""
    bin_steps: int
    """Control steps of a full bin."""

    @property
    def num_bins(self) -> int:
        return self.motion.shape[0]

    @property
    def num_motions(self) -> int:
        return self.motion_first_bin.shape[0]

    def bin_of(self, motion_id: Tensor, frame: Tensor) -> Tensor:
        """Flat bin of each frame, (E,), (E,) -> (E,) int64; frames past the end belong to the clip's last bin."""
        within = torch.minimum(frame // self.bin_steps, self.motion_num_bins[motion_id] - 1)
        return self.motion_first_bin[motion_id] + within

    def look_ahead(self, size: int, gamma: float) -> tuple[Tensor, Tensor]:
        """Indices and weights (B, size) of the kernel gamma^u over bins b..b+size-1 of the same clip; rows sum to 1.

        Renormalised where the clip ends. Edge replication instead would count its last bin several times.
        """
        ahead = torch.arange(size, device=self.motion.device)
        index = torch.arange(self.num_bins, device=self.motion.device)[:, None] + ahead
        end = (self.motion_first_bin + self.motion_num_bins)[self.motion][:, None]
        inside = index < end
        weight = torch.where(inside, gamma ** ahead.to(torch.float64), 0.0)
        return torch.minimum(index, end - 1), weight / weight.sum(-1, keepdim=True)


def build_bins(lengths: Sequence[int] | Tensor, bin_steps: int, device: torch.device | str = "cpu") -> BinTable:
    """Table for clips of `lengths` frames. Raises ConfigError for no clips or a clip of fewer than 2 frames."""
    frames = torch.as_tensor(lengths, dtype=torch.int64, device=device)
    if frames.ndim != 1 or len(frames) == 0:
        raise ConfigError(f"sampler: motion lengths of shape {tuple(frames.shape)}: must be (M,) with M >= 1")
    if bin_steps < 1:
        raise ConfigError(f"sampler: bins of {bin_steps} control steps: must be >= 1; raise bin_s")
    if int(frames.min()) < 2:
        raise ConfigError(
            f"sampler: motion {int(frames.argmin())} has {int(frames.min())} frame(s): at least 2 to track"
        )
    steps = frames - 1
    num_bins = torch.div(steps + bin_steps - 1, bin_steps, rounding_mode="floor")
    first_bin = num_bins.cumsum(0) - num_bins
    motion = torch.repeat_interleave(torch.arange(len(frames), device=device), num_bins)
    first_frame = (torch.arange(len(motion), device=device) - first_bin[motion]) * bin_steps
    return BinTable(
        motion=motion,
        first_frame=first_frame,
        steps=(steps[motion] - first_frame).clamp(max=bin_steps),
        motion_first_bin=first_bin,
        motion_num_bins=num_bins,
        bin_steps=bin_steps,
    )
