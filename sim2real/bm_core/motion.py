"""Motion clips: 50 fps, canonical joint and body order, world frame, link origins, wxyz. On disk: .npz, schema 1."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bm_core.atomic_file import replacing
from bm_core.clip_plausibility import check_plausible
from bm_core.clip_readers import FORMATS, cut_range, motion_from_arrays, name_columns, read_motion
from bm_core.clip_validation import check_frames, check_layout, check_motion, check_velocities
from bm_core.errors import ClipError
from bm_core.g1 import CONTROL_DT, G1
from bm_core.kinematics import g1_kinematics
from bm_core.nameless_npz import POSITION_TOLERANCE, ROTATION_TOLERANCE, worst_mismatch
from bm_core.npz_file import number_array, one_number, read_npz
from bm_core.resample import resample_linear, resample_quat, time_derivative
from bm_core.rotations import angular_velocity_from_quats, quat_normalize

Array = NDArray[np.floating]

CLIP_FPS = 1.0 / CONTROL_DT
SCHEMA = 1

_JOINT_ARRAYS = ("joint_pos", "joint_vel")
_BODY_ARRAYS = {"body_pos_w": 3, "body_quat_w": 4, "body_lin_vel_w": 3, "body_ang_vel_w": 3}


@dataclass(frozen=True, kw_only=True)
class MotionClip:
    """One motion of the G1 at the control rate. Arrays are float64.

    Raises ClipError for fewer than two frames, and for shapes that do not fit together.
    """

    name: str
    fps: float = CLIP_FPS
    """Frames per second; always 50."""
    joint_names: tuple[str, ...] = G1.joint_names
    joint_pos: Array
    """(T, 29) rad"""
    joint_vel: Array
    """(T, 29) rad/s"""
    body_names: tuple[str, ...] = G1.body_names
    body_pos_w: Array
    """(T, 30, 3) m, link origins"""
    body_quat_w: Array
    """(T, 30, 4) wxyz"""
    body_lin_vel_w: Array
    """(T, 30, 3) m/s of the link origins"""
    body_ang_vel_w: Array
    """(T, 30, 3) rad/s"""
    meta: Mapping[str, str] = field(default_factory=dict)
    """source, licence, made_by."""

    def __post_init__(self) -> None:
        frames = len(self.joint_pos)
        check_frames(self.name, frames)
        if self.fps != CLIP_FPS:
            raise ClipError(f"{self.name}: fps = {self.fps:g}, clips have {CLIP_FPS:g}; bm motion convert resamples")
        expected = {name: (frames, len(self.joint_names)) for name in _JOINT_ARRAYS}
        expected |= {name: (frames, len(self.body_names), width) for name, width in _BODY_ARRAYS.items()}
        for name, shape in expected.items():
            found = getattr(self, name).shape
            if found != shape:
                raise ClipError(f"{self.name}: {name} has shape {found}, expected {shape}")

    @property
    def num_frames(self) -> int:
        return len(self.joint_pos)

    @property
    def duration(self) -> float:
        """s from the first to the last frame."""
        return (self.num_frames - 1) / self.fps

    @property
    def root_pos(self) -> Array:
        """(T, 3) m, origin of the pelvis."""
        return self.body_pos_w[:, 0]

    @property
    def root_quat(self) -> Array:
        """(T, 4) wxyz of the pelvis."""
        return self.body_quat_w[:, 0]

    def slice(self, start_s: float = 0.0, end_s: float | None = None) -> MotionClip:
        """The frames from `start_s` to `end_s` in s, both included (None: to the end).

        Raises ClipError outside the clip, and for a cut of one frame.
        """
        first, last = cut_range(self.name, self.num_frames, self.fps, start_s, end_s)
        return replace(self, **{name: getattr(self, name)[first:last] for name in (*_JOINT_ARRAYS, *_BODY_ARRAYS)})


def clip_from_qpos(
    name: str,
    root_pos: Array,
    root_quat_wxyz: Array,
    joint_pos: Array,
    fps: float,
    *,
    source: str = "unknown",
    licence: str = "unknown",
    made_by: str = "unknown",
) -> MotionClip:
    """A clip from the root's poses (T, 3) m, (T, 4) and the joints (T, 29) rad, canonical order, at any rate.

    Resampled to 50 fps (lerp, slerp); velocities are central differences at 50 fps, angular ones on SO(3), linear ones
    of link origins. Raises ClipError as check_motion does.
    """
    root_pos, root_quat_wxyz, joint_pos = (
        np.asarray(values, dtype=np.float64) for values in (root_pos, root_quat_wxyz, joint_pos)
    )
    check_motion(name, root_pos, root_quat_wxyz, joint_pos, fps)
    meta = {"source": source, "licence": licence, "made_by": made_by}
    return _build(name, root_pos, root_quat_wxyz, joint_pos, fps, meta)


def load_clip(
    path: str | Path,
    *,
    fps: float | None = None,
    quat: str | None = None,
    start_s: float = 0.0,
    end_s: float | None = None,
    trust_order: bool = False,
) -> MotionClip:
    """Read any supported motion file as a clip: our own, 36-column CSV, root-only npz, nameless npz.

    `fps` and `quat` ("wxyz" | "xyzw") say what the file cannot; else the nearest motions.yaml does. `start_s` and
    `end_s` (s) cut before anything is checked. `trust_order` skips the test whether another order of quaternion or
    joints fits better. Raises ClipError naming file, frame, joint, value, limit and remedy.
    """
    path = Path(path)
    label = path.name
    if path.suffix.lower() == ".npz":
        arrays = read_npz(path)
        if "schema" in arrays:
            clip = _clip_from_arrays(path, arrays)
            return clip if start_s == 0.0 and end_s is None else clip.slice(start_s, end_s)
        raw = motion_from_arrays(path, arrays, fps=fps, quat=quat)
    else:
        raw = read_motion(path, fps=fps, quat=quat)
    if start_s != 0.0 or end_s is not None:
        check_layout(label, raw.root_pos, raw.root_quat, raw.joint_pos, raw.fps)
        raw = raw.cut(label, start_s, end_s)
    check_motion(label, raw.root_pos, raw.root_quat, raw.joint_pos, raw.fps, first_frame=raw.first_frame)
    root_quat = quat_normalize(raw.root_quat)
    if not trust_order:
        check_plausible(label, raw.root_pos, root_quat, raw.joint_pos, raw.fps, declared=raw.quat_order)
    meta = {"source": raw.source, "licence": raw.licence, "made_by": raw.made_by}
    return _build(path.stem, raw.root_pos, root_quat, raw.joint_pos, raw.fps, meta)


def save_clip(clip: MotionClip, path: str | Path) -> None:
    """Write the clip as .npz, schema 1, whole or not at all; equal clips make equal bytes.

    float32, rounded to 1.5e-5 m, rad and 2.4e-4 m/s, rad/s. Raises ClipError for another suffix, ConfigError if the
    place cannot be written.
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise ClipError(f"{path}: clips are saved as .npz")
    arrays: dict[str, Any] = {name: _rounded(name, getattr(clip, name)) for name in (*_JOINT_ARRAYS, *_BODY_ARRAYS)}
    arrays |= {
        "schema": np.int64(SCHEMA),
        "fps": np.float64(clip.fps),
        "joint_names": np.array(clip.joint_names),
        "body_names": np.array(clip.body_names),
        "info": np.array(json.dumps({"name": clip.name, **clip.meta}, sort_keys=True)),
    }
    with replacing(path) as partial:
        np.savez_compressed(partial, **arrays)


