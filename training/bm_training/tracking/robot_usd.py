"""Writes the robot and the floor as USD files, from the MJCF: Isaac Lab's wheel ships neither.

The robot is flat (every link a child of the robot prim): PhysX's contact sensor finds no links in a nested tree.
Physics only; the pictures are made elsewhere. Files are cached by content, so a changed MJCF makes a new file.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bm_core.atomic_file import replacing
from bm_core.errors import RobotError
from bm_core.g1 import G1, mjcf_path

if TYPE_CHECKING:
    import mujoco

_COLLISION_GROUP = 3
_AXES: dict[tuple[float, ...], str] = {(1.0, 0.0, 0.0): "X", (0.0, 1.0, 0.0): "Y", (0.0, 0.0, 1.0): "Z"}


def cache_dir() -> Path:
    """Where generated files are kept: $XDG_CACHE_HOME or ~/.cache, below it beyondmimic-g1."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "beyondmimic-g1"


def robot_usd(mjcf: Path | None = None) -> Path:
    """The robot's USD file, written at first use; RobotError if the MJCF has something that it cannot express."""
    mjcf = mjcf or mjcf_path()
    # This module's text belongs to the key: another generator, another file.
    key = hashlib.sha256(mjcf.read_bytes() + Path(__file__).read_bytes()).hexdigest()[:16]
    path = cache_dir() / f"{G1.name}-{key}.usda"
    if not path.is_file():
        _write(path, _robot_stage(mjcf))
    return path


def ground_usd() -> Path:
    """An infinite floor at z = 0, written at first use."""
    key = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]
    path = cache_dir() / f"ground-{key}.usda"
    if not path.is_file():
        _write(path, _ground_stage())
    return path


def _write(path: Path, stage: Any) -> None:
    with replacing(path) as partial:  # several ranks of one torchrun may write at once
        stage.GetRootLayer().Export(str(partial))


def _new_stage(name: str) -> tuple[Any, Any]:
    from pxr import Usd, UsdGeom, UsdPhysics

    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdPhysics.SetStageKilogramsPerUnit(stage, 1.0)
    root = UsdGeom.Xform.Define(stage, f"/{name}").GetPrim()
    stage.SetDefaultPrim(root)
    return stage, root


def _ground_stage() -> Any:
    from pxr import UsdGeom, UsdPhysics

    stage, _ = _new_stage("ground")
    plane = UsdGeom.Plane.Define(stage, "/ground/plane")
    plane.CreateAxisAttr("Z")
    plane.CreateWidthAttr(1000.0)
    plane.CreateLengthAttr(1000.0)
    UsdPhysics.CollisionAPI.Apply(plane.GetPrim())
    _bind_material(stage, "/ground/material", [plane.GetPrim()])
    return stage


def _robot_stage(mjcf: Path) -> Any:
    import mujoco
    from pxr import UsdGeom

    model = mujoco.MjModel.from_xml_path(str(mjcf))
    stage, _ = _new_stage("robot")
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    UsdGeom.Scope.Define(stage, "/robot/joints")
    shapes = []
    for body in range(1, model.nbody):
        _add_link(stage, model, body, data.xpos[body], data.xquat[body])
        shapes += _add_shapes(stage, model, body)
        if model.body(body).parentid[0] > 0:
            _add_joint(stage, model, body)
        else:
            _make_root(stage.GetPrimAtPath(_link_path(model, body)))
    _bind_material(stage, "/robot/material", shapes)
    _exclude_contacts(stage, model)
    return stage


def _make_root(link: Any) -> None:
    """On the pelvis, not on the robot prim: there PhysX takes the link in the middle of the tree for the root."""
    from pxr import UsdPhysics

    UsdPhysics.ArticulationRootAPI.Apply(link)
    _attributes(
        link,
        ["PhysxArticulationAPI", "NewtonArticulationRootAPI"],
        {
            "physxArticulation:enabledSelfCollisions": True,
            "physxArticulation:solverPositionIterationCount": 8,
            "physxArticulation:solverVelocityIterationCount": 4,
            "newton:selfCollisionEnabled": True,
        },
    )


