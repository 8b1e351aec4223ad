"""A real policy bundle with a two-layer network, written in milliseconds, and ways to damage it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from bm_core.bundle import CONTRACT_KEY, PRODUCER, bundle_metadata
from bm_core.contract import Contract, Training, g1_contract
from bm_core.errors import BundleError
from bm_core.foreign_bundle import wbt_metadata
from bm_core.g1 import G1
from bm_core.kinematics import g1_kinematics
from bm_core.motion import MotionClip
from bm_core.observation_terms import tracker_terms
from bm_core.onnx_file import read_onnx
from bm_core.reference import MotionReference
from bm_core.rotations import quat_from_euler_xyz
from bm_core.state import RobotState
from bm_core.trace_recorder import TraceRecorder

TRAINING = Training(commit="0123abc", motion_set="walk", motion_set_sha256="ff" * 32, steps=1000, run="tiny")


def tiny_contract(**changes) -> Contract:
    """160 observations and a reference window."""
    contract = g1_contract(tracker_terms(state_estimation=True, window_steps=(4, 8)), TRAINING)
    return dataclasses.replace(contract, **changes)


def reordered(contract: Contract, order: Sequence[int]) -> Contract:
    """The same policy with its joints in another order."""
    pick = lambda values: tuple(values[i] for i in order)  # noqa: E731
    action = dataclasses.replace(
        contract.action,
        **{name: pick(getattr(contract.action, name)) for name in ("joint_names", "scale", "default_joint_pos")},
    )
    gains = {name: pick(getattr(contract, name)) for name in ("stiffness", "damping", "effort_limit")}
    return dataclasses.replace(contract, action=action, **gains)


def wavy_clip(frames: int = 40) -> MotionClip:
    """Every joint and the root move smoothly; no physics."""
    t = np.arange(frames)[:, None] * 0.02
    phase = np.arange(29) * 0.7
    joint_pos = G1.default_joint_pos + 0.1 * np.sin(4.0 * t + phase)
    root_pos = np.concatenate([0.5 * t, 0.1 * np.sin(t), 0.76 + 0.02 * np.cos(3 * t)], axis=1)
    root_quat = quat_from_euler_xyz(0.05 * np.sin(t[:, 0]), 0.1 * np.cos(t[:, 0]), 0.4 * t[:, 0])
    body_pos, body_quat = g1_kinematics().forward(root_pos, root_quat, joint_pos)
    return MotionClip(
        name="wavy",
        joint_pos=joint_pos,
        joint_vel=0.4 * np.cos(4.0 * t + phase),
        body_pos_w=body_pos,
        body_quat_w=body_quat,
        body_lin_vel_w=np.gradient(body_pos, 0.02, axis=0),
        body_ang_vel_w=np.zeros_like(body_pos),
        meta={},
    )


def network(num_inputs: int, *, seed: int = 0, num_actions: int = 29, extra_input: bool = False) -> onnx.ModelProto:
    """obs (batch, num_inputs) -> actions (batch, num_actions), bounded; weights from the seed."""
    rng = np.random.default_rng(seed)
    shapes = {"w0": (num_inputs, 16), "b0": (16,), "w1": (16, num_actions), "b1": (num_actions,)}
    weights = [numpy_helper.from_array(rng.normal(size=s).astype(np.float32) * 0.3, name) for name, s in shapes.items()]
    nodes = [
        helper.make_node("Gemm", ["obs", "w0", "b0"], ["hidden"]),
        helper.make_node("Tanh", ["hidden"], ["bounded"]),
        helper.make_node("Gemm", ["bounded", "w1", "b1"], ["actions"]),
    ]
    inputs = [helper.make_tensor_value_info("obs", TensorProto.FLOAT, ["batch", num_inputs])]
    if extra_input:
        inputs.append(helper.make_tensor_value_info("time_step", TensorProto.FLOAT, [1, 1]))
    output = helper.make_tensor_value_info("actions", TensorProto.FLOAT, ["batch", num_actions])
    graph = helper.make_graph(nodes, "tiny", inputs, [output], weights)
    return helper.make_model(graph, producer_name=PRODUCER, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def session(path: str | Path) -> Callable[..., np.ndarray]:
    """The network of a file in ONNX Runtime, one observation at a time; its time_step comes second."""
    model = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def run(obs: np.ndarray, time_step: int | None = None) -> np.ndarray:
        step = {} if time_step is None else {"time_step": np.array([[time_step]], np.float32)}
        return np.asarray(model.run(None, {"obs": obs[None], **step})[0])[0]

    return run


def made_up_state(rng: np.random.Generator, clip: MotionClip, k: int) -> RobotState:
    """Near frame k of the clip."""
    quat = clip.body_quat_w[k, 0] + 0.02 * rng.normal(size=4)
    return RobotState(
        seq=k,
        time=0.02 * k,
        joint_pos=clip.joint_pos[k] + 0.05 * rng.normal(size=29),
        joint_vel=clip.joint_vel[k] + 0.3 * rng.normal(size=29),
        joint_torque=np.zeros(29),
        pelvis_quat_w=quat / np.linalg.norm(quat),
        pelvis_gyro_b=0.3 * rng.normal(size=3),
        pelvis_acc_b=np.zeros(3),
        pelvis_pos_w=clip.body_pos_w[k, 0] + 0.02 * rng.normal(size=3),
        pelvis_lin_vel_b=0.3 * rng.normal(size=3),
    )


def with_normaliser(model: onnx.ModelProto, num_inputs: int, seed: int = 4) -> onnx.ModelProto:
    """The network behind (obs - mean) / spread."""
    rng = np.random.default_rng(seed)
    mean, spread = rng.normal(size=num_inputs) * 0.1, 0.5 + rng.random(num_inputs)
    for name, values in (("mean", mean), ("spread", spread)):
        model.graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), name))
    model.graph.node[0].input[0] = "normalised"
    model.graph.node.insert(0, helper.make_node("Div", ["centred", "spread"], ["normalised"]))
    model.graph.node.insert(0, helper.make_node("Sub", ["obs", "mean"], ["centred"]))
    return model


def record(contract: Contract, run: Callable[[np.ndarray], np.ndarray]):
    """Two episodes of five ticks; the second one runs into the end of the clip."""
    rng = np.random.default_rng(5)
    clip = wavy_clip()
    recorder = TraceRecorder(contract, run)
    for first in (1, 35):
        recorder.start(MotionReference(clip), first, 5)
        for k in range(first - 1, first + 4):
            recorder.step(made_up_state(rng, clip, k))
    return recorder.finish()


def save(model: onnx.ModelProto, metadata: dict[str, str], path: Path) -> Path:
    del model.metadata_props[:]
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    path.write_bytes(model.SerializeToString(deterministic=True))
    return path


def write_bundle(
    path: Path, contract: Contract | None = None, *, seed: int = 0, model: onnx.ModelProto | None = None
) -> Path:
    """A bundle that proves itself."""
    contract = contract or tiny_contract()
    model = model or network(contract.observation_dim, seed=seed)
    save(model, {}, path)
    trace = record(contract, session(path))
    digest, has_normaliser = read_onnx(path).graph_sha256, any(node.op_type == "Sub" for node in model.graph.node)
    return save(model, bundle_metadata(contract, digest, trace, 1e-4, has_normaliser=has_normaliser), path)


def edit_document(path: Path, change: Callable[[dict], None]) -> Path:
    """Change bm.contract's JSON; the other keys follow, as if someone had edited with care."""
    model = onnx.load(path)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    document = json.loads(metadata[CONTRACT_KEY])
    change(document)
    metadata[CONTRACT_KEY] = json.dumps(document)
    # An edit that breaks the contract itself is what the test is about; then the other keys stay.
    with contextlib.suppress(BundleError, TypeError):
        kept = {k: v for k, v in document.items() if k not in ("graph_sha256", "trace_tolerance", "golden_trace")}
        metadata |= wbt_metadata(Contract.from_json(json.dumps(kept)))
    return save(model, metadata, path)
