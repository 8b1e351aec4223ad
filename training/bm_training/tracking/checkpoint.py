"""Checkpoints: whole files or none, the last few and the best, everything that a resumed run needs."""

from __future__ import annotations

import io
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bm_core.atomic_file import atomic_write_bytes
from bm_core.errors import ConfigError

FORMAT = 1
_FOLDER = "checkpoints"
_BEST = "best.pt"


@dataclass(frozen=True, kw_only=True)
class CheckpointFolder:
    """The checkpoints of one run."""

    run_dir: Path
    keep_last: int = 3
    """Older ones are removed; the best one is kept besides."""

    @property
    def folder(self) -> Path:
        return self.run_dir / _FOLDER

    def save(self, state: dict[str, Any], iteration: int) -> Path:
        """Write model_NNNNNN.pt and remove what is too old: only numbers up to this one, whoever wrote the others."""
        path = self.folder / f"model_{iteration:06d}.pt"
        _write(state, path)
        past = [file for file in self.numbered() if _number(file) <= iteration]
        for old in past[: -self.keep_last]:
            old.unlink()
        return path

    def save_best(self, state: dict[str, Any]) -> None:
        """Replace best.pt."""
        _write(state, self.folder / _BEST)

    def save_environment(self, state: dict[str, Any], rank: int) -> None:
        """Replace environment_R.pt, which belongs to the newest numbered checkpoint alone."""
        _write(state, self.folder / f"environment_{rank}.pt")

    def load_environment(self, iteration: int, rank: int, device: str) -> dict[str, Any] | None:
        """What `save_environment` wrote after that iteration; None if it is of another one, or not there."""
        path = self.folder / f"environment_{rank}.pt"
        if not path.is_file():
            return None
        state = torch.load(path, map_location=device, weights_only=False)
        return state if state.get("iteration") == iteration else None

    def numbered(self) -> list[Path]:
        """model_N.pt, oldest first."""
        return sorted((file for file in self.folder.glob("model_*.pt") if _number(file) >= 0), key=_number)


def find_checkpoint(run_or_file: Path) -> Path:
    """The file itself, or the newest checkpoint of a run's folder. ConfigError if there is none."""
    if run_or_file.is_file():
        if run_or_file.suffix == ".onnx":
            raise ConfigError(f"{run_or_file}: an exported bundle; give the run or checkpoint (.pt) that it is from")
        return run_or_file
    found = CheckpointFolder(run_dir=run_or_file).numbered()
    if not found:
        raise ConfigError(f"{run_or_file}: neither a checkpoint nor a run with {_FOLDER}/model_*.pt in it")
    return found[-1]


def run_of(checkpoint: Path) -> Path:
    """Folder of the run that a checkpoint lies in."""
    return checkpoint.resolve().parent.parent


def check_run_dir(run_dir: Path, resume: Path | None = None, *, can_resume: bool = True) -> None:
    """ConfigError if `run_dir` holds a run already, unless `resume` (run or checkpoint) goes on from its newest state.

    Also if it is a file. Two runs in one folder would prune each other's checkpoints and mix their logs. So would a run
    that goes back to an older checkpoint of its own: that one needs another folder.
    """
    if run_dir.is_file():
        raise ConfigError(f"{run_dir}: a file, not the folder of a run; give another --run-dir")
    numbered = CheckpointFolder(run_dir=run_dir).numbered()
    if not numbered:
        return
    path = None if resume is None else find_checkpoint(resume)
    if path is None or run_of(path) != run_dir.resolve():
        remedy = "--resume it, or give another --run-dir" if can_resume else "give another --run-dir"
        raise ConfigError(f"{run_dir}: holds a run already ({numbered[-1].name}); {remedy}")
    if path.resolve() != numbered[-1].resolve() and _iteration_in(path) < _number(numbered[-1]):
        raise ConfigError(
            f"{path}: its run has gone on to {numbered[-1].name}; resume from that, or give another --run-dir"
        )


def load_checkpoint(path: Path, device: str) -> dict[str, Any]:
    """What `save` wrote. ConfigError for something else."""
    try:
        # The file holds optimiser and generator states beside tensors: only ever load your own runs.
        state = torch.load(path, map_location=device, weights_only=False)
    except Exception as error:  # torch raises whatever the damaged pickle makes of itself
        raise ConfigError(f"{path.name}: not a readable checkpoint ({type(error).__name__})") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise ConfigError(f"{path.name}: not a checkpoint of this program (format {FORMAT} expected)")
    return state


def random_states() -> dict[str, Any]:
    """Of Python, NumPy, torch and the current CUDA device."""
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
    }


def set_random_states(states: dict[str, Any]) -> None:
    """Continue where `random_states` was taken; a device's state is skipped on another kind of device."""
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    torch.set_rng_state(states["torch"].cpu())
    if states["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"].cpu())


def _number(path: Path) -> int:
    """model_000250.pt -> 250; -1 for other names."""
    digits = path.stem.removeprefix("model_")
    return int(digits) if digits.isdecimal() else -1


def _iteration_in(path: Path) -> int:
    """Iterations, or steps of a diffusion model, that a checkpoint of any name has behind it."""
    state = load_checkpoint(path, "cpu")
    return int(state.get("iteration", state.get("step", 0)))


def _write(state: dict[str, Any], path: Path) -> None:
    file = io.BytesIO()  # on a full disk torch raises something that nobody could tell from a bug
    torch.save(state, file)
    atomic_write_bytes(path, file.getvalue())
