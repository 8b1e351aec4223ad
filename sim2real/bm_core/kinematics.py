"""Forward kinematics of a floating-base tree of hinges, read from an MJCF. NumPy only, any batch shape.

World frame, link origins; quaternions wxyz. MuJoCo is the oracle in the tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from bm_core.errors import RobotError
from bm_core.g1 import mjcf_path
from bm_core.rotations import cross, quat_from_axis_angle, quat_multiply, quat_normalize, quat_rotate

Array = NDArray[np.floating]

_IDENTITY = (1.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Link:
    """A body, where it sits in its parent, and the hinge that moves it (none for the root)."""

    name: str
    parent: int
    """Index among the links; -1 for the root."""
    pos: Array
    """(3,) m, origin in the parent's frame."""
    quat: Array
    """(4,) wxyz, in the parent's frame at joint angle 0."""
    joint: int
    """Index of the hinge; -1 for the root."""
    axis: Array
    """(3,) unit, in the link's own frame."""


@dataclass(frozen=True)
class _Generation:
    """The links at one distance from the root: they can be computed together, 3 times faster than one by one."""

    index: NDArray[np.intp]
    parents: NDArray[np.intp]


class KinematicTree:
    """Poses and velocities of every link from the root's pose and the joint angles."""

    def __init__(self, links: list[Link], joint_names: tuple[str, ...]) -> None:
        self._links = links
        self.joint_names = joint_names
        self.body_names = tuple(link.name for link in links)
        self._body_index = {name: index for index, name in enumerate(self.body_names)}
        self._generations = _generations(links)
        self._axes = np.array([link.axis for link in links[1:]]).reshape(-1, 3)
        self._quats = np.array([link.quat for link in links[1:]]).reshape(-1, 4)
        self._joints = np.array([link.joint for link in links[1:]], dtype=np.intp)
        self._parents = np.array([link.parent for link in links[1:]], dtype=np.intp)
        self._offsets = np.array([link.pos for link in links[1:]]).reshape(-1, 3)

    @property
    def links(self) -> tuple[Link, ...]:
        """Depth first, parents before children; for twins of this class on other devices."""
        return tuple(self._links)

    @classmethod
    def from_mjcf(cls, path: Path) -> KinematicTree:
        """Reads bodies and hinges depth first. RobotError unless it is one floating tree with a hinge per link."""
        world = ElementTree.parse(path).getroot().find("worldbody")
        roots = [] if world is None else world.findall("body")
        if len(roots) != 1:
            raise RobotError(f"{path.name}: {len(roots)} root bodies; one floating base expected")
        links: list[Link] = []
        joint_names: list[str] = []

        def visit(body: ElementTree.Element, parent: int) -> None:
            joints = body.findall("joint")
            if len(joints) != (0 if parent < 0 else 1):
                raise RobotError(
                    f"{path.name}: body {body.get('name')} has {len(joints)} joints; one hinge per link expected"
                )
            axis = _numbers(joints[0].get("axis"), (0.0, 0.0, 1.0)) if joints else np.zeros(3)
            links.append(
                Link(
                    name=body.get("name", ""),
                    parent=parent,
                    pos=_numbers(body.get("pos"), (0.0, 0.0, 0.0)),
                    quat=quat_normalize(_numbers(body.get("quat"), _IDENTITY)),
                    joint=len(joint_names) if joints else -1,
                    axis=axis,
                )
            )
            index = len(links) - 1
            joint_names.extend(joint.get("name", "") for joint in joints)
            for child in body.findall("body"):
                visit(child, index)

        visit(roots[0], -1)
        return cls(links, tuple(joint_names))

    def forward(self, root_pos: Array, root_quat: Array, joint_pos: Array) -> tuple[Array, Array]:
        """Poses of all links.

        root_pos (..., 3) m, root_quat (..., 4), joint_pos (..., J) rad -> pos (..., B, 3), quat (..., B, 4).
        """
        batch = joint_pos.shape[:-1]
        pos = np.empty((*batch, len(self._links), 3))
        quat = np.empty((*batch, len(self._links), 4))
        pos[..., 0, :] = root_pos
        quat[..., 0, :] = root_quat
        turns = quat_multiply(self._quats, quat_from_axis_angle(self._axes, joint_pos[..., self._joints]))
        for links in self._generations:
            quat[..., links.index, :] = quat_multiply(quat[..., links.parents, :], turns[..., links.index - 1, :])
        self._add_up(pos, quat_rotate(quat[..., self._parents, :], self._offsets))
        return pos, quat

    def body_pose(self, name: str, root_pos: Array, root_quat: Array, joint_pos: Array) -> tuple[Array, Array]:
        """Pose of one link, walking only its own chain. Shapes as in `forward`; KeyError for an unknown name."""
        pos, quat = root_pos, root_quat
        for link in self.chain(name):
            pos = pos + quat_rotate(quat, link.pos)
            turn = quat_multiply(link.quat, quat_from_axis_angle(link.axis, joint_pos[..., link.joint]))
            quat = quat_multiply(quat, turn)
        return pos, quat

    def velocities(
        self, root_lin_vel: Array, root_ang_vel: Array, joint_vel: Array, body_pos: Array, body_quat: Array
    ) -> tuple[Array, Array]:
        """Linear velocity of link origins and angular velocity, both in the world frame.

        root velocities (..., 3), joint_vel (..., J), poses from `forward` -> (..., B, 3) m/s, (..., B, 3) rad/s.
        """
        lin = np.empty_like(body_pos)
        ang = np.empty_like(body_pos)
        lin[..., 0, :] = root_lin_vel
        ang[..., 0, :] = root_ang_vel
        # The hinge axis is fixed in the child as well: turning about it does not move it.
        spin = quat_rotate(body_quat[..., 1:, :], self._axes) * joint_vel[..., self._joints, None]
        self._add_up(ang, spin)
        arms = body_pos[..., 1:, :] - body_pos[..., self._parents, :]
        self._add_up(lin, cross(ang[..., self._parents, :], arms))
        return lin, ang

    def _add_up(self, total: Array, steps: Array) -> None:
        """In place: total (..., B, 3) of every link is its parent's and its own of `steps` (..., B - 1, 3)."""
        for links in self._generations:
            total[..., links.index, :] = total[..., links.parents, :] + steps[..., links.index - 1, :]

    def chain(self, name: str) -> list[Link]:
        chain = []
        index = self._body_index[name]
        while index > 0:
            chain.append(self._links[index])
            index = self._links[index].parent
        return chain[::-1]


def _generations(links: list[Link]) -> list[_Generation]:
    depth = [0] * len(links)
    for index, link in enumerate(links[1:], start=1):
        depth[index] = depth[link.parent] + 1
    generations = []
    for level in range(1, max(depth) + 1):
        index = np.flatnonzero(np.array(depth) == level)
        parents = np.array([links[i].parent for i in index], dtype=np.intp)
        generations.append(_Generation(index=index, parents=parents))
    return generations


def _numbers(text: str | None, default: tuple[float, ...]) -> Array:
    return np.array([float(part) for part in text.split()] if text else default)


@lru_cache(maxsize=1)
def g1_kinematics() -> KinematicTree:
    """The G1's tree, from the project's own MJCF; read once."""
    return KinematicTree.from_mjcf(mjcf_path())