def _link_path(model: mujoco.MjModel, body: int) -> str:
    return f"/robot/{model.body(body).name}"


def _add_link(stage: Any, model: mujoco.MjModel, body: int, pos: Any, quat: Any) -> None:
    from pxr import UsdGeom, UsdPhysics

    link = UsdGeom.Xform.Define(stage, _link_path(model, body))
    _place(link, pos, quat)
    prim = link.GetPrim()
    UsdPhysics.RigidBodyAPI.Apply(prim)
    _attributes(
        prim,
        ["PhysxRigidBodyAPI"],
        {
            "physxRigidBody:maxDepenetrationVelocity": 1.0,
            "physxRigidBody:linearDamping": 0.0,
            "physxRigidBody:angularDamping": 0.0,
            "physxRigidBody:maxLinearVelocity": 1000.0,
            "physxRigidBody:maxAngularVelocity": 57295.78,  # degrees per second: 1000 rad/s
        },
    )
    mass = UsdPhysics.MassAPI.Apply(prim)
    mass.CreateMassAttr(float(model.body_mass[body]))
    mass.CreateCenterOfMassAttr(_vec3(model.body_ipos[body]))
    mass.CreateDiagonalInertiaAttr(_vec3(model.body_inertia[body]))
    mass.CreatePrincipalAxesAttr(_quat(model.body_iquat[body]))


def _add_shapes(stage: Any, model: mujoco.MjModel, body: int) -> list[Any]:
    import mujoco
    from pxr import UsdGeom, UsdPhysics

    prims = []
    first = model.body_geomadr[body]
    for geom in range(first, first + model.body_geomnum[body]):
        if model.geom_group[geom] != _COLLISION_GROUP:
            continue
        name, size = model.geom(geom).name, model.geom_size[geom]
        path = f"{_link_path(model, body)}/{name}"
        if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_CAPSULE:
            shape = UsdGeom.Capsule.Define(stage, path)
            shape.CreateAxisAttr("Z")
            shape.CreateHeightAttr(2.0 * float(size[1]))
        elif model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_SPHERE:
            shape = UsdGeom.Sphere.Define(stage, path)
        else:
            raise RobotError(f"{name}: only capsules and spheres can be collision shapes; change it in the MJCF")
        shape.CreateRadiusAttr(float(size[0]))
        _place(shape, model.geom_pos[geom], model.geom_quat[geom])
        UsdPhysics.CollisionAPI.Apply(shape.GetPrim())
        _attributes(
            shape.GetPrim(),
            ["PhysxCollisionAPI"],
            {
                # MuJoCo takes the larger friction of a pair unless one side has priority: the robot's always counts.
                # Priority also decides condim, so 3 for all: with the MJCF's 1 hands would slide on the floor.
                "mjc:priority": 1,
                "mjc:condim": 3,
                "physxCollision:contactOffset": 0.01,
                "physxCollision:restOffset": 0.0,
            },
        )
        prims.append(shape.GetPrim())
    return prims


