"""What a control step pays for its motion library: lookups and memory for libraries of some to 200 minutes.

Run: python -m bm_training.tracking.library_benchmark [--minutes 1 30 200] [--device cuda]
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import torch

from bm_core.data import shipped
from bm_training.sampling import AdaptiveSampler, AdaptiveSamplerConfig, EpisodeCounter
from bm_training.sampling.benchmark import percentiles
from bm_training.tracking.motion_set import motion_set_of_paths, repeated

if TYPE_CHECKING:
    from bm_training.tracking.motion_library import MotionLibrary

WINDOW = (4, 8, 16)


class LibraryStep:
    """Everything that a control step asks of the library: frame, window, end of clip, statistics, starts."""

    def __init__(self, library: MotionLibrary, num_envs: int) -> None:
        generator = torch.Generator(library.device).manual_seed(0)
        self._library, self._num = library, num_envs
        self._sampler = AdaptiveSampler(
            AdaptiveSamplerConfig(), library.motion_length, library.motion_weight, library.fps, generator, library.names
        )
        self._counter = EpisodeCounter(self._sampler, num_envs)
        self._motion, self._frame = self._sampler.sample(num_envs)
        self._window = torch.tensor(WINDOW, device=library.device)
        self._mask = torch.arange(num_envs, device=library.device) % 50 == 0

    def __call__(self) -> list[torch.Tensor]:
        library = self._library
        frames, window = (
            library.gather(self._motion, self._frame),
            library.window(self._motion, self._frame, self._window),
        )
        is_over = library.is_over(self._motion, self._frame)
        self._counter.fail(self._mask)
        motion, frame = self._sampler.sample(self._num)
        self._counter.restart(self._mask, motion, frame)
        self._counter.step(self._motion, self._frame)
        return [frames.joint_pos, frames.body_pos_w, window.joint_pos, window.anchor_pos_w, is_over, motion, frame]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, nargs="+", default=[1.0, 30.0, 200.0], help="length of the library")
    parser.add_argument("--device", default="cpu", help="torch device, e.g. cuda")
    parser.add_argument("--num-envs", type=int, default=4096)
    args = parser.parse_args()
    print(f"{args.num_envs} environments, {args.device}, torch {torch.__version__}")
    print(f"{'minutes':>8}{'motions':>9}{'bins':>8}{'MiB':>8}{'p50 ms':>9}{'p99 ms':>9}")
    clips = motion_set_of_paths([str(shipped("motions", name)) for name in ("dance.npz", "walk_loop.npz", "run.npz")])
    for minutes in args.minutes:
        library = repeated(clips, minutes).on_device(args.device).library
        step = LibraryStep(library, args.num_envs)
        p50, p99, _ = percentiles(step, 200, library.device)
        bins = int(((library.motion_length - 1 + 49) // 50).sum())
        size = library.num_bytes / 2**20
        print(f"{minutes:>8g}{library.num_motions:>9}{bins:>8}{size:>8.0f}{p50:>9.3f}{p99:>9.3f}")


if __name__ == "__main__":
    main()
