"""The G1's visible shapes as one triangle mesh a body: our primitives, or mjlab's meshes where it is installed."""

# MuJoCo is a compiled module without type stubs.
# pyright: reportAttributeAccessIssue=false
from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import mujoco
import numpy as np
import trimesh
from numpy.typing import NDArray

from bm_core.g1 import G1, mjcf_path
from bm_core.rotations import matrix_from_quat
from bm_sim2real.rendering import mesh_model_path

VISUAL_GROUP = 2
"""Of geoms that are there to be seen, in our MJCF and in mjlab's."""
DETAIL = 0.0025
"""m; smaller detail is lost: mjlab's meshes have 40 times the faces of our primitives, 7 MB a robot."""
_ROUND = {"count": (12, 16)}
"""Segments of capsules: smooth enough, and 60 nodes still load at once."""


@dataclass(frozen=True, kw_only=True)
class BodyMesh:
    """In the body's own frame."""

    body: str
    vertices: NDArray[np.float32]
    """(V, 3) m"""
    faces: NDArray[np.int32]
    """(F, 3)"""
    rgb: tuple[int, int, int]
    """Of its largest part."""


@lru_cache(maxsize=1)
def robot_meshes() -> tuple[BodyMesh, ...]:
    """One mesh for each body of G1.body_names that has something to show."""
    path = mesh_model_path() or mjcf_path()
    model = mujoco.MjSpec.from_file(str(path)).compile()
    meshes = []
    for name in G1.body_names:
        body = model.body(name).id
        geoms = [g for g in range(model.ngeom) if model.geom_bodyid[g] == body and model.geom_group[g] == VISUAL_GROUP]
        parts = [(geom, _shape(model, geom)) for geom in geoms]
        if not parts:
            continue
        vertices, faces = coarser(trimesh.util.concatenate([shape for _, shape in parts]))
        largest = max(parts, key=lambda part: part[1].area)[0]
        rgb = tuple(int(255 * channel) for channel in _rgba(model, largest)[:3])
        meshes.append(
            BodyMesh(
                body=name,
                vertices=vertices.astype(np.float32),
                faces=faces.astype(np.int32),
                rgb=(rgb[0], rgb[1], rgb[2]),
            )
        )
    return tuple(meshes)


def coarser(mesh: trimesh.Trimesh, cell: float = DETAIL) -> tuple[NDArray[np.floating], NDArray[np.integer]]:
    """Vertices (V, 3) m and faces (F, 3) with all vertices of a cell of that size (m) in one, at their mean."""
    cells = np.round(np.asarray(mesh.vertices) / cell).astype(np.int64)
    _, owner, counts = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
    owner = owner.reshape(-1)  # NumPy 2.0 keeps an axis here
    sums = np.zeros((len(counts), 3))
    np.add.at(sums, owner, mesh.vertices)
    faces = owner[np.asarray(mesh.faces)]
    is_flat = (faces[:, 0] == faces[:, 1]) | (faces[:, 1] == faces[:, 2]) | (faces[:, 2] == faces[:, 0])
    return sums / counts[:, None], faces[~is_flat]


def _shape(model: mujoco.MjModel, geom: int) -> trimesh.Trimesh:
    """A geom as triangles in its body's frame."""
    size = model.geom_size[geom]
    kinds = mujoco.mjtGeom
    kind = model.geom_type[geom]
    if kind == kinds.mjGEOM_BOX:
        shape = trimesh.creation.box(extents=2.0 * size)
    elif kind == kinds.mjGEOM_SPHERE:
        shape = trimesh.creation.icosphere(subdivisions=2, radius=size[0])
    elif kind == kinds.mjGEOM_CAPSULE:
        shape = trimesh.creation.capsule(height=2.0 * size[1], radius=size[0], **_ROUND)
    elif kind == kinds.mjGEOM_CYLINDER:
        shape = trimesh.creation.cylinder(radius=size[0], height=2.0 * size[1], sections=24)
    elif kind == kinds.mjGEOM_MESH:
        shape = _mesh(model, int(model.geom_dataid[geom]))
    else:
        raise NotImplementedError(f"geom {model.geom(geom).name}: a shape of kind {kind} cannot be shown")
    pose = np.eye(4)
    pose[:3, :3] = matrix_from_quat(model.geom_quat[geom])
    pose[:3, 3] = model.geom_pos[geom]
    return shape.apply_transform(pose)


def _mesh(model: mujoco.MjModel, mesh: int) -> trimesh.Trimesh:
    first_vertex, first_face = model.mesh_vertadr[mesh], model.mesh_faceadr[mesh]
    vertices = model.mesh_vert[first_vertex : first_vertex + model.mesh_vertnum[mesh]]
    faces = model.mesh_face[first_face : first_face + model.mesh_facenum[mesh]]
    return trimesh.Trimesh(vertices=vertices.copy(), faces=faces.copy(), process=False)


def _rgba(model: mujoco.MjModel, geom: int) -> NDArray[np.float32]:
    material = model.geom_matid[geom]
    return model.mat_rgba[material] if material >= 0 else model.geom_rgba[geom]
