"""Markers in a viser scene: nodes are made once and then moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bm_sim2real.markers import Marker, Solid
from bm_sim2real.viewer_scene import WORLD

if TYPE_CHECKING:
    import viser

_Look = tuple[Solid, tuple[float, float, float], tuple[float, float, float, float]]


class MarkerNodes:
    """Shows a list of markers that may differ from call to call."""

    def __init__(self, server: viser.ViserServer, prefix: str = f"{WORLD}/markers") -> None:
        self._server, self._prefix = server, prefix
        self._nodes: dict[_Look, list[Any]] = {}
        self._count = 0

    def show(self, markers: Sequence[Marker]) -> None:
        """Exactly these."""
        used: dict[_Look, int] = {}
        for marker in markers:
            look = (marker.solid, marker.size, marker.rgba)
            index = used.get(look, 0)
            used[look] = index + 1
            nodes = self._nodes.setdefault(look, [])
            if index == len(nodes):
                nodes.append(self._made(marker))
            node = nodes[index]
            node.position = marker.center
            node.wxyz = (np.cos(marker.yaw / 2), 0.0, 0.0, np.sin(marker.yaw / 2))
            node.visible = True
        for look, nodes in self._nodes.items():
            for node in nodes[used.get(look, 0) :]:
                node.visible = False

    @property
    def shown(self) -> int:
        """Markers that can be seen now."""
        return sum(bool(node.visible) for nodes in self._nodes.values() for node in nodes)

    def _made(self, marker: Marker) -> Any:
        self._count += 1
        scene, name = self._server.scene, f"{self._prefix}/{self._count}"
        red, green, blue, alpha = marker.rgba
        options: dict[str, Any] = {
            "color": (round(255 * red), round(255 * green), round(255 * blue)),
            "opacity": alpha if alpha < 1.0 else None,
            "cast_shadow": False,
        }
        if marker.solid is Solid.SPHERE:
            return scene.add_icosphere(name, radius=marker.size[0], **options)
        if marker.solid is Solid.BOX:
            return scene.add_box(name, dimensions=marker.size, **options)
        return scene.add_cylinder(name, radius=marker.size[0], height=marker.size[1], **options)
