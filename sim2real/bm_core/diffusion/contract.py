"""What a diffusion bundle expects of robot and loop; the counterpart of bm_core.contract for trackers."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

from bm_core import strict_json
from bm_core.contract import ActionSpec, Training, g1_joints
from bm_core.contract_check import check_joint_numbers
from bm_core.diffusion.guidance.settings import GuidanceSpec
from bm_core.diffusion.spec import DiffusionSpec
from bm_core.errors import BundleError
from bm_core.g1 import CONTROL_DT, G1
from bm_core.observation_terms import ObservationTerm

SCHEMA_VERSION = 1
KIND = "diffusion"
PRECISIONS = ("fp32", "fp16", "int8")


@dataclass(frozen=True, kw_only=True)
class DecoderSpec:
    """The graph between a planned action and the joints: z (1, step_width) [, obs (1, O)] -> actions (1, 29)."""

    sha256: str
    """Of the decoder's model file, which lies in the metadata."""
    observations: tuple[ObservationTerm, ...] = ()
    """Proprioception beside z, in order; none for joint actions."""


@dataclass(frozen=True, kw_only=True)
class DiffusionContract:
    """Everything a runtime must know to run one diffusion policy. Joints in the order of bm_core.g1."""

    schema_version: int = SCHEMA_VERSION
    kind: str = KIND
    robot: str = G1.name
    spec: DiffusionSpec
    action: ActionSpec
    stiffness: tuple[float, ...]
    """N m/rad"""
    damping: tuple[float, ...]
    """N m s/rad"""
    effort_limit: tuple[float, ...]
    """N m"""
    control_dt: float = CONTROL_DT
    """s between two actions"""
    decoder: DecoderSpec
    precision: str
    """Of the planner graph's weights; one of PRECISIONS. Inputs and outputs are always float32."""
    training: Training
    guidance: GuidanceSpec = field(default_factory=GuidanceSpec)
    """How hard goals pull, as tuned in closed loop for this model."""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return dataclasses.asdict(self)


def g1_diffusion_contract(
    spec: DiffusionSpec,
    training: Training,
    *,
    decoder: DecoderSpec,
    precision: str,
    guidance: GuidanceSpec | None = None,
) -> DiffusionContract:
    """The contract of a model trained by this project: gains and scales of bm_core.g1."""
    return DiffusionContract(
        spec=spec,
        decoder=decoder,
        precision=precision,
        training=training,
        guidance=guidance or GuidanceSpec(),
        **g1_joints(),
    )


def diffusion_contract_from_dict(data: dict[str, Any], where: str) -> DiffusionContract:
    """From a parsed document. BundleError for another kind or schema, a missing or mistyped key, wrong sizes."""
    version, kind = data.get("schema_version"), data.get("kind")
    if kind != KIND:
        raise BundleError(f"{where}: kind is {kind!r}, '{KIND}' expected; trackers are played with bm run and bm demo")
    if version != SCHEMA_VERSION:
        raise BundleError(f"{where}: schema_version is {version!r}, {SCHEMA_VERSION} expected; export the bundle again")
    # Settings that are younger than the bundle take their defaults: guidance is tuned, not trained.
    given = data.get("guidance", {})
    if not isinstance(given, dict):
        raise BundleError(f"{where}.guidance: an object expected, found a {type(given).__name__}")
    guidance = {**dataclasses.asdict(GuidanceSpec()), **given}
    contract = strict_json.build(DiffusionContract, {**data, "guidance": guidance}, where)
    _check(contract, where)
    return contract


def _check(contract: DiffusionContract, where: str) -> None:
    if contract.robot != G1.name:
        raise BundleError(f"{where}: made for robot '{contract.robot}', this is '{G1.name}'")
    if not math.isclose(contract.control_dt, CONTROL_DT, abs_tol=1e-9):
        raise BundleError(f"{where}: control_dt is {contract.control_dt} s, the control loop runs at {CONTROL_DT} s")
    if contract.action.joint_names != G1.joint_names:
        raise BundleError(f"{where}: action.joint_names are not {G1.name}'s, in its order")
    if contract.precision not in PRECISIONS:
        raise BundleError(f"{where}: precision is '{contract.precision}'; known are {', '.join(PRECISIONS)}")
    check_joint_numbers(contract, where)
    if contract.spec.action == "joint" and contract.spec.layout.step_width != len(G1.joint_names):
        raise BundleError(f"{where}: joint actions of {contract.spec.layout.step_width} numbers")
