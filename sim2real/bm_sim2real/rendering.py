"""Pictures of the G1 without a display: MuJoCo where a headless OpenGL works, drawn stick figures elsewhere.

The robot may stand beside its reference, which is drawn translucent. Meshes come from the mjlab wheel where it is
installed, else the project's own primitive shapes are drawn.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bm_core.errors import ConfigError
from bm_core.g1 import G1, ROOT_BODY, mjcf_path
from bm_sim2real.mjlab_wheel import installed_model

if TYPE_CHECKING:
    from bm_core.motion import MotionClip
    from bm_sim2real.markers import Marker

Array = NDArray[np.floating]
Image = NDArray[np.uint8]

log = logging.getLogger(__name__)

ROOT_DOFS = 7
"""Root position 3 and quaternion wxyz 4, before the joints."""
QPOS_DIM = ROOT_DOFS + len(G1.joints)
REFERENCE_RGBA = (0.25, 0.65, 0.95, 0.3)
_MAX_GEOMS = 1000


@dataclass(frozen=True, kw_only=True)
class Camera:
    """Looks at the robot from a fixed direction and moves along with it."""

    distance: float = 2.2
    """m"""
    azimuth: float = 130.0
    """Direction of sight in the xy plane, degrees: 90 looks along +y, at the side of a robot that walks along +x."""
    elevation: float = -12.0
    """degrees; negative looks down"""
    height: float = 0.7
    """m above the floor that the camera looks at"""
    smoothing: int = 25
    """Frames over which the path that the camera follows is averaged."""


def clip_qpos(clip: MotionClip) -> Array:
    """The clip as root position, root quaternion wxyz and joints in canonical order, (T, 36)."""
    return np.concatenate([clip.root_pos, clip.root_quat, clip.joint_pos], axis=1)


def render_frames(
    qpos_sequence: Array,
    reference_qpos: Array | None = None,
    *,
    size: tuple[int, int] = (320, 240),
    camera: Camera | None = None,
    reference_offset: Sequence[float] = (0.0, 0.0, 0.0),
) -> Image:
    """All pictures at once, (T, height, width, 3); for long sequences `iter_frames` keeps one at a time."""
    frames = iter_frames(qpos_sequence, reference_qpos, size=size, camera=camera, reference_offset=reference_offset)
    return np.stack(list(frames))


def iter_frames(
    qpos_sequence: Array,
    reference_qpos: Array | None = None,
    *,
    size: tuple[int, int] = (320, 240),
    camera: Camera | None = None,
    reference_offset: Sequence[float] = (0.0, 0.0, 0.0),
    markers: Sequence[Sequence[Marker]] | None = None,
) -> Iterator[Image]:
    """One picture (height, width, 3) a row of qpos (T, 36): root position m, quaternion wxyz, joints rad.

    `reference_qpos` (T, 36) is drawn translucent, moved by `reference_offset` (m, world); `size` is width, height.
    `markers` are solids beside the robot, a list for each row.
    Raises ConfigError for wrong shapes. Warns once in the log if only stick figures can be drawn.
    """
    qpos = _checked("qpos_sequence", qpos_sequence, len(qpos_sequence))
    reference = None if reference_qpos is None else _checked("reference_qpos", reference_qpos, len(qpos))
    if reference is not None:
        reference[:, :3] += np.asarray(reference_offset)
    camera = camera or Camera()
    targets = _look_at(qpos, reference, camera)
    artist = _open_artist(size, camera)
    try:
        for index, target in enumerate(targets):
            shown = () if markers is None else markers[index]
            yield artist.draw(qpos[index], None if reference is None else reference[index], target, shown)
    finally:
        artist.close()


def picture_source() -> str:
    """What pictures will be made of, in words: for messages and reports."""
    context, _ = _gl_context(16, 16)
    if context is None:
        return "stick figures (no headless OpenGL here: install libegl1 or libosmesa6)"
    context.free()
    return "MuJoCo, meshes of mjlab" if mesh_model_path() else "MuJoCo, primitive shapes"


def mesh_model_path() -> Path | None:
    """The G1 with meshes inside an installed mjlab wheel; None without it. Does not import mjlab."""
    return installed_model()


def _checked(name: str, qpos: Array, frames: int) -> NDArray[np.float64]:
    values = np.array(qpos, dtype=np.float64)
    if values.shape != (frames, QPOS_DIM):
        raise ConfigError(f"{name} has shape {values.shape}, expected ({frames}, {QPOS_DIM})")
    return values


def _look_at(qpos: Array, reference: Array | None, camera: Camera) -> Array:
    """(T, 3): the middle of robot and reference, averaged in time so that the picture does not shake."""
    path = qpos[:, :3] if reference is None else 0.5 * (qpos[:, :3] + reference[:, :3])
    window = min(camera.smoothing, len(path))
    padded = np.pad(path, ((window // 2, window - 1 - window // 2), (0, 0)), mode="edge")
    kernel = np.full(window, 1.0 / window)
    smooth = np.stack([np.convolve(padded[:, axis], kernel, mode="valid") for axis in range(3)], axis=1)
    smooth[:, 2] = camera.height
    return smooth


def _open_artist(size: tuple[int, int], camera: Camera) -> Any:
    context, failures = _gl_context(*size)
    if context is not None:
        return MujocoArtist(context, size, camera)
    from bm_sim2real.stick_figure import StickFigureArtist

    log.warning("no headless OpenGL (%s): drawing stick figures; libegl1 or libosmesa6 would help", failures)
    return StickFigureArtist(size, camera)


def _gl_context(width: int, height: int) -> tuple[Any, str]:
    """An OpenGL context of the first backend that works and is current, or None and why.

    The context is made here, not by mujoco.Renderer, because that one obeys MUJOCO_GL only if it was set before the
    first `import mujoco` anywhere in the process.
    """
    defaults = {"darwin": ("cgl",), "win32": ("glfw",)}.get(sys.platform, ("egl", "osmesa"))
    asked = os.environ.get("MUJOCO_GL", "")
    failures = []
    for backend in (asked,) if asked in ("egl", "osmesa", "cgl", "glfw") else defaults:
        try:
            context = importlib.import_module(f"mujoco.{backend}").GLContext(width, height)
            context.make_current()
            return context, ""
        except Exception as error:  # a missing library shows as ImportError, AttributeError, RuntimeError, EGLError ...
            if isinstance(error, ModuleNotFoundError) and error.name == "mujoco":
                raise
            failures.append(f"{backend}: {type(error).__name__}")
    return None, ", ".join(failures)


class MujocoArtist:
    """Draws with MuJoCo's classic renderer into an offscreen buffer."""

    def __init__(self, context: Any, size: tuple[int, int], camera: Camera) -> None:
        import mujoco

        self._mujoco = mujoco
        self._context = context
        self._size = size
        self._model = _scene_model(size)
        self._data, self._ghost = mujoco.MjData(self._model), mujoco.MjData(self._model)
        self._scene = mujoco.MjvScene(self._model, _MAX_GEOMS)
        self._buffers = mujoco.MjrContext(self._model, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._buffers)
        self._option = mujoco.MjvOption()
        self._option.geomgroup[:] = [1, 1, 1, 0, 0, 0]  # group 3 holds the collision shapes
        self._option.sitegroup[:] = 0
        self._camera = mujoco.MjvCamera()
        self._camera.distance, self._camera.azimuth = camera.distance, camera.azimuth
        self._camera.elevation = camera.elevation
        self._columns = _qpos_columns(self._model)

    def draw(self, qpos: Array, reference: Array | None, look_at: Array, markers: Sequence[Marker] = ()) -> Image:
        """One picture (height, width, 3)."""
        mujoco = self._mujoco
        self._context.make_current()  # another artist may have drawn in between
        self._camera.lookat[:] = look_at
        self._pose(self._data, qpos)
        everything = mujoco.mjtCatBit.mjCAT_ALL
        mujoco.mjv_updateScene(self._model, self._data, self._option, None, self._camera, everything, self._scene)
        if reference is not None:
            self._pose(self._ghost, reference)
            solid = self._scene.ngeom
            moving = mujoco.mjtCatBit.mjCAT_DYNAMIC
            mujoco.mjv_addGeoms(self._model, self._ghost, self._option, mujoco.MjvPerturb(), moving, self._scene)
            for index in range(solid, self._scene.ngeom):
                self._scene.geoms[index].rgba[:] = REFERENCE_RGBA
                self._scene.geoms[index].matid = -1
        for marker in markers[: _MAX_GEOMS - self._scene.ngeom]:
            self._add(marker)
        width, height = self._size
        viewport = mujoco.MjrRect(0, 0, width, height)
        picture = np.empty((height, width, 3), dtype=np.uint8)
        mujoco.mjr_render(viewport, self._scene, self._buffers)
        mujoco.mjr_readPixels(picture, None, viewport, self._buffers)
        return picture[::-1].copy()  # OpenGL's first row is the lowest

    def close(self) -> None:
        """Give the graphics memory back; the artist cannot draw any more."""
        self._context.make_current()
        self._buffers.free()
        self._context.free()

    def _add(self, marker: Marker) -> None:
        mujoco, scene = self._mujoco, self._scene
        kind, size = {
            "sphere": (mujoco.mjtGeom.mjGEOM_SPHERE, [marker.size[0]] * 3),
            "cylinder": (mujoco.mjtGeom.mjGEOM_CYLINDER, [marker.size[0], marker.size[1] / 2, 0.0]),
            "box": (mujoco.mjtGeom.mjGEOM_BOX, [edge / 2 for edge in marker.size]),
        }[marker.solid.value]
        cos, sin = np.cos(marker.yaw), np.sin(marker.yaw)
        turn = np.array([cos, -sin, 0.0, sin, cos, 0.0, 0.0, 0.0, 1.0])
        rgba = np.array(marker.rgba, dtype=np.float32)
        mujoco.mjv_initGeom(
            scene.geoms[scene.ngeom], int(kind), np.array(size, float), np.array(marker.center, float), turn, rgba
        )
        scene.ngeom += 1

    def _pose(self, data: Any, qpos: Array) -> None:
        data.qpos[self._columns] = qpos
        self._mujoco.mj_kinematics(self._model, data)
        self._mujoco.mj_camlight(self._model, data)  # else the sun stays at the origin and shines nowhere