def _add_joint(stage: Any, model: mujoco.MjModel, body: int) -> None:
    import math

    from pxr import Gf, UsdPhysics

    parent, joint = int(model.body(body).parentid[0]), int(model.body_jntadr[body])
    name = model.joint(joint).name
    axis = _AXES.get(tuple(float(x) for x in model.jnt_axis[joint]))
    if axis is None or model.jnt_pos[joint].any():
        raise RobotError(f"{name}: the hinge must turn about its link's own x, y or z axis; change it in the MJCF")
    hinge = UsdPhysics.RevoluteJoint.Define(stage, f"/robot/joints/{name}")
    hinge.CreateBody0Rel().SetTargets([_link_path(model, parent)])
    hinge.CreateBody1Rel().SetTargets([_link_path(model, body)])
    hinge.CreateAxisAttr(axis)
    hinge.CreateLocalPos0Attr(_vec3(model.body_pos[body]))
    hinge.CreateLocalRot0Attr(_quat(model.body_quat[body]))
    hinge.CreateLocalPos1Attr(Gf.Vec3f(0.0))
    hinge.CreateLocalRot1Attr(Gf.Quatf(1.0))
    hinge.CreateLowerLimitAttr(math.degrees(model.jnt_range[joint, 0]))
    hinge.CreateUpperLimitAttr(math.degrees(model.jnt_range[joint, 1]))
    motor = G1.joint(name)
    drive = UsdPhysics.DriveAPI.Apply(hinge.GetPrim(), "angular")
    drive.CreateTypeAttr("force")
    drive.CreateStiffnessAttr(math.radians(motor.kp))  # USD drives are per degree
    drive.CreateDampingAttr(math.radians(motor.kd))
    drive.CreateMaxForceAttr(motor.effort)
    _attributes(
        hinge.GetPrim(),
        ["PhysxJointAPI"],
        {
            "physxJoint:armature": motor.armature,
            "physxJoint:jointFriction": 0.0,
            "physxJoint:maxJointVelocity": math.degrees(motor.velocity),
            "newton:armature": motor.armature,
        },
    )


def _exclude_contacts(stage: Any, model: mujoco.MjModel) -> None:
    """The MJCF's excluded pairs; those of parent and child are excluded by their joint."""
    from pxr import UsdPhysics

    for signature in model.exclude_signature:
        first, second = int(signature) >> 16, int(signature) & 0xFFFF
        pairs = UsdPhysics.FilteredPairsAPI.Apply(stage.GetPrimAtPath(_link_path(model, first)))
        pairs.CreateFilteredPairsRel().AddTarget(_link_path(model, second))


def _bind_material(stage: Any, path: str, prims: list[Any]) -> None:
    from pxr import UsdPhysics, UsdShade

    material = UsdShade.Material.Define(stage, path)
    physics = UsdPhysics.MaterialAPI.Apply(material.GetPrim())
    physics.CreateStaticFrictionAttr(1.0)
    physics.CreateDynamicFrictionAttr(1.0)
    physics.CreateRestitutionAttr(0.0)
    _attributes(
        material.GetPrim(),
        ["PhysxMaterialAPI"],
        {"physxMaterial:frictionCombineMode": "multiply", "physxMaterial:restitutionCombineMode": "multiply"},
    )
    for prim in prims:
        binding = UsdShade.MaterialBindingAPI.Apply(prim)
        binding.Bind(material, UsdShade.Tokens.weakerThanDescendants, "physics")


def _attributes(prim: Any, schemas: list[str], values: dict[str, bool | int | float | str]) -> None:
    """Backend attributes by name: their schema classes exist only inside Isaac Sim."""
    from pxr import Sdf

    types = {bool: Sdf.ValueTypeNames.Bool, int: Sdf.ValueTypeNames.Int, float: Sdf.ValueTypeNames.Float}
    for schema in schemas:
        prim.AddAppliedSchema(schema)
    for name, value in values.items():
        kind = types.get(type(value), Sdf.ValueTypeNames.Token)
        prim.CreateAttribute(name, kind).Set(value)


def _place(xformable: Any, pos: Any, quat: Any) -> None:
    xformable.AddTranslateOp().Set(_vec3(pos, double=True))
    xformable.AddOrientOp().Set(_quat(quat))


def _vec3(values: Any, *, double: bool = False) -> Any:
    from pxr import Gf

    return (Gf.Vec3d if double else Gf.Vec3f)(*(float(x) for x in values))


def _quat(values: Any) -> Any:
    """MuJoCo and USD agree: real part first."""
    from pxr import Gf

    return Gf.Quatf(*(float(x) for x in values))
