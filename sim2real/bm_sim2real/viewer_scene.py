"""The G1 in a viser scene: one node a body, moved by poses; the reference is a second, translucent one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from bm_core.g1 import G1

if TYPE_CHECKING:
    import viser

    from bm_sim2real.viewer_meshes import BodyMesh

Array = NDArray[np.float64]

WORLD = "/world"
"""Parent of everything that stands on the floor: moving it back under the robot is a camera that follows."""
ROBOT, REFERENCE = f"{WORLD}/robot", f"{WORLD}/reference"
REFERENCE_RGB = (64, 150, 240)
REFERENCE_OPACITY = 0.35


class RobotNodes:
    """A robot in the scene. Poses are set for all bodies at once."""

    def __init__(
        self,
        server: viser.ViserServer,
        prefix: str,
        meshes: Sequence[BodyMesh],
        *,
        rgb: tuple[int, int, int] | None = None,
        opacity: float | None = None,
    ) -> None:
        """Without `rgb` each body has its own colour."""
        self._root = server.scene.add_frame(prefix, show_axes=False)
        self._bodies = []
        for mesh in meshes:
            handle = server.scene.add_mesh_simple(
                f"{prefix}/{mesh.body}",
                mesh.vertices,
                mesh.faces,
                color=rgb or mesh.rgb,
                opacity=opacity,
                side="double",  # coarser meshes have a face turned here and there
                cast_shadow=opacity is None,
                receive_shadow=False,
            )
            self._bodies.append((G1.body_index[mesh.body], handle))

    def place(self, body_pos_w: Array, body_quat_w: Array) -> None:
        """Poses of the 30 bodies, (30, 3) m and (30, 4) wxyz."""
        for index, handle in self._bodies:
            handle.position = body_pos_w[index]
            handle.wxyz = body_quat_w[index]

    def show(self, is_visible: bool) -> None:
        """Also hides what hangs on it."""
        self._root.visible = is_visible


class Scene:
    """Floor, light, robot and reference."""

    def __init__(self, server: viser.ViserServer, meshes: Sequence[BodyMesh]) -> None:
        self._server = server
        server.scene.set_up_direction("+z")
        self._world = server.scene.add_frame(WORLD, show_axes=False)
        server.scene.add_grid(
            f"{WORLD}/floor", width=60.0, height=60.0, cell_size=0.5, section_size=1.0, cell_color=(214, 218, 224),
            section_color=(176, 183, 192), fade_distance=14.0, shadow_opacity=0.25,
        )  # fmt: skip
        self.robot = RobotNodes(server, ROBOT, meshes)
        self.reference = RobotNodes(server, REFERENCE, meshes, rgb=REFERENCE_RGB, opacity=REFERENCE_OPACITY)
        server.initial_camera.position = (1.9, -1.8, 1.15)
        server.initial_camera.look_at = (0.15, 0.15, 0.65)  # the panel covers the right side

    def follow(self, pelvis_pos_w: Array | None) -> None:
        """Bring this place to the middle of the picture; None leaves the world where it is."""
        if pelvis_pos_w is not None:
            self._world.position = (-float(pelvis_pos_w[0]), -float(pelvis_pos_w[1]), 0.0)
