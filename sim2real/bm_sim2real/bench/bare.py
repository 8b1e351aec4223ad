"""What to compare with: a bare onnxruntime call, and MuJoCo stepping the same robot without any of our code."""

# MuJoCo is a compiled module without type stubs.
# pyright: reportAttributeAccessIssue=false
from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from bm_core.g1 import DEFAULT_ROOT_HEIGHT, G1
from bm_sim2real.policies.inference import OnnxSession
from bm_sim2real.robots.simulation_config import TICK_DT, SimulationConfig

_WARM_UP = 50


def time_session(policy: Path, calls: int) -> list[float]:
    """s of each call of our session."""
    import onnxruntime

    width = onnxruntime.InferenceSession(str(policy)).get_inputs()[0].shape[1]
    session, observation = OnnxSession(policy), np.zeros(width, dtype=np.float32)
    return _calls(lambda: session(observation), calls)


def time_bare_session(policy: Path, calls: int) -> list[float]:
    """s of each `InferenceSession.run` on one thread, inputs made once."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(policy), options, providers=["CPUExecutionProvider"])
    feed = {tensor.name: np.zeros((1, tensor.shape[1]), dtype=np.float32) for tensor in session.get_inputs()}
    wanted = [session.get_outputs()[0].name]
    return _calls(lambda: session.run(wanted, feed), calls)


def bare_simulation_factor(seconds: float) -> float:
    """Multiples of real time of `mj_step` alone: the same model, standing on its motors, nobody reading."""
    import mujoco

    from bm_sim2real.robots.mujoco_model import build_model

    model = build_model(SimulationConfig())
    data = mujoco.MjData(model)
    data.qpos[2], data.qpos[7:] = DEFAULT_ROOT_HEIGHT, G1.default_joint_pos
    model.actuator_biasprm[:, 1], model.actuator_biasprm[:, 2] = -G1.kp, -G1.kd
    data.ctrl[:] = G1.kp * G1.default_joint_pos
    steps = round(seconds / TICK_DT)
    mujoco.mj_step(model, data)
    begun = time.perf_counter()
    for _ in range(steps):
        mujoco.mj_step(model, data)
    return steps * TICK_DT / (time.perf_counter() - begun)


def _calls(call, count: int) -> list[float]:
    seconds = []
    for _ in range(_WARM_UP + count):
        begun = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begun)
    return seconds[_WARM_UP:]
