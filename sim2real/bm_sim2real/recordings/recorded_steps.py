"""Recorded control steps in one form, whether they come from `bm run --record` or from a bag."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bm_core.errors import ConfigError
from bm_core.npz_file import CORRUPT_NPZ
from bm_sim2real.recordings.cdr import Vector, read_policy_vector, read_string
from bm_sim2real.recordings.mcap_file import bag_files, read_messages

OBSERVATION, ACTION, DESCRIPTION = "/policy/observation", "/policy/action", "/policy/description"


@dataclass(frozen=True, kw_only=True)
class RecordedSteps:
    """What the network saw and said, in order."""

    observation: NDArray[np.float32]
    """(T, N)"""
    action: NDArray[np.float32]
    """(T, A)"""
    frame: NDArray[np.int64]
    """(T,) of the reference, for networks with a motion inside."""
    step: NDArray[np.int64]
    """(T,) number of the control step."""
    graph_sha256: str
    """Of the network that was recorded; empty where the recording does not say."""
    unpaired: int = 0
    """Observations without their action, or the other way round: lost on the way to the recorder."""


def read_recording(path: Path) -> RecordedSteps:
    """A log (.h5, .npz), a bag's folder or an .mcap. ConfigError for anything else, or one without a step."""
    if not path.exists():
        raise ConfigError(f"{path}: no such recording")
    steps = _from_log(path) if path.suffix in (".h5", ".npz") else _from_bag(path)
    if not len(steps.observation):
        raise ConfigError(f"{path}: no control step in which the policy took part")
    return steps


def _from_log(path: Path) -> RecordedSteps:
    columns = _h5_columns(path) if path.suffix == ".h5" else _npz_columns(path)
    # The policy takes no part while the robot damps or hangs: those rows hold no numbers.
    rows = np.flatnonzero(np.isfinite(columns["action"]).all(axis=1))
    return RecordedSteps(
        observation=columns["observation"][rows],
        action=columns["action"][rows],
        frame=columns["frame"][rows].astype(np.int64),
        step=rows.astype(np.int64),
        graph_sha256="",
    )


_COLUMNS = ("observation", "action", "frame")


def _h5_columns(path: Path) -> dict[str, NDArray]:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return {name: file[name][()] for name in _COLUMNS}  # type: ignore[index]
    except (OSError, KeyError) as error:
        raise ConfigError(f"{path}: no recording of `bm run --record` ({error})") from error


def _npz_columns(path: Path) -> dict[str, NDArray]:
    try:
        with np.load(path) as file:
            return {name: file[name] for name in _COLUMNS}
    except CORRUPT_NPZ as error:
        raise ConfigError(f"{path}: no recording of `bm run --record` ({error})") from error


def _from_bag(path: Path) -> RecordedSteps:
    seen: dict[int, Vector] = {}
    said: dict[int, Vector] = {}
    graph = ""
    for file in bag_files(path):
        for message in read_messages(file, (OBSERVATION, ACTION, DESCRIPTION)):
            if message.topic == DESCRIPTION:
                graph = json.loads(read_string(message.data)).get("graph_sha256", "")
                continue
            vector = read_policy_vector(message.data)
            (seen if message.topic == OBSERVATION else said)[vector.step] = vector
    both = sorted(set(seen) & set(said))
    return RecordedSteps(
        observation=np.stack([seen[step].data for step in both]) if both else np.zeros((0, 0), np.float32),
        action=np.stack([said[step].data for step in both]) if both else np.zeros((0, 0), np.float32),
        frame=np.array([seen[step].frame for step in both], dtype=np.int64),
        step=np.array(both, dtype=np.int64),
        graph_sha256=graph,
        unpaired=len(set(seen) ^ set(said)),
    )
