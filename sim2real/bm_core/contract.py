"""What a policy expects of robot and loop: written by training, carried by the bundle, obeyed at run time."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from bm_core import strict_json
from bm_core.errors import BundleError
from bm_core.g1 import ANCHOR_BODY, CONTROL_DT, G1, TARGET_BODIES
from bm_core.observation_terms import ObservationTerm

SCHEMA_VERSION = 1
KIND = "tracker"
REFERENCES = ("external", "timed", "embedded")


@dataclass(frozen=True, kw_only=True)
class ActionSpec:
    """Joint set-point = default_joint_pos + scale * action, joint by joint; not clipped to the joint range."""

    joint_names: tuple[str, ...]
    """Order of the policy; the runtime maps it to the robot's by name."""
    scale: tuple[float, ...]
    """rad per unit of action"""
    default_joint_pos: tuple[float, ...]
    """rad; also the zero of the observation terms joint_pos and reference_window"""


@dataclass(frozen=True, kw_only=True)
class Training:
    """Where the policy comes from. Empty text where nobody knows."""

    commit: str
    """Of this repository."""
    motion_set: str
    """Name of the motion set."""
    motion_set_sha256: str
    steps: int
    """Environment steps."""
    run: str
    """Name of the training run."""


@dataclass(frozen=True, kw_only=True)
class Contract:
    """Everything a runtime must know to run one tracker. Per-joint numbers are in the order of action.joint_names."""

    schema_version: int = SCHEMA_VERSION
    kind: str = KIND
    robot: str = G1.name
    """RobotSpec.name."""
    observations: tuple[ObservationTerm, ...]
    action: ActionSpec
    stiffness: tuple[float, ...]
    """N m/rad"""
    damping: tuple[float, ...]
    """N m s/rad"""
    effort_limit: tuple[float, ...]
    """N m"""
    control_dt: float = CONTROL_DT
    """s between two actions"""
    anchor_body: str = ANCHOR_BODY
    body_names: tuple[str, ...] = TARGET_BODIES
    """Bodies that training tracked."""
    reference: str = "external"
    """external: frames come through the observation; timed: the graph wants their number, too; embedded: it has the
    motion inside and returns it."""
    first_frame: int = 1
    """Frame that the first observation holds when the robot starts on frame 0."""
    last_action: tuple[float, ...] = (0.0,) * len(G1.joint_names)
    """The term `actions` at the first step."""
    training: Training

    @property
    def observation_dim(self) -> int:
        """Length of the observation vector."""
        return sum(term.size for term in self.observations)

    @property
    def action_dim(self) -> int:
        """Length of the action vector."""
        return len(self.action.joint_names)

    def to_json(self) -> str:
        """The document `contract.json` that training writes beside a checkpoint; equal contracts give equal text."""
        return strict_json.dump(self)

    @classmethod
    def from_json(cls, text: str, where: str = "contract") -> Contract:
        """Read what `to_json` wrote. BundleError for a newer schema, a missing, unknown or mistyped key."""
        return contract_from_dict(strict_json.parse_object(text, where), where)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return dataclasses.asdict(self)


def contract_from_dict(data: dict[str, Any], where: str) -> Contract:
    """Like Contract.from_json for an already parsed document."""
    version = data.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise BundleError(
            f"{where}: schema_version {version} is newer than this program's {SCHEMA_VERSION}; update beyondmimic-g1"
        )
    if version != SCHEMA_VERSION:
        raise BundleError(f"{where}: schema_version is {version!r}, {SCHEMA_VERSION} expected; export the bundle again")
    kind = data.get("kind")
    if kind != KIND:
        raise BundleError(f"{where}: kind is {kind!r}; this program runs bundles of kind '{KIND}'")
    return strict_json.build(Contract, data, where)


def g1_contract(observations: tuple[ObservationTerm, ...], training: Training) -> Contract:
    """The contract of a tracker trained by this project: canonical joint order, gains and scales of bm_core.g1."""
    return Contract(observations=tuple(observations), training=training, **g1_joints())


def g1_joints() -> dict[str, Any]:
    """What all policies of this project say of the joints: action, stiffness, damping, effort_limit of bm_core.g1."""
    action = ActionSpec(
        joint_names=G1.joint_names,
        scale=tuple(G1.action_scale.tolist()),
        default_joint_pos=tuple(G1.default_joint_pos.tolist()),
    )
    gains = {"stiffness": G1.kp, "damping": G1.kd, "effort_limit": G1.effort}
    return {"action": action} | {name: tuple(values.tolist()) for name, values in gains.items()}
