"""Records a run: what robot, policy and guard saw and said, every 20 ms, written by a thread of its own.

.h5 grows on the disk while the run goes on, so a crash leaves what came before it; .npz is written at the end.
Both hold the same arrays, one row a control step, and one JSON text `info` (contract, faults, counters).
"""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bm_core.atomic_file import replacing
from bm_core.contract import Contract
from bm_core.errors import ConfigError
from bm_core.g1 import G1
from bm_core.state import LowCommand, RobotState
from bm_sim2real.modes import Mode
from bm_sim2real.policies.tracker import PolicyOutput
from bm_sim2real.result_json import jsonable
from bm_sim2real.state_machine import StateMachine

SCHEMA = 1
CHUNK = 250
"""Rows (5 s) that are written at a time."""
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
        if self._error is None:
            self._sink.finish(json.dumps(jsonable(self._info(notes or {})), allow_nan=False))
        elif isinstance(self._error, OSError):
            raise ConfigError(f"{self._path}: the recording stopped: {self._error}") from self._error
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


class _NpzSink:
    """Everything in memory (some 1.5 MB a minute), written whole or not at all."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._chunks: list[dict[str, NDArray[Any]]] = []

    def append(self, columns: dict[str, NDArray[Any]]) -> None:
        self._chunks.append(columns)

    def finish(self, info: str) -> None:
        names = self._chunks[0] if self._chunks else {}
        arrays: dict[str, Any] = {name: np.concatenate([chunk[name] for chunk in self._chunks]) for name in names}
        with replacing(self._path) as partial:
            np.savez_compressed(partial, info=np.array(info), **arrays)


class _HdfSink:
    """Grows in place: a log that vanishes with the process that crashed would be of no use."""

    def __init__(self, path: Path) -> None:
        import h5py

        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = h5py.File(path, "w")
        except OSError as error:
            raise ConfigError(f"{path}: cannot be written: {error}; choose another path") from error

    def append(self, columns: dict[str, NDArray[Any]]) -> None:
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

    def finish(self, info: str) -> None:
        self._file.attrs["info"] = info
        self._file.close()
