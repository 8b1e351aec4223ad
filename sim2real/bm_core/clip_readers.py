"""Readers of the motion formats in use. All end in the same thing: root and joints of the G1, names and units settled.

| format | told by | what it says about itself |
|---|---|---|
| CSV, 36 columns | .csv | nothing: rate and quaternion order come from the caller or a motions.yaml |
| root-only npz | root_pos, root_quat_wxyz, joint_pos | rate, quaternion order, joint names |
| nameless npz of whole_body_tracking and mjlab | body_pos_w, joint_pos, no names | rate; orders are proven by FK |

Source of the formats: whole_body_tracking's csv_to_npz.py and the data sets' own files. Own clips: motion.py.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bm_core.clip_plausibility import better_quat_order
from bm_core.clip_validation import check_fps
from bm_core.errors import ClipError
from bm_core.g1 import G1
from bm_core.motions_yaml import QUAT_ORDERS, conventions_for
from bm_core.nameless_npz import read_nameless
from bm_core.npz_file import number_array, one_number, read_npz, require_file
from bm_core.rotations import quat_wxyz_from_xyzw

Array = NDArray[np.floating]

CSV_COLUMNS = (
    *(f"root position {axis}" for axis in "xyz"),
    *(f"root quaternion component {index + 1}" for index in range(4)),
    *G1.joint_names,
)
FORMATS = (".csv", ".npz")


@dataclass(frozen=True, kw_only=True)
class RawMotion:
    """What a file says, before any check of its values. Canonical joint order, wxyz, m, rad."""

    root_pos: Array
    """(T, 3)"""
    root_quat: Array
    """(T, 4)"""
    joint_pos: Array
    """(T, 29)"""
    fps: float
    quat_order: str = "wxyz"
    """The order that the quaternion had in the file."""
    first_frame: int = 0
    """Number in the file of frame 0 of the arrays."""
    source: str
    licence: str = "unknown"
    made_by: str = "unknown"

    def cut(self, label: str, start: float, end: float | None) -> RawMotion:
        """Only the frames from `start` to `end`, s (None: to the last). Raises ClipError as cut_range does."""
        first, last = cut_range(label, len(self.joint_pos), self.fps, start, end)
        return replace(
            self,
            root_pos=self.root_pos[first:last],
            root_quat=self.root_quat[first:last],
            joint_pos=self.joint_pos[first:last],
            first_frame=self.first_frame + first,
        )


def cut_range(label: str, num_frames: int, fps: float, start: float, end: float | None) -> tuple[int, int]:
    """Frame range [first, last) of the times start..end in s, both ends included. Raises ClipError outside the clip."""
    duration = (num_frames - 1) / fps
    stop = duration if end is None else end
    if not 0.0 <= start < stop or stop > duration + 0.5 / fps:
        raise ClipError(
            f"{label}: cannot cut {start:g}..{stop:g} s out of 0..{duration:.2f} s; start before end, both inside"
        )
    return round(start * fps), min(round(stop * fps) + 1, num_frames)


def read_motion(path: Path, *, fps: float | None = None, quat: str | None = None) -> RawMotion:
    """Read a foreign motion file of any known format.

    `fps` and `quat` ("wxyz" | "xyzw") count only where the file itself does not say; without them the nearest
    motions.yaml is asked. Raises ClipError naming the file and the remedy.
    """
    if quat is not None and quat not in QUAT_ORDERS:
        raise ClipError(f"quat = {quat!r}, must be wxyz or xyzw")
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return _read_csv(path, fps, quat)
    if suffix == ".npz":
        return motion_from_arrays(path, read_npz(path), fps=fps, quat=quat)
    require_file(path)
    raise ClipError(f"{path.name}: unknown motion format {suffix or '(no suffix)'!r}; known are {', '.join(FORMATS)}")


def motion_from_arrays(
    path: Path, arrays: dict[str, NDArray[Any]], *, fps: float | None = None, quat: str | None = None
) -> RawMotion:
    """The motion in the arrays of a foreign .npz, root-only or nameless."""
    label = path.name
    if "root_pos" in arrays:
        return _root_only(label, arrays, fps)
    if "body_pos_w" in arrays:
        rate = _npz_fps(label, arrays, fps)
        root_pos, root_quat, joint_pos, order = read_nameless(label, arrays, quat)
        return RawMotion(
            root_pos=root_pos, root_quat=root_quat, joint_pos=joint_pos, fps=rate, quat_order=order, source=label
        )
    raise ClipError(
        f"{label}: not a known motion file: needs root_pos, root_quat_wxyz, joint_pos, or joint_pos, body_pos_w, "
        f"body_quat_w; it holds {', '.join(sorted(arrays)) or 'nothing'}"
    )


def _read_csv(path: Path, fps: float | None, quat: str | None) -> RawMotion:
    require_file(path)
    if fps is None or quat is None:
        said = conventions_for(path)
        fps, quat = (said.fps if fps is None else fps), (said.quat if quat is None else quat)
    table = _csv_table(path)
    root_pos, raw_quat, joint_pos = table[:, :3], table[:, 3:7], table[:, 7:]
    if fps is None:
        raise ClipError(
            f"{path.name}: a CSV does not say its rate; give --fps, or a motions.yaml beside it with the line  "
            f'"{path.name}": {{fps: 30, quat: {quat or "xyzw"}}}'
        )
    check_fps(path.name, fps)
    if quat is None:
        hint = ""
        if len(table) > 1 and np.isfinite(table).all():
            hint = f" (it looks like {better_quat_order(root_pos, raw_quat, joint_pos, fps)})"
        raise ClipError(f"{path.name}: a CSV does not say its quaternion order; give --quat wxyz or --quat xyzw{hint}")
    return RawMotion(
        root_pos=root_pos,
        root_quat=quat_wxyz_from_xyzw(raw_quat) if quat == "xyzw" else raw_quat,
        joint_pos=joint_pos,
        fps=float(fps),
        quat_order=quat,
        source=path.name,
    )


def _csv_table(path: Path) -> Array:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # "no data" becomes our own error below
            table = np.loadtxt(path, delimiter=",", ndmin=2, encoding="utf-8-sig", comments=None)
    except (ValueError, UnicodeDecodeError) as error:
        _raise_for_bad_line(path)
        raise ClipError(f"{path.name}: not a table of numbers: {' '.join(str(error).split())}") from error
    if not table.size:
        raise ClipError(f"{path.name}: empty file")
    if table.shape[1] != len(CSV_COLUMNS):
        raise ClipError(_column_message(path.name, 1, table.shape[1]))
    return table


def _raise_for_bad_line(path: Path) -> None:
    """Find what the fast reader stumbled over, and name its line and column."""
    for number, line in enumerate(path.read_text(encoding="utf-8-sig", errors="replace").splitlines(), start=1):
        if not line.strip():
            continue
        cells = line.split(",")
        if len(cells) != len(CSV_COLUMNS):
            raise ClipError(_column_message(path.name, number, len(cells)))
        for name, cell in zip(CSV_COLUMNS, cells, strict=True):
            try:
                float(cell)
            except ValueError:
                remedy = "remove the header line" if number == 1 else "repair the line"
                raise ClipError(
                    f"{path.name}: line {number}: {name} is {cell.strip()[:40]!r}, a number expected; {remedy}"
                ) from None


def _column_message(label: str, line: int, columns: int) -> str:
    return (
        f"{label}: line {line} has {columns} columns, expected {len(CSV_COLUMNS)} "
        f"(root position 3, root quaternion 4, joints {len(G1.joints)}), separated by commas"
    )


def _root_only(label: str, arrays: dict[str, NDArray[Any]], fps: float | None) -> RawMotion:
    order = "wxyz" if "root_quat_wxyz" in arrays else "xyzw"
    key = f"root_quat_{order}"
    if key not in arrays:
        raise ClipError(
            f"{label}: has no root_quat_wxyz (or root_quat_xyzw): the order must be in the name; "
            f"it holds {', '.join(sorted(arrays))}"
        )
    quat = number_array(label, arrays, key)
    return RawMotion(
        root_pos=number_array(label, arrays, "root_pos"),
        root_quat=quat_wxyz_from_xyzw(quat) if order == "xyzw" and quat.ndim else quat,
        joint_pos=_in_canonical_order(label, arrays),
        fps=_npz_fps(label, arrays, fps),
        quat_order=order,
        source=_text(arrays, "source", label),
        licence=_text(arrays, "licence", "unknown"),
        made_by=_text(arrays, "made_by", "unknown"),
    )


def _in_canonical_order(label: str, arrays: dict[str, NDArray[Any]]) -> Array:
    """joint_pos with its columns sorted by name; without names they must be canonical, which is checked later."""
    joint_pos = number_array(label, arrays, "joint_pos")
    if "joint_names" not in arrays:
        return joint_pos
    columns = name_columns(label, "joint", [str(name) for name in arrays["joint_names"].ravel()], G1.joint_names)
    if joint_pos.ndim != 2 or joint_pos.shape[1] != len(columns):
        raise ClipError(f"{label}: joint_pos has shape {joint_pos.shape}, but there are {len(columns)} joint names")
    return joint_pos[:, columns]


def name_columns(label: str, kind: str, names: list[str], wanted: tuple[str, ...]) -> NDArray[np.int64]:
    """Column of each wanted name. Raises ClipError for unknown, missing and repeated names."""
    unknown = [name for name in names if name not in wanted]
    missing = [name for name in wanted if name not in names]
    if unknown or missing:
        found = [f"unknown {name}" for name in unknown[:3]] + [f"missing {name}" for name in missing[:3]]
        raise ClipError(f"{label}: {kind} names are not those of {G1.name}: {', '.join(found)}")
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ClipError(f"{label}: {kind} name {twice} stands there twice")
    return np.array([names.index(name) for name in wanted])


def _npz_fps(label: str, arrays: dict[str, NDArray[Any]], fps: float | None) -> float:
    if "fps" not in arrays:
        if fps is None:
            raise ClipError(f"{label}: does not say its rate (no 'fps' in it); give --fps")
        return float(fps)
    return one_number(label, arrays, "fps")


def _text(arrays: dict[str, NDArray[Any]], key: str, default: str) -> str:
    return str(arrays[key]) if key in arrays and arrays[key].dtype.kind in "US" else default