def _rounded(name: str, values: Array) -> NDArray[np.float32]:
    """float32 with the noise bits at zero: they are below any sensor, and deflate makes the files 37 % smaller [M]."""
    step = 2.0**-12 if "_vel" in name else 2.0**-16
    return (np.round(values / step) * step).astype(np.float32)


def find_clips(path: str | Path) -> list[Path]:
    """The motion files at `path`: itself, or every .npz and .csv below the folder, sorted; hidden ones are left out.

    Raises ClipError if there are none.
    """
    path = Path(path)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise ClipError(f"{path}: no such file or folder")
    inside = (found for found in path.rglob("*") if found.suffix.lower() in FORMATS and found.is_file())
    clips = sorted(found for found in inside if not any(p.startswith(".") for p in found.relative_to(path).parts))
    if not clips:
        raise ClipError(f"{path}: no motion files in it ({', '.join(FORMATS)})")
    return clips


def _build(
    name: str, root_pos: Array, root_quat: Array, joint_pos: Array, fps: float, meta: Mapping[str, str]
) -> MotionClip:
    root_pos = resample_linear(root_pos, fps, CLIP_FPS)
    root_quat = quat_normalize(resample_quat(quat_normalize(root_quat), fps, CLIP_FPS))
    joint_pos = resample_linear(joint_pos, fps, CLIP_FPS)
    body_pos, body_quat = g1_kinematics().forward(root_pos, root_quat, joint_pos)
    return MotionClip(
        name=name,
        joint_pos=joint_pos,
        joint_vel=time_derivative(joint_pos, CLIP_FPS),
        body_pos_w=body_pos,
        body_quat_w=body_quat,
        body_lin_vel_w=time_derivative(body_pos, CLIP_FPS),
        body_ang_vel_w=angular_velocity_from_quats(body_quat, 1.0 / CLIP_FPS),
        meta=dict(meta),
    )


