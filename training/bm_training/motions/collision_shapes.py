"""The G1's collision shapes along a motion: how deep below the floor, and which links overlap."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from bm_core.errors import RobotError
from bm_core.g1 import G1, mjcf_path
from bm_core.rotations import quat_rotate

Array = NDArray[np.floating]


class CollisionShapes:
    """The spheres and capsules of the project's own model; capsules are two end points and a radius."""

    def __init__(self) -> None:
        import mujoco

        self._mujoco = mujoco
        self._model = mujoco.MjModel.from_xml_path(str(mjcf_path()))
        self._data = mujoco.MjData(self._model)
        self._bodies, self._ends, self._radius = self._read_shapes()

    def lowest_heights(self, body_pos: Array, body_quat: Array) -> Array:
        """Height of the lowest point of each shape above the floor; (T, 30, 3), (T, 30, 4) -> (T, shapes) m."""
        quat = body_quat[:, self._bodies]
        heights = [
            body_pos[:, self._bodies, 2] + quat_rotate(quat, self._ends[:, end])[..., 2] - self._radius
            for end in range(2)
        ]
        return np.minimum(*heights)

    def end_points(self, body: str) -> Array:
        """Both end points of every shape of that body, in its frame, (2 n, 3) m."""
        return self._ends[self._of(body)].reshape(-1, 3)

    def end_radius(self, body: str) -> Array:
        """Radius around each of those points, (2 n,) m."""
        return np.repeat(self._radius[self._of(body)], 2)

    def self_collisions(
        self, root_pos: Array, root_quat: Array, joint_pos: Array, depth: float
    ) -> tuple[NDArray[np.bool_], str]:
        """Frames in which two links overlap by more than `depth` m (T,), and the pair that does so most often."""
        touching = np.zeros(len(joint_pos), dtype=bool)
        pairs: Counter[tuple[int, ...]] = Counter()
        model, data, mujoco = self._model, self._data, self._mujoco
        for frame in range(len(joint_pos)):
            data.qpos[:3], data.qpos[3:7], data.qpos[7:] = root_pos[frame], root_quat[frame], joint_pos[frame]
            mujoco.mj_kinematics(model, data)
            mujoco.mj_comPos(model, data)
            mujoco.mj_collision(model, data)
            if not data.ncon:
                continue
            deep = data.contact.geom[data.contact.dist < -depth]
            found = {tuple(sorted(map(int, model.geom_bodyid[pair]))) for pair in deep}
            touching[frame] = bool(found)
            pairs.update(found)
        if not pairs:
            return touching, ""
        first, second = pairs.most_common(1)[0][0]
        return touching, f"{model.body(first).name} - {model.body(second).name}"

    def _of(self, body: str) -> NDArray[np.intp]:
        return np.flatnonzero(self._bodies == G1.body_index[body])

    def _read_shapes(self) -> tuple[NDArray[np.int64], Array, Array]:
        """Body index (n,), end points in the body's frame (n, 2, 3) m, radius (n,) m."""
        model, kinds = self._model, self._mujoco.mjtGeom
        sphere, capsule = int(kinds.mjGEOM_SPHERE), int(kinds.mjGEOM_CAPSULE)
        bodies, ends, radii = [], [], []
        for geom in np.flatnonzero(model.geom_contype):
            kind, size = model.geom_type[geom], model.geom_size[geom]
            if kind not in (sphere, capsule):
                raise RobotError(f"{mjcf_path().name}: collision shape {geom} is neither sphere nor capsule")
            half = size[1] if kind == capsule else 0.0
            axis = quat_rotate(model.geom_quat[geom], np.array([0.0, 0.0, half]))
            bodies.append(G1.body_index[model.body(int(model.geom_bodyid[geom])).name])
            ends.append([model.geom_pos[geom] - axis, model.geom_pos[geom] + axis])
            radii.append(size[0])
        return np.array(bodies), np.array(ends), np.array(radii)
