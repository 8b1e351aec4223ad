"""Commands from a policy that has gone mad, before readings of a robot in any state, through the guard."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bm_core.g1 import G1
from bm_core.state import LowCommand, RobotState
from bm_sim2real.fuzzing.oracle import harmful, jumps_on_entry
from bm_sim2real.fuzzing.report import FuzzReport
from bm_sim2real.guard import CommandGuard
from bm_sim2real.mailbox import PolicyCommand
from bm_sim2real.modes import Mode

Array = NDArray[np.float64]

CHUNK = 2000
_MODES = tuple(Mode)
_FIELDS = ("q", "dq", "tau", "kp", "kd")
_WILD = np.array([np.nan, np.inf, -np.inf, 1e300, -1e300, 1e39, -1e39, 1e12, -1.0, 1e-300, -0.0])
_UP = np.array([1.0, 0.0, 0.0, 0.0])
_WILD_COMMANDS, _WILD_READINGS, _WRONG_LENGTH = 0.03, 0.003, 0.005


def fuzz_commands(count: int, seed: int = 0) -> FuzzReport:
    """`count` commands; deterministic for a seed."""
    report = FuzzReport(target="commands", seed=seed)
    rng = np.random.default_rng(seed)
    while report.tried < count:
        _chunk(rng, min(CHUNK, count - report.tried), report)
    return report


def random_commands(rng: np.random.Generator, count: int) -> dict[str, Array]:
    """(count, 29) of each field: sensible ones, far ones on every scale, and wild numbers here and there."""
    shape = (count, len(G1.joint_names))
    scale = 10.0 ** rng.uniform(-3.0, 4.0, (count, 1))
    fields = {
        "q": G1.default_joint_pos + scale * rng.standard_normal(shape),
        "dq": rng.choice([0.0, 1.0, 30.0, 1000.0], (count, 1)) * rng.standard_normal(shape),
        "tau": rng.choice([0.0, 1.0, 100.0, 5000.0], (count, 1)) * rng.standard_normal(shape),
        "kp": rng.choice([0.0, 1e-6, 1.0, 10.0], (count, 1)) * rng.uniform(0.0, 1.0, shape) * G1.kp,
        "kd": rng.choice([0.0, 1.0, 8.0], (count, 1)) * rng.uniform(0.0, 1.0, shape) * G1.kd,
    }
    for row in np.flatnonzero(rng.random(count) < _WILD_COMMANDS):
        fields[_FIELDS[int(rng.integers(len(_FIELDS)))]][row, rng.integers(shape[1])] = rng.choice(_WILD)
    return fields


def random_readings(rng: np.random.Generator, count: int) -> tuple[Array, Array]:
    """(count, 29) rad and rad/s: anywhere up to 0.3 rad beyond the ends, at speeds that a robot may have."""
    shape = (count, len(G1.joint_names))
    joint_pos = rng.uniform(G1.lower - 0.3, G1.upper + 0.3, shape)
    joint_vel = np.clip(rng.choice([0.0, 1.0, 5.0], (count, 1)) * rng.standard_normal(shape), -G1.velocity, G1.velocity)
    for row in np.flatnonzero(rng.random(count) < _WILD_READINGS):
        (joint_pos if rng.random() < 0.5 else joint_vel)[row, rng.integers(shape[1])] = rng.choice(_WILD)
    return joint_pos, joint_vel


def _chunk(rng: np.random.Generator, count: int, report: FuzzReport) -> None:
    fields, (joint_pos, joint_vel) = random_commands(rng, count), random_readings(rng, count)
    modes, jumps, lengths = rng.integers(len(_MODES), size=count), rng.integers(-3, 8, count), rng.random(count)
    written = {name: np.zeros((count, len(G1.joint_names))) for name in _FIELDS}
    guard, seq, zero = CommandGuard(start_mode=Mode.RUNNING), 0, np.zeros(3)
    entries = np.zeros(count, dtype=bool)
    for k in range(count):
        index = report.tried + k
        seq += int(jumps[k])
        arrays = {name: fields[name][k] for name in _FIELDS}
        if lengths[k] < _WRONG_LENGTH:
            arrays["q"] = arrays["q"][: int(1e4 * lengths[k])]
        command = PolicyCommand(low=LowCommand(seq=seq, state_seq=0, **arrays), mode=_MODES[modes[k]])
        state = RobotState(
            seq=k,
            time=0.002 * k,
            joint_pos=joint_pos[k],
            joint_vel=joint_vel[k],
            joint_torque=joint_vel[k],
            pelvis_quat_w=_UP,
            pelvis_gyro_b=zero,
            pelvis_acc_b=zero,
        )
        was_damping = guard.view is not None and guard.view.mode is Mode.DAMPING
        try:
            out = guard.tick(state, command)
        except Exception as error:  # whatever it is, it would have ended the writer
            report.find(index, f"the guard raised {type(error).__name__}: {error}")
            guard, seq = CommandGuard(start_mode=Mode.RUNNING), 0
            continue
        for name in _FIELDS:
            written[name][k] = getattr(out, name)
        entries[k] = was_damping and guard.view is not None and guard.view.mode is not Mode.DAMPING
        if guard.fault is None:
            report.accepted += 1
        else:
            entries[k] = False
            report.answer(guard.fault.name)
            guard, seq = CommandGuard(start_mode=Mode.RUNNING), 0
    q, dq, tau, kp, kd = (written[name] for name in _FIELDS)
    for k in np.flatnonzero(harmful(q, dq, tau, kp, kd, joint_pos, joint_vel)):
        report.find(report.tried + int(k), "a command beyond the limits left the guard")
    for k in np.flatnonzero(entries & jumps_on_entry(q, dq, tau, kp, kd, joint_pos, joint_vel)):
        report.find(report.tried + int(k), "the first command after damping was not where the robot is")
    report.tried += count
