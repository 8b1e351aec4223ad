"""Policies as other projects export them: graphs with their motion inside, and the metadata they write."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tiny_bundle import network, save, wavy_clip

from bm_core.g1 import G1, TARGET_BODIES
from bm_core.joint_order import ISAAC_JOINT_NAMES
from bm_core.motion import MotionClip

OBSERVATIONS_154 = ("command", "motion_anchor_ori_b", "base_ang_vel", "joint_pos", "joint_vel", "actions")
OBSERVATIONS_160 = (
    "command",
    "motion_anchor_pos_b",
    "motion_anchor_ori_b",
    "base_lin_vel",
    "base_ang_vel",
    "joint_pos",
    "joint_vel",
    "actions",
)

# Gains and scales with three decimals, as such exporters write them.
GROUPS = {
    ("hip_pitch", "hip_yaw", "waist_yaw"): ("40.179", "2.558", "0.548"),
    ("hip_roll", "knee"): ("99.098", "6.309", "0.351"),
    ("ankle", "waist_roll", "waist_pitch"): ("28.501", "1.814", "0.439"),
    ("shoulder", "elbow", "wrist_roll"): ("14.251", "0.907", "0.439"),
    ("wrist_pitch", "wrist_yaw"): ("16.778", "1.068", "0.075"),
}
DEFAULTS = {
    "hip_pitch": "-0.312",
    "knee": "0.669",
    "ankle_pitch": "-0.363",
    "shoulder_pitch": "0.200",
    "elbow": "0.600",
    "left_shoulder_roll": "0.200",
    "right_shoulder_roll": "-0.200",
}


def column(index: int, names=ISAAC_JOINT_NAMES) -> list[str]:
    """Stiffness (0), damping (1), action scale (2), default pose (3) of the named joints."""
    if index == 3:
        return [next((v for key, v in DEFAULTS.items() if key in name), "0.000") for name in names]
    return [next(v for keys, v in GROUPS.items() if any(key in name for key in keys))[index] for name in names]


def wbt_entries(names=ISAAC_JOINT_NAMES, observations=OBSERVATIONS_154) -> dict[str, str]:
    """whole_body_tracking's metadata; bodies are its 14."""
    return {
        "run_path": "team/project/run",
        "joint_names": ",".join(names),
        "joint_stiffness": ",".join(column(0, names)),
        "joint_damping": ",".join(column(1, names)),
        "default_joint_pos": ",".join(column(3, names)),
        "command_names": "motion",
        "observation_names": ",".join(observations),
        "observation_history_lengths": ",".join(["0.000"] * len(observations)),
        "action_scale": ",".join(column(2, names)),
        "anchor_body_name": "torso_link",
        "body_names": ",".join(TARGET_BODIES),
    }


def mjlab_entries(observations=OBSERVATIONS_160) -> dict[str, str]:
    """mjlab 1.6's metadata: canonical joints, history, scale and clip of each term."""
    entries = wbt_entries(G1.joint_names, observations)
    entries["observation_terms_history_length"] = entries.pop("observation_history_lengths")
    entries["observation_terms_scale"] = ",".join(["1.000"] * len(observations))
    entries["observation_terms_clip"] = ",".join(["-inf;inf"] * len(observations))
    return entries | {"observation_terms_flatten_history_dim": ",".join(["1.000"] * len(observations))}


def holosoma_entries() -> dict[str, str]:
    """holosoma's metadata: every value JSON, no observation names, no default pose."""
    entries = {
        "dof_names": G1.joint_names,
        "kp": [float(v) for v in column(0, G1.joint_names)],
        "kd": [float(v) for v in column(1, G1.joint_names)],
        "action_scale": [float(v) for v in column(2, G1.joint_names)],
        "command_ranges": None,
        "robot_urdf": "<robot name='g1'/>",
    }
    return {key: json.dumps(value) for key, value in entries.items()}


