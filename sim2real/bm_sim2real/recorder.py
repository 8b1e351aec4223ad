"""Records a run: what robot, policy and guard saw and said, every 20 ms, written by a thread of its own.

.h5 grows on the disk while the run goes on, as NAME.part.h5, which becomes NAME.h5 at the end: a crash or a full disk
leaves what came before it there, and an older recording of that name as it was. .npz is written at the end.
Both hold the same arrays, one row a control step, and one JSON text `info` (contract, faults, counters).
"""

from __future__ import annotations

import itertools
import json
import os
import queue
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bm_core.atomic_file import check_file_place, replacing
from bm_core.contract import Contract
from bm_core.errors import ConfigError
from bm_core.g1 import CONTROL_DT, G1
from bm_core.state import LowCommand, RobotState
from bm_sim2real.modes import Mode
from bm_sim2real.policies.tracker import PolicyOutput
from bm_sim2real.result_json import jsonable, place_to_keep
from bm_sim2real.state_machine import StateMachine

SCHEMA = 1
CHUNK = 250
"""Rows (5 s) that are written at a time."""
_HDF_OVERHEAD = 256 * 1024
"""Bytes for the indices of all columns, and for `info` at the end."""
MODES = tuple(mode.value for mode in Mode)
"""`mode` is an index into this list, which `info` repeats."""

Row = dict[str, Any]


class Recorder:
    """A StepListener that keeps every control step. `close` writes the rest and raises what went wrong on the way."""

    def __init__(self, path: str | Path, contract: Contract) -> None:
        """ConfigError for a suffix other than .h5 and .npz, or a place that cannot be written."""
        self._path = Path(path)
        if self._path.suffix not in (".h5", ".npz"):
            raise ConfigError(f"{path}: recordings are .h5 or .npz")
        self._contract = contract
        self._nothing = {
            "observation": np.full(contract.observation_dim, np.nan, dtype=np.float32),
            "action": np.full(contract.action_dim, np.nan, dtype=np.float32),
            "target": np.full(len(G1.joint_names), np.nan),
        }
        self._sink: _Sink = _HdfSink(self._path) if self._path.suffix == ".h5" else _NpzSink(self._path)
        self._queue: queue.SimpleQueue[Row | None] = queue.SimpleQueue()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._write, name="recorder", daemon=True)
        self._thread.start()

    def on_step(self, state: RobotState, machine: StateMachine, written: LowCommand, policy_s: float) -> None:
        """Queues one control step; returns at once."""
        output = machine.output
        nan3 = np.full(3, np.nan)
        row: Row = {
            "time": state.time,
            "state_seq": state.seq,
            "mode": MODES.index(machine.mode.value),
            "frame": -1 if output is None else output.frame,
            "policy_ms": 1e3 * policy_s,
            "joint_pos": state.joint_pos,
            "joint_vel": state.joint_vel,
            "joint_torque": state.joint_torque,
            "pelvis_quat_w": state.pelvis_quat_w,
            "pelvis_gyro_b": state.pelvis_gyro_b,
            "pelvis_acc_b": state.pelvis_acc_b,
            "pelvis_pos_w": nan3 if state.pelvis_pos_w is None else state.pelvis_pos_w,
            "pelvis_lin_vel_b": nan3 if state.pelvis_lin_vel_b is None else state.pelvis_lin_vel_b,
            "observation": self._observation(output),
            "action": self._nothing["action"] if output is None else output.action,
            "target": self._nothing["target"] if output is None else output.q,
            "written_q": written.q,
            "written_kp": written.kp,
            "written_kd": written.kd,
        }
        self._queue.put(row)

    def _observation(self, output: PolicyOutput | None) -> NDArray[np.float32]:
        """NaN where there is none, or where an expert with other observations than the contract's has the robot."""
        nothing = self._nothing["observation"]
        return nothing if output is None or output.observation.shape != nothing.shape else output.observation

    def close(self, notes: Mapping[str, Any] | None = None) -> None:
        """Writes what is left, with `notes` (faults, counters) beside contract and names. Raises ConfigError."""
        self._queue.put(None)
        self._thread.join()
        info = json.dumps(jsonable(self._info(notes or {})), allow_nan=False)
        if self._error is None:
            self._sink.finish(info)
        elif isinstance(self._error, OSError):
            cause = self._error.strerror or str(self._error)
            raise ConfigError(
                f"{self._path}: the recording stopped: {cause}; {self._sink.rescue(info)}"
            ) from self._error
        else:
            raise self._error

    def _info(self, notes: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "modes": MODES,
            "joint_names": G1.joint_names,
            "contract": self._contract.as_dict(),
            **notes,
        }

    def _write(self) -> None:
        rows: list[Row] = []
        try:
            while (row := self._queue.get()) is not None:
                rows.append(row)
                if len(rows) == CHUNK:
                    self._sink.append(_columns(rows))
                    rows = []
            if rows:
                self._sink.append(_columns(rows))
        except BaseException as error:  # a thread has nobody to raise to; `close` does it
            self._error = error