def _scene_model(size: tuple[int, int]) -> Any:
    """The robot with a checkered floor, a sky and a light."""
    import mujoco

    spec = mujoco.MjSpec.from_file(str(mesh_model_path() or mjcf_path()))
    spec.visual.global_.offwidth, spec.visual.global_.offheight = size
    spec.visual.quality.shadowsize = 0  # drawn on the CPU, shadows cost 2.5 times the rest [M]
    spec.visual.headlight.ambient[:], spec.visual.headlight.diffuse[:] = 0.45, 0.35
    spec.visual.headlight.specular[:] = 0.1
    checker, sky = mujoco.mjtBuiltin.mjBUILTIN_CHECKER, mujoco.mjtBuiltin.mjBUILTIN_GRADIENT
    spec.add_texture(
        name="floor_texture", type=mujoco.mjtTexture.mjTEXTURE_2D, builtin=checker, width=256, height=256,
        rgb1=[0.82, 0.83, 0.85], rgb2=[0.72, 0.73, 0.76],
    )  # fmt: skip
    spec.add_texture(
        name="sky", type=mujoco.mjtTexture.mjTEXTURE_SKYBOX, builtin=sky, width=64, height=384,
        rgb1=[0.95, 0.96, 0.98], rgb2=[0.75, 0.8, 0.88],
    )  # fmt: skip
    floor = spec.add_material(name="floor_material", texrepeat=[1, 1], texuniform=True)
    floor.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "floor_texture"
    plane = mujoco.mjtGeom.mjGEOM_PLANE
    spec.worldbody.add_geom(name="picture_floor", type=plane, size=[0, 0, 0.05], material="floor_material")
    sun = spec.worldbody.add_light(
        pos=[0, 0, 6], dir=[-0.3, 0.35, -1], diffuse=[0.55, 0.55, 0.55], specular=[0.1, 0.1, 0.1]
    )
    if hasattr(mujoco, "mjtLightType"):
        sun.type = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
    else:  # MuJoCo before 3.3.3
        sun.directional = True
    return spec.compile()


def _qpos_columns(model: Any) -> NDArray[np.int64]:
    """Where root and joints in canonical order stand in the model's qpos; found by name."""
    import mujoco

    root = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, ROOT_BODY)
    first = model.jnt_qposadr[model.body_jntadr[root]]
    joints = [mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_JOINT, name) for name in G1.joint_names]
    return np.array([*range(first, first + ROOT_DOFS), *model.jnt_qposadr[joints]])