def deploy_document(observations=None) -> dict:
    """unitree_rl_lab's deploy.yaml: gains in motor order, the rest breadth-first, two digits."""
    motors = [G1.joint_index[name] for name in ISAAC_JOINT_NAMES]
    names = observations or ("motion_command", "motion_anchor_ori_b", "base_ang_vel", "joint_pos_rel", "joint_vel_rel")
    terms = {name: {"params": {}, "clip": None, "scale": [1.0] * 3, "history_length": 1} for name in names}
    terms["last_action"] = {"params": {}, "clip": None, "scale": [1.0] * 29, "history_length": 1}
    return {
        "joint_ids_map": motors,
        "step_dt": 0.02,
        "stiffness": [round(float(v), 1) for v in column(0, G1.joint_names)],
        "damping": [round(float(v), 2) for v in column(1, G1.joint_names)],
        "default_joint_pos": [float(v) for v in column(3)],
        "commands": {},
        "actions": {
            "JointPositionAction": {
                "clip": None,
                "joint_names": [".*"],
                "scale": [float(v) for v in column(2)],
                "offset": [float(v) for v in column(3)],
                "joint_ids": None,
            }
        },
        "observations": terms,
    }


def motion_arrays(clip: MotionClip, names=ISAAC_JOINT_NAMES, *, holosoma: bool = False) -> dict[str, np.ndarray]:
    """What the graph returns of its motion, (T, ...) float32."""
    joints = [G1.joint_index[name] for name in names]
    bodies = [G1.body_index[name] for name in TARGET_BODIES]
    arrays = {"joint_pos": clip.joint_pos[:, joints], "joint_vel": clip.joint_vel[:, joints]}
    if holosoma:
        torso = G1.body_index["torso_link"]
        arrays["ref_pos_xyz"] = clip.body_pos_w[:, torso]
        arrays["ref_quat_xyzw"] = clip.body_quat_w[:, torso][:, [1, 2, 3, 0]]
    else:
        for key in ("body_pos_w", "body_quat_w", "body_lin_vel_w", "body_ang_vel_w"):
            arrays[key] = getattr(clip, key)[:, bodies]
    return {key: np.asarray(value, np.float32) for key, value in arrays.items()}


def motion_network(num_inputs: int, arrays: dict[str, np.ndarray], *, clamp: bool = True, seed: int = 0):
    """(obs, time_step) -> actions and the frame of each array; time_step stays at the last frame if `clamp`."""
    model = network(num_inputs, seed=seed, extra_input=True)
    model.producer_name = "pytorch"
    graph = model.graph
    for tensor in (graph.input[0], graph.output[0]):
        tensor.type.tensor_type.shape.dim[0].dim_value = 1
    frames = len(arrays["joint_pos"])
    graph.initializer.extend(
        [
            numpy_helper.from_array(np.array([1], np.int64), "axis"),
            numpy_helper.from_array(np.array(frames - 1, np.int64), "last"),
            *(numpy_helper.from_array(value, f"motion.{key}") for key, value in arrays.items()),
        ]
    )
    graph.node.append(helper.make_node("Cast", ["time_step"], ["step_wide"], to=TensorProto.INT64))
    graph.node.append(helper.make_node("Squeeze", ["step_wide", "axis"], ["step"]))
    if clamp:
        graph.node.append(helper.make_node("Min", ["step", "last"], ["clamped"]))
    for key, value in arrays.items():
        graph.node.append(helper.make_node("Gather", [f"motion.{key}", "clamped" if clamp else "step"], [key]))
        graph.output.append(helper.make_tensor_value_info(key, TensorProto.FLOAT, [1, *value.shape[1:]]))
    onnx.checker.check_model(model)
    return model


def write_wbt(path: Path, clip: MotionClip | None = None, *, entries=None, clamp: bool = True, arrays=None) -> Path:
    """A whole_body_tracking policy with its motion inside."""
    entries = entries or wbt_entries()
    arrays = arrays or motion_arrays(clip or wavy_clip(), tuple(entries["joint_names"].split(",")))
    width = 160 if "base_lin_vel" in entries["observation_names"] else 154
    return save(motion_network(width, arrays, clamp=clamp), entries, path)


def write_holosoma(path: Path, clip: MotionClip | None = None) -> Path:
    """A holosoma tracking policy with its motion inside."""
    arrays = motion_arrays(clip or wavy_clip(), G1.joint_names, holosoma=True)
    return save(motion_network(154, arrays), holosoma_entries(), path)


def write_unitree_rl_lab(folder: Path, document: dict | None = None) -> Path:
    """exported/policy.onnx without a word and params/deploy.yaml with all of them."""
    import yaml

    for name in ("exported", "params"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "params" / "deploy.yaml").write_text(yaml.safe_dump(document or deploy_document(), sort_keys=False))
    model = network(154)
    model.producer_name = "pytorch"
    return save(model, {}, folder / "exported" / "policy.onnx")