def _clip_from_arrays(path: Path, arrays: dict[str, NDArray[Any]]) -> MotionClip:
    """A clip of our own: names are mapped, values checked, bodies compared with the kinematics of root and joints."""
    label = path.name
    schema = one_number(label, arrays, "schema")
    if schema != SCHEMA:
        raise ClipError(f"{label}: clip schema {schema:g}, this version reads {SCHEMA}; convert the source again")
    for key in ("joint_names", "body_names", "info"):
        if key not in arrays:
            raise ClipError(f"{label}: has no {key!r}; it holds {', '.join(sorted(arrays))}")
    columns = {
        "joint": name_columns(label, "joint", [str(n) for n in arrays["joint_names"].ravel()], G1.joint_names),
        "body": name_columns(label, "body", [str(n) for n in arrays["body_names"].ravel()], G1.body_names),
    }
    values = {}
    for name in (*_JOINT_ARRAYS, *_BODY_ARRAYS):
        wanted = columns[name.split("_")[0]]
        found = number_array(label, arrays, name)
        if found.ndim < 2 or found.shape[1] != len(wanted):
            raise ClipError(f"{label}: {name} has shape {found.shape}, but there are {len(wanted)} names")
        values[name] = found[:, wanted]
    info = _info(label, str(arrays["info"]))
    fps = one_number(label, arrays, "fps")
    name = info.pop("name", path.stem)
    clip = MotionClip(name=label, fps=fps, meta=info, **values)  # until it is checked, errors name the file
    _check_own(label, clip)
    return replace(clip, name=name, body_quat_w=quat_normalize(clip.body_quat_w))


def _check_own(label: str, clip: MotionClip) -> None:
    check_motion(label, clip.root_pos, clip.root_quat, clip.joint_pos, clip.fps)
    for name in ("joint_vel", *_BODY_ARRAYS):
        values = getattr(clip, name)
        if not np.isfinite(values).all():
            bad = np.argwhere(~np.isfinite(values))[0]
            owner = (G1.joint_names if name in _JOINT_ARRAYS else G1.body_names)[bad[1]]
            raise ClipError(f"{label}: frame {bad[0]}: {name} of {owner} is {values[tuple(bad)]}; convert it again")
    check_velocities(label, clip.joint_pos, clip.joint_vel, clip.fps)
    fk_pos, fk_quat = g1_kinematics().forward(clip.root_pos, quat_normalize(clip.root_quat), clip.joint_pos)
    worst = worst_mismatch(clip.body_pos_w, clip.body_quat_w, fk_pos, fk_quat)
    if worst.severity > 1.0:
        raise ClipError(
            f"{label}: {worst} against the kinematics of root and joints ({100 * POSITION_TOLERANCE:g} cm, "
            f"{ROTATION_TOLERANCE:g} rad tolerated): wrong order or another robot; convert the source again"
        )


def _info(label: str, text: str) -> dict[str, str]:
    try:
        info = json.loads(text)
    except json.JSONDecodeError as error:
        raise ClipError(f"{label}: its info is not JSON: {error}") from error
    if not isinstance(info, dict):
        raise ClipError(f"{label}: its info must be a JSON object")
    return {str(key): str(value) for key, value in info.items()}
