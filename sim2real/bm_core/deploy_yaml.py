"""deploy.yaml of unitree_rl_lab and unitree_rl_mjlab: their policy.onnx says nothing, this file beside it everything.

Layout: exported/policy.onnx and params/deploy.yaml. joint_ids_map gives the motor of each of the policy's joints;
stiffness and damping are in motor order, everything else in the policy's. Numbers are rounded by hand to 2-3 digits.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bm_core.errors import BundleError
from bm_core.g1 import CONTROL_DT, G1

_NAME = "deploy.yaml"
_ACTION = "JointPositionAction"
_ROUNDED = 0.0051
"""rad between two roundings of one angle to two digits."""
_KEYS = {
    "joint_ids_map": list,
    "stiffness": list,
    "damping": list,
    "default_joint_pos": list,
    "actions": dict,
    "observations": dict,
}
"""What must be there, and as what."""


def deploy_file(policy: Path) -> Path | None:
    """The deploy.yaml that belongs to a policy: beside it, or in params/ beside its folder."""
    for candidate in (policy.parent / _NAME, policy.parent.parent / "params" / _NAME):
        if candidate.is_file():
            return candidate
    return None


def deploy_entries(path: Path) -> dict[str, Any]:
    """The same facts in the keys of whole_body_tracking. BundleError names the key that is missing or does not fit."""
    document = _document(path)
    motors = document["joint_ids_map"]
    joints = len(G1.joint_names)
    if any(type(motor) is not int for motor in motors) or sorted(motors) != list(range(joints)):
        raise BundleError(f"{path}: joint_ids_map has {len(motors)} joints, each of 0..{joints - 1} once expected")
    period = document.get("step_dt", CONTROL_DT)
    if not isinstance(period, (int, float)) or abs(period - CONTROL_DT) > 1e-9:
        raise BundleError(f"{path}: step_dt is {period} s, the control loop runs at {CONTROL_DT} s")
    action, terms = _action(path, document), document["observations"]
    for name, term in terms.items():
        if not isinstance(term, dict):
            raise BundleError(f"{path}: observation term '{name}' must be a mapping with scale, clip, history_length")
    return {
        "joint_names": [G1.joint_names[motor] for motor in motors],
        "joint_stiffness": _by_motor(path, "stiffness", document["stiffness"], motors),
        "joint_damping": _by_motor(path, "damping", document["damping"], motors),
        "default_joint_pos": action["offset"],
        "action_scale": action.get("scale", 1.0),
        "observation_names": list(terms),
        "observation_history_lengths": [term.get("history_length", 1) for term in terms.values()],
        "observation_terms_scale": [term.get("scale") or 1.0 for term in terms.values()],
        "observation_terms_clip": [term.get("clip") or [] for term in terms.values()],
        "action_clip": action.get("clip"),
    }


def _document(path: Path) -> dict[str, Any]:
    from bm_core.strict_yaml import read_yaml

    document = read_yaml(path, BundleError)
    if not isinstance(document, dict):
        raise BundleError(f"{path}: not a deploy.yaml: a mapping expected")
    for key, kind in _KEYS.items():
        if key not in document:
            raise BundleError(f"{path}: key '{key}' is missing; copy the file that belongs to this policy")
        if not isinstance(document[key], kind):
            what = "a list" if kind is list else "a mapping"
            raise BundleError(f"{path}: key '{key}' must be {what}; copy the file that belongs to this policy")
    return document


def _action(path: Path, document: dict[str, Any]) -> dict[str, Any]:
    """Its one action term, whose set-points must be around the pose that joint_pos_rel is measured from."""
    actions, default = document["actions"], document["default_joint_pos"]
    if list(actions) != [_ACTION] or not isinstance(actions[_ACTION], dict):
        raise BundleError(f"{path}: actions are {', '.join(map(str, actions)) or 'none'}; {_ACTION} alone expected")
    offset = actions[_ACTION].get("offset", default)
    offset = offset if isinstance(offset, list) else [offset] * len(default)
    try:
        apart = max((abs(a - b) for a, b in zip(offset, default, strict=True)), default=0.0)
    except (TypeError, ValueError):
        apart = float("inf")
    if not apart <= _ROUNDED:
        raise BundleError(f"{path}: {_ACTION} has another offset than default_joint_pos; one pose for both expected")
    return {**actions[_ACTION], "offset": offset}


def _by_motor(path: Path, key: str, values: list[float], motors: list[int]) -> list[float]:
    if len(values) != len(motors):
        raise BundleError(f"{path}: {key} has {len(values)} numbers for {len(motors)} joints")
    return [values[motor] for motor in motors]
