"""The metadata of whole_body_tracking's exporter: read from foreign policies, written into ours.

Foreign files (whole_body_tracking, mjlab and their forks) hold comma-separated values with three decimals. Those graphs
take `obs`, or `obs` and `time_step`, and then return their embedded motion, too. Source: reference sheet 4.1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from bm_core.contract import ActionSpec, Contract, Training
from bm_core.errors import BundleError
from bm_core.g1 import ANCHOR_BODY, G1, TARGET_BODIES
from bm_core.observation_terms import TERM_DIMS, TERMS_NEEDING_STATE, ObservationTerm
from bm_core.onnx_file import OnnxFile

_ALIASES = {"motion_ref_pos_b": "motion_anchor_pos_b", "motion_ref_ori_b": "motion_anchor_ori_b"}
"""Names of the same terms before August 2025."""

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


def contract_from_wbt(model: OnnxFile, where: str) -> tuple[Contract, list[str]]:
    """Contract of a foreign policy and what it cannot promise. BundleError if a necessary key is missing or unclear."""
    metadata = _Metadata(model.metadata, where)
    warnings = [
        "no bm.contract: no golden trace, nothing proves that this program feeds the policy as in training",
        "numbers in the metadata may be rounded to 3 decimals",
    ]
    joints = metadata.texts("joint_names")
    action = ActionSpec(
        joint_names=joints,
        scale=metadata.numbers("action_scale", len(joints)),
        default_joint_pos=metadata.numbers("default_joint_pos", len(joints)),
    )
    for name in joints:
        if name not in G1.joint_index:
            raise BundleError(f"{where}: joint '{name}' is not one of {G1.name}'s")
    contract = Contract(
        observations=_terms(metadata, where, warnings),
        action=action,
        stiffness=metadata.numbers("joint_stiffness", len(joints)),
        damping=metadata.numbers("joint_damping", len(joints)),
        effort_limit=tuple(G1.joint(name).effort for name in joints),
        anchor_body=metadata.text("anchor_body_name", ANCHOR_BODY, warnings),
        body_names=tuple(metadata.text("body_names", ",".join(TARGET_BODIES), warnings).split(",")),
        reference="embedded" if any(tensor.name == "time_step" for tensor in model.inputs) else "external",
        last_action=(0.0,) * len(joints),
        training=Training(
            commit="", motion_set="", motion_set_sha256="", steps=0, run=model.metadata.get("run_path", "")
        ),
    )
    warnings += _differing_gains(contract)
    return contract, warnings


def _terms(metadata: _Metadata, where: str, warnings: list[str]) -> tuple[ObservationTerm, ...]:
    names = [_ALIASES.get(name, name) for name in metadata.texts("observation_names")]
    for name in names:
        # Also reference_window: its offsets are nowhere in these keys.
        if name not in TERM_DIMS:
            raise BundleError(f"{where}: observation term '{name}' is unknown; known are {', '.join(TERM_DIMS)}")
    ones = ",".join(["1"] * len(names))
    lengths = metadata.split_numbers(
        "observation_history_lengths", metadata.text("observation_history_lengths", ones, warnings), len(names)
    )
    if any(length != int(length) for length in lengths):
        raise BundleError(f"{where}: metadata 'observation_history_lengths' holds a number that is not whole")
    needy = [name for name in names if name in TERMS_NEEDING_STATE]
    if needy:
        warnings.append(f"needs state estimation for {', '.join(needy)}")
    if "base_lin_vel" in needy:
        warnings.append(
            "base_lin_vel may have been that of the pelvis' centre of mass in training; here it is the link origin's"
        )
    # Isaac Lab writes 0 for "no history", which is one step.
    pairs = zip(names, lengths, strict=True)
    return tuple(ObservationTerm(name=name, dim=TERM_DIMS[name], history=max(1, int(n))) for name, n in pairs)


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


class _Metadata:
    """Typed access that names the key in every error."""

    def __init__(self, entries: Mapping[str, str], where: str) -> None:
        self._entries, self._where = entries, where

    def texts(self, key: str) -> tuple[str, ...]:
        if not self._entries.get(key):
            raise BundleError(
                f"{self._where}: no bm.contract and no metadata '{key}'; export the policy with bm export tracking"
            )
        return tuple(part.strip() for part in self._entries[key].split(","))

    def text(self, key: str, default: str, warnings: list[str]) -> str:
        if key in self._entries:
            return self._entries[key]
        warnings.append(f"metadata '{key}' is missing, assumed {default}")
        return default

    def numbers(self, key: str, count: int) -> tuple[float, ...]:
        return self.split_numbers(key, ",".join(self.texts(key)), count)

    def split_numbers(self, key: str, text: str, count: int) -> tuple[float, ...]:
        """One number for each of `count`; a single one stands for all of them."""
        try:
            values = tuple(float(part) for part in text.split(","))
        except ValueError as error:
            raise BundleError(f"{self._where}: metadata '{key}' holds '{text[:40]}', numbers expected") from error
        if len(values) == 1:
            values *= count
        if len(values) != count:
            raise BundleError(f"{self._where}: metadata '{key}' has {len(values)} numbers, {count} expected")
        if not all(math.isfinite(value) for value in values):
            raise BundleError(f"{self._where}: metadata '{key}' holds NaN or infinity")
        return values
