"""Policies of other projects: their metadata read into a contract, and ours written in theirs.

Known exporters: whole_body_tracking (comma-separated, three decimals, breadth-first joints), mjlab (the same with
history, scale and clip of each term), holosoma (JSON), unitree_rl_lab and unitree_rl_mjlab (deploy.yaml beside the
file). Their graphs take `obs`, or `obs` and `time_step`, and may then return their embedded motion, too.
Source: the exporters themselves.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from bm_core.contract import ActionSpec, Contract, Training
from bm_core.errors import BundleError
from bm_core.foreign_metadata import ForeignMetadata
from bm_core.g1 import ANCHOR_BODY, G1, TARGET_BODIES
from bm_core.observation_terms import FOREIGN_TERM_DIMS, TERM_DIMS, TERMS_NEEDING_STATE, ObservationTerm
from bm_core.onnx_file import OnnxFile

TIME_STEP = "time_step"
"""Graph input: the frame, (1, 1)."""

_ALIASES = {
    "motion_ref_pos_b": "motion_anchor_pos_b",
    "motion_ref_ori_b": "motion_anchor_ori_b",
    "motion_command": "command",
    "joint_pos_rel": "joint_pos",
    "dof_pos": "joint_pos",
    "joint_vel_rel": "joint_vel",
    "dof_vel": "joint_vel",
    "last_action": "actions",
}
"""The same terms before August 2025, in unitree_rl_lab and in holosoma."""

_HOLOSOMA_TERMS = ("actions", "base_ang_vel", "dof_pos", "dof_vel", "motion_command", "motion_ref_ori_b")
"""holosoma's tracking task; it concatenates terms sorted by name and writes no names into the file."""

_REFERENCE_OUTPUTS = (
    {"joint_pos", "joint_vel", "body_pos_w", "body_quat_w"},
    {"joint_pos", "joint_vel", "ref_quat_xyzw"},
)
"""Outputs of graphs with an embedded motion: whole_body_tracking and mjlab, holosoma."""

_GAIN_TOLERANCE = 0.01
"""Relative difference to our gains that is put down to rounding."""


def wbt_metadata(contract: Contract) -> dict[str, str]:
    """Our contract in the keys of whole_body_tracking, numbers at full precision."""
    action = contract.action
    return {
        "run_path": contract.training.run,
        "joint_names": ",".join(action.joint_names),
        "joint_stiffness": _csv(contract.stiffness),
        "joint_damping": _csv(contract.damping),
        "default_joint_pos": _csv(action.default_joint_pos),
        "command_names": "motion",
        "observation_names": ",".join(term.name for term in contract.observations),
        "observation_history_lengths": ",".join(str(term.history) for term in contract.observations),
        "action_scale": _csv(action.scale),
        "anchor_body_name": contract.anchor_body,
        "body_names": ",".join(contract.body_names),
    }


def check_wbt_metadata(metadata: Mapping[str, str], contract: Contract, where: str) -> None:
    """BundleError unless the file tells other stacks the same as its contract tells us."""
    for key, text in wbt_metadata(contract).items():
        if metadata.get(key) != text:
            state = "is missing" if key not in metadata else "differs from bm.contract"
            raise BundleError(f"{where}: metadata '{key}' {state}; export the bundle again")


def contract_from_foreign(path: str | Path, model: OnnxFile, where: str) -> tuple[Contract, list[str]]:
    """Contract of a foreign policy and what it cannot promise. BundleError if a necessary key is missing or unclear."""
    metadata = ForeignMetadata.of_file(path, model.metadata, where)
    warnings = [
        "no bm.contract: no golden trace, nothing proves that this program feeds the policy as in training",
        "numbers in the metadata may be rounded to 3 decimals",
        *(f"what the file does not say was read from {source}" for source in metadata.sources),
    ]
    joints = metadata.texts("joint_names")
    for name in joints:
        if name not in G1.joint_index:
            raise BundleError(f"{where}: joint '{name}' is not one of {G1.name}'s")
    nominal = {name: (G1.action_scale[i], G1.default_joint_pos[i]) for name, i in G1.joint_index.items()}
    scale, default = zip(*(map(float, nominal[name]) for name in joints), strict=True)
    if metadata.clips("action_clip"):
        raise BundleError(f"{where}: the actions are clipped, which this program does not do; export without a clip")
    contract = Contract(
        observations=_terms(model, metadata, where, warnings),
        action=ActionSpec(
            joint_names=joints,
            scale=metadata.numbers_or("action_scale", scale, warnings),
            default_joint_pos=metadata.numbers_or("default_joint_pos", default, warnings),
        ),
        stiffness=metadata.numbers("joint_stiffness", len(joints)),
        damping=metadata.numbers("joint_damping", len(joints)),
        effort_limit=tuple(G1.joint(name).effort for name in joints),
        anchor_body=metadata.texts_or("anchor_body_name", (ANCHOR_BODY,), warnings)[0],
        body_names=metadata.texts_or("body_names", TARGET_BODIES, warnings),
        reference=_reference(model),
        last_action=(0.0,) * len(joints),
        training=Training(
            commit="", motion_set="", motion_set_sha256="", steps=0, run=model.metadata.get("run_path", "")
        ),
    )
    warnings += _differing_gains(contract)
    return contract, warnings


