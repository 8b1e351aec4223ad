"""Left and right exchanged: reflection at the sagittal plane, as a permutation and a sign for every number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bm_core.diffusion.layout import TokenLayout
from bm_core.diffusion.state import StateRepresentation
from bm_core.errors import ConfigError
from bm_core.g1 import G1, TARGET_BODIES

_VECTOR = (1.0, -1.0, 1.0)
_AXIAL = (-1.0, 1.0, -1.0)
# R -> S R S with S = diag(1, -1, 1), the first two columns row by row.
_ROT6D = (1.0, -1.0, -1.0, 1.0, 1.0, -1.0)


@dataclass(frozen=True)
class Mirror:
    """mirrored[..., j] = sign[j] * values[..., index[j]]. Its own inverse."""

    index: NDArray[np.int64]
    sign: NDArray[np.float64]

    def __call__(self, values: Any) -> Any:
        """(..., D) -> (..., D), of an array."""
        return values[..., self.index] * self.sign.astype(values.dtype)

    @property
    def matrix(self) -> NDArray[np.float64]:
        """(D, D): mirrored = matrix @ values."""
        matrix = np.zeros((len(self.index), len(self.index)))
        matrix[np.arange(len(self.index)), self.index] = self.sign
        return matrix


def joint_mirror() -> Mirror:
    """Joint positions, velocities and joint actions (29). Roll and yaw hinges turn the other way."""
    index = [G1.joint_index[_other_side(name)] for name in G1.joint_names]
    sign = [-1.0 if "_roll_" in name or "_yaw_" in name else 1.0 for name in G1.joint_names]
    return Mirror(np.array(index), np.array(sign))


def state_mirror(representation: StateRepresentation = StateRepresentation.BODY_POS) -> Mirror:
    """State tokens."""
    if representation is StateRepresentation.BODY_POS:
        bodies = [TARGET_BODIES.index(_other_side(name)) for name in TARGET_BODIES]
        index = np.array([3 * body + axis for body in bodies for axis in range(3)])
        local = Mirror(index, np.tile(_VECTOR, len(bodies)))
    else:
        local = joint_mirror()
    root_sign = np.array([*_VECTOR, *_ROT6D, *_VECTOR, *_AXIAL])
    return chain(local, local, Mirror(np.arange(len(root_sign)), root_sign))


def action_mirror(layout: TokenLayout) -> Mirror:
    """Action tokens of joint actions. ConfigError for latents: they have no mirror image."""
    joints = joint_mirror()
    if layout.step_width != len(joints.index):
        raise ConfigError(f"actions of {layout.step_width} numbers have no mirror image; only joint actions (29) do")
    return chain(*[joints] * layout.steps_per_token)


def chain(*parts: Mirror) -> Mirror:
    """One mirror for parts that lie one behind the other."""
    starts = np.cumsum([0, *(len(part.index) for part in parts)])
    index = [part.index + start for part, start in zip(parts, starts, strict=False)]
    return Mirror(np.concatenate(index), np.concatenate([part.sign for part in parts]))


def _other_side(name: str) -> str:
    if name.startswith("left_"):
        return name.replace("left_", "right_", 1)
    return name.replace("right_", "left_", 1)