def _columns(rows: list[Row]) -> dict[str, NDArray[Any]]:
    return {name: np.stack([np.asarray(row[name]) for row in rows]) for name in rows[0]}


class _Sink(Protocol):
    def append(self, columns: dict[str, NDArray[Any]]) -> None: ...

    def finish(self, info: str) -> None: ...

    def rescue(self, info: str) -> str: ...


class _NpzSink:
    """Everything in memory (some 1.5 MB a minute), written whole or not at all; if that fails, where there is room."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._chunks: list[dict[str, NDArray[Any]]] = []

    def append(self, columns: dict[str, NDArray[Any]]) -> None:
        self._chunks.append(columns)

    def rescue(self, info: str) -> str:
        return "nothing was recorded"  # nothing is written before the end, so nothing can fail before it

    def finish(self, info: str) -> None:
        try:
            self._save(self._path, info)
        except ConfigError as error:
            raise ConfigError(f"{error}; {self._keep(info)}") from error

    def _keep(self, info: str) -> str:
        """Among the temporary files; says where."""
        try:
            kept = place_to_keep(self._path)
            self._save(kept, info)
        except (ConfigError, OSError):
            return "the recording is lost, as the temporary files have no room for it either"
        return f"the recording is kept in {kept}"

    def _save(self, path: Path, info: str) -> None:
        names = self._chunks[0] if self._chunks else {}
        arrays: dict[str, Any] = {name: np.concatenate([chunk[name] for chunk in self._chunks]) for name in names}
        with replacing(path) as partial:
            np.savez_compressed(partial, info=np.array(info), **arrays)


class _HdfSink:
    """Grows on the disk: a log that vanishes with the process that crashed would be of no use."""

    def __init__(self, path: Path) -> None:
        import h5py  # noqa: F401  its absence must show before the robot moves

        check_file_place(path)
        self._path, self._part = path, path
        self._file: Any = None
        self._rows = 0

    def append(self, columns: dict[str, NDArray[Any]]) -> None:
        if self._file is None:
            self._file = self._open()
        self._take_room(sum(_in_chunks(values) for values in columns.values()))
        for name, values in columns.items():
            if name not in self._file:
                shape = (0, *values.shape[1:])
                self._file.create_dataset(
                    name, shape, values.dtype, maxshape=(None, *shape[1:]), chunks=(CHUNK, *shape[1:])
                )
            data = self._file[name]
            data.resize(len(data) + len(values), axis=0)
            data[-len(values) :] = values
        self._file.flush()
        self._rows += len(next(iter(columns.values())))

    def finish(self, info: str) -> None:
        if self._file is None:
            self._file = self._open()
        self._close(info)
        os.replace(self._part, self._path)

    def rescue(self, info: str) -> str:
        """After an append that failed: ends the file in order, and says in words what is where."""
        if self._file is None:
            return "nothing was recorded"
        self._close(info)
        return f"the {self._rows * CONTROL_DT:.0f} s until then are in {self._part}"

    def _open(self) -> Any:
        import h5py

        self._path.parent.mkdir(parents=True, exist_ok=True)
        names = (f"{self._path.stem}.part{number or ''}.h5" for number in itertools.count())
        # Never over what a crash has left.
        self._part = next(part for name in names if not (part := self._path.with_name(name)).exists())
        # Room first, or HDF5 would have a file that it can neither write nor close.
        self._part.touch()
        try:
            take_room(self._part, _HDF_OVERHEAD)
        except OSError:
            self._part.unlink()
            raise
        return h5py.File(self._part, "w")

    def _take_room(self, size: int) -> None:
        """OSError if the disk has not so many bytes more. Before HDF5 writes: it does not survive a full disk."""
        take_room(self._part, self._file.id.get_filesize() + size + _HDF_OVERHEAD)

    def _close(self, info: str) -> None:
        self._file.attrs["info"] = info
        self._file.flush()
        size = self._file.id.get_filesize()
        self._file.close()
        os.truncate(self._part, size)


def take_room(path: Path, size: int) -> None:
    """Make the file at least so many bytes long, on the disk. OSError if there is no room."""
    if not hasattr(os, "posix_fallocate"):
        return
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.posix_fallocate(descriptor, 0, size)
    finally:
        os.close(descriptor)


def _in_chunks(values: NDArray[Any]) -> int:
    """Bytes on the disk: HDF5 writes whole chunks, and the rows may begin in one and end in the next."""
    return values[:1].nbytes * CHUNK * (-(-len(values) // CHUNK) + 1)
