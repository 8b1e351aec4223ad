"""Human captures: link poses of the 15-body humanoid that Isaac Lab's AMP task ships (walk, run, dance)."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bm_core.errors import ClipError
from bm_core.npz_file import read_npz
from bm_core.rotations import quat_normalize

Array = NDArray[np.floating]

HUMAN_BODIES = (
    "pelvis", "torso", "head",
    "right_upper_arm", "right_lower_arm", "right_hand", "left_upper_arm", "left_lower_arm", "left_hand",
    "right_thigh", "right_shin", "right_foot", "left_thigh", "left_shin", "left_foot",
)  # fmt: skip
"""Bodies a capture must have. With all rotations at identity the human stands upright facing +x, arms hanging."""

FOOT_POINTS = {"heel": np.array([-0.0435, 0.0, -0.05]), "toe": np.array([0.1335, 0.0, -0.05])}
"""Ends of the sole in the frame of a human foot (its origin is the ankle), m; the box of the AMP humanoid's model."""

_SOURCE_TREE = Path(__file__).resolve().parents[4]
AMP_CAPTURES = ("walk", "run", "dance")
_AMP_SOURCE = "isaaclab 3.0.0, isaaclab_tasks/contrib/humanoid_amp/motions/humanoid_{name}.npz; originally CMU mocap"
_AMP_LICENCE = (
    "BSD-3-Clause (Isaac Lab). The data used in this project was obtained from mocap.cs.cmu.edu. "
    "The database was created with funding from NSF EIA-0196217."
)


@dataclass(frozen=True, kw_only=True)
class HumanCapture:
    """World-frame link poses of a human over time, z up; the floor need not be level or at zero."""

    name: str
    fps: float
    body_pos: Array
    """(T, 15, 3) m, in the order of HUMAN_BODIES."""
    body_quat: Array
    """(T, 15, 4) wxyz."""
    source: str
    licence: str

    def pos(self, body: str) -> Array:
        """Origin of a body, (T, 3)."""
        return self.body_pos[:, HUMAN_BODIES.index(body)]

    def quat(self, body: str) -> Array:
        """Orientation of a body, (T, 4)."""
        return self.body_quat[:, HUMAN_BODIES.index(body)]

    @property
    def num_frames(self) -> int:
        return len(self.body_pos)


def find_capture(source: str) -> Path:
    """A file name, or `amp:walk|run|dance` inside isaaclab. ClipError if it is not there.

    isaaclab is looked for in this environment, then in the source tree's .venv-train: the retargeter runs in .venv.
    """
    if not source.startswith("amp:"):
        return Path(source)
    name = source.removeprefix("amp:")
    if name not in AMP_CAPTURES:
        raise ClipError(f"{source}: no such capture; known: {', '.join('amp:' + known for known in AMP_CAPTURES)}")
    spec = importlib.util.find_spec("isaaclab_tasks")
    here = [Path(folder) for folder in (spec.submodule_search_locations or [])] if spec else []
    beside = sorted(_SOURCE_TREE.glob(".venv-train/lib/python3*/site-packages/isaaclab_tasks"))
    for folder in (*here, *beside):
        file = folder / "contrib" / "humanoid_amp" / "motions" / f"humanoid_{name}.npz"
        if file.is_file():
            return file
    raise ClipError(f"{source}: no isaaclab 3.0.0 here or in .venv-train; make install-train, or give the .npz itself")


def read_capture(path: Path) -> HumanCapture:
    """Reads fps, body_names, body_positions (T, B, 3) and body_rotations (T, B, 4, wxyz). ClipError on a fault."""
    fields = read_npz(path)
    missing = [key for key in ("fps", "body_names", "body_positions", "body_rotations") if key not in fields]
    if missing:
        raise ClipError(
            f"{path.name}: no {', '.join(missing)}; a human capture holds link poses (Isaac Lab AMP format)"
        )
    columns = _columns(path, [str(name) for name in fields["body_names"]])
    pos, quat = fields["body_positions"], fields["body_rotations"]
    num_bodies = len(fields["body_names"])
    if pos.ndim != 3 or pos.shape[1:] != (num_bodies, 3) or quat.shape != (*pos.shape[:2], 4):
        raise ClipError(
            f"{path.name}: body_positions {pos.shape}, body_rotations {quat.shape}; (T, B, 3), (T, B, 4) needed"
        )
    _check_values(path, pos, quat)
    name = path.stem.removeprefix("humanoid_")
    known = path.stem.startswith("humanoid_") and name in AMP_CAPTURES
    return HumanCapture(
        name=name,
        fps=float(fields["fps"]),
        body_pos=pos[:, columns].astype(np.float64),
        body_quat=quat_normalize(quat[:, columns].astype(np.float64)),
        source=_AMP_SOURCE.format(name=name) if known else path.name,
        licence=_AMP_LICENCE if known else "unknown",
    )


def _columns(path: Path, names: list[str]) -> list[int]:
    missing = [body for body in HUMAN_BODIES if body not in names]
    if missing:
        raise ClipError(f"{path.name}: no body {', '.join(missing)}; needed: {', '.join(HUMAN_BODIES)}")
    return [names.index(body) for body in HUMAN_BODIES]


def _check_values(path: Path, pos: Array, quat: Array) -> None:
    if len(pos) < 2:
        raise ClipError(f"{path.name}: {len(pos)} frame(s), at least 2 needed")
    bad = ~(np.isfinite(pos).all((1, 2)) & np.isfinite(quat).all((1, 2)))
    if bad.any():
        raise ClipError(f"{path.name}: frame {int(np.argmax(bad))}: not a finite number")
    norm_error = np.abs(np.linalg.norm(quat, axis=-1) - 1.0).max(-1)
    if norm_error.max() > 1e-2:
        frame = int(np.argmax(norm_error))
        raise ClipError(
            f"{path.name}: frame {frame}: quaternion length off by {norm_error[frame]:.2g} (1e-2 tolerated)"
        )
