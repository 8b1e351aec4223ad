"""Whether a contract fits the robot. Each rule refuses with one line that says what is wrong; the first one wins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bm_core.contract import REFERENCES, Contract
from bm_core.errors import BundleError
from bm_core.g1 import CONTROL_DT, G1, RobotSpec
from bm_core.observation_terms import WINDOW_TERM, ObservationTerm, term_dim

if TYPE_CHECKING:
    from bm_core.diffusion.contract import DiffusionContract

_EFFORT_TOLERANCE = 1e-3
"""Relative. The limits are the motors' data sheet: a policy cannot have others."""
_POSE_TOLERANCE = 0.1
"""rad that the default pose may lie beyond the joint range, as for clips."""


def check_contract(contract: Contract, where: str, robot: RobotSpec = G1) -> None:
    """BundleError, prefixed with `where`, unless the contract can be run on `robot`."""
    if contract.robot != robot.name:
        raise BundleError(f"{where}: made for robot '{contract.robot}', this is '{robot.name}'")
    if contract.reference not in REFERENCES:
        raise BundleError(
            f"{where}: reference '{contract.reference}' is unknown; one of {', '.join(REFERENCES)} expected"
        )
    if not math.isclose(contract.control_dt, CONTROL_DT, abs_tol=1e-9):
        raise BundleError(f"{where}: control_dt is {contract.control_dt} s, the control loop runs at {CONTROL_DT} s")
    if contract.first_frame < 0:
        raise BundleError(f"{where}: first_frame is {contract.first_frame}, 0 or more expected")
    _check_joint_names(contract.action.joint_names, where, robot)
    check_joint_numbers(contract, where, robot, last_action=contract.last_action)
    _check_bodies(contract, where, robot)
    _check_terms(contract.observations, where)


def _check_joint_names(names: Sequence[str], where: str, robot: RobotSpec) -> None:
    for name in names:
        if name not in robot.joint_index:
            raise BundleError(f"{where}: joint '{name}' is not one of {robot.name}'s")
        if names.count(name) > 1:
            raise BundleError(f"{where}: joint '{name}' is listed {names.count(name)} times")
    for name in robot.joint_names:
        if name not in names:
            raise BundleError(f"{where}: joint '{name}' of {robot.name} is missing")


def check_joint_numbers(
    contract: Contract | DiffusionContract, where: str, robot: RobotSpec = G1, **more: Sequence[float]
) -> None:
    """BundleError unless gains, scales, limits and pose are numbers for each joint that a motor can follow.

    `more`: other columns with a finite number for each joint.
    """
    names = contract.action.joint_names
    columns = {
        "action.scale": contract.action.scale,
        "action.default_joint_pos": contract.action.default_joint_pos,
        "stiffness": contract.stiffness,
        "damping": contract.damping,
        "effort_limit": contract.effort_limit,
        **more,
    }
    for field, numbers in columns.items():
        if len(numbers) != len(names):
            raise BundleError(f"{where}: {field} has {len(numbers)} numbers for {len(names)} joints")
        for name, number in zip(names, numbers, strict=True):
            if not math.isfinite(number):
                raise BundleError(f"{where}: {field} of {name} is {number}")
            if field in ("action.scale", "stiffness", "damping", "effort_limit") and number <= 0.0:
                raise BundleError(f"{where}: {field} of {name} is {number}, must be positive")
    for name, limit, pose in zip(names, contract.effort_limit, contract.action.default_joint_pos, strict=True):
        joint = robot.joint(name)
        if not math.isclose(limit, joint.effort, rel_tol=_EFFORT_TOLERANCE):
            raise BundleError(f"{where}: effort_limit of {name} is {limit} N m, the motor's is {joint.effort}")
        if not joint.lower - _POSE_TOLERANCE <= pose <= joint.upper + _POSE_TOLERANCE:
            raise BundleError(
                f"{where}: default_joint_pos of {name} is {pose} rad, range {joint.lower:.2f}..{joint.upper:.2f}"
            )


def _check_bodies(contract: Contract, where: str, robot: RobotSpec) -> None:
    if not contract.body_names:
        raise BundleError(f"{where}: body_names is empty")
    for name in (contract.anchor_body, *contract.body_names):
        if name not in robot.body_index:
            raise BundleError(f"{where}: body '{name}' is not one of {robot.name}'s")
        if contract.body_names.count(name) > 1:
            raise BundleError(f"{where}: body '{name}' is listed {contract.body_names.count(name)} times")


def _check_terms(terms: Sequence[ObservationTerm], where: str) -> None:
    if not terms:
        raise BundleError(f"{where}: no observation terms")
    names = [term.name for term in terms]
    for term in terms:
        label = f"{where}: observation term '{term.name}'"
        if names.count(term.name) > 1:
            raise BundleError(f"{label} is listed {names.count(term.name)} times")
        try:
            dim = term_dim(term.name, term.steps)
        except BundleError as error:
            raise BundleError(f"{where}: {error}") from error
        if (term.name == WINDOW_TERM) != bool(term.steps) or any(step < 0 for step in term.steps):
            raise BundleError(f"{label}: steps {list(term.steps)}; offsets >= 0 for {WINDOW_TERM}, none for others")
        if term.dim != dim:
            raise BundleError(f"{label} has dim {term.dim}, {dim} expected")
        if term.history < 1:
            raise BundleError(f"{label} has history {term.history}, 1 or more expected")
        if not math.isfinite(term.scale) or term.scale == 0.0:
            raise BundleError(f"{label} has scale {term.scale}, a finite number other than 0 expected")