def _reference(model: OnnxFile) -> str:
    if all(tensor.name != TIME_STEP for tensor in model.inputs):
        return "external"
    outputs = {tensor.name for tensor in model.outputs}
    return "embedded" if any(wanted <= outputs for wanted in _REFERENCE_OUTPUTS) else "timed"


def _terms(model: OnnxFile, metadata: ForeignMetadata, where: str, warnings: list[str]) -> tuple[ObservationTerm, ...]:
    spoken = _spoken_names(model, metadata, warnings)
    names = [_known(_ALIASES.get(name, name), metadata, where) for name in spoken]
    lengths = metadata.numbers_or("observation_history_lengths", (1.0,) * len(names), warnings)
    if any(length != int(length) for length in lengths):
        raise BundleError(f"{where}: metadata 'observation_history_lengths' holds a number that is not whole")
    clipped = metadata.clips("observation_terms_clip")
    if clipped:
        raise BundleError(f"{where}: an observation term is clipped to {clipped[0]}, which this program does not do")
    needy = [name for name in names if name in TERMS_NEEDING_STATE]
    if needy:
        warnings.append(f"needs state estimation for {', '.join(needy)}")
    if "base_lin_vel_com" in needy:
        warnings.append("base_lin_vel is taken for that of the pelvis' centre of mass, as Isaac Lab has it")
    dims = TERM_DIMS | FOREIGN_TERM_DIMS
    rows = zip(names, lengths, metadata.scales("observation_terms_scale", len(names)), strict=True)
    # Isaac Lab and mjlab write 0 for "no history", which is one step.
    return tuple(
        ObservationTerm(name=name, dim=dims[name], history=max(1, int(length)), scale=scale)
        for name, length, scale in rows
    )


def _spoken_names(model: OnnxFile, metadata: ForeignMetadata, warnings: list[str]) -> tuple[str, ...]:
    is_holosoma = any(tensor.name == "ref_quat_xyzw" for tensor in model.outputs)
    if is_holosoma and "observation_names" not in metadata:
        return metadata.texts_or("observation_names", _HOLOSOMA_TERMS, warnings)
    return metadata.texts("observation_names")


def _known(name: str, metadata: ForeignMetadata, where: str) -> str:
    """The term as this program calls it: base_lin_vel is of another point of the pelvis in each of the trainers."""
    # Also reference_window is unknown here: its offsets are nowhere in these keys.
    if name not in TERM_DIMS and name not in FOREIGN_TERM_DIMS:
        known = ", ".join([*TERM_DIMS, "projected_gravity"])
        raise BundleError(f"{where}: observation term '{name}' is unknown; known are {known}")
    if name != "base_lin_vel":
        return name
    is_mjlab = "observation_terms_flatten_history_dim" in metadata
    return "base_lin_vel_imu" if is_mjlab else "base_lin_vel_com"


def _differing_gains(contract: Contract) -> list[str]:
    joints = contract.action.joint_names
    odd = [
        name
        for name, kp, kd in zip(joints, contract.stiffness, contract.damping, strict=True)
        if not math.isclose(kp, G1.joint(name).kp, rel_tol=_GAIN_TOLERANCE)
        or not math.isclose(kd, G1.joint(name).kd, rel_tol=_GAIN_TOLERANCE)
    ]
    return [f"gains differ from {G1.name}'s nominal ones at {len(odd)} joints, first {odd[0]}"] if odd else []


def _csv(numbers: Sequence[float]) -> str:
    return ",".join(repr(number) for number in numbers)
