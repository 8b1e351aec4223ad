"""The G1's MJCF made ready to simulate: floor, motors, gantry, and the variations of SimulationConfig."""

# MuJoCo is a compiled module without type stubs.
# pyright: reportAttributeAccessIssue=false
from __future__ import annotations

from pathlib import Path

import mujoco

from bm_core.errors import ConfigError
from bm_core.g1 import ANCHOR_BODY, G1, mjcf_path
from bm_sim2real.mjlab_wheel import any_model
from bm_sim2real.robots.simulation_config import TICK_DT, SimulationConfig

FLOOR_GEOM = "floor"
GANTRY_BODY = "gantry"
GANTRY_WELD = "gantry_weld"
SOLE_PREFIXES = ("left_foot", "right_foot")


def build_model(config: SimulationConfig) -> mujoco.MjModel:
    """The compiled model: joints and bodies in canonical order, one motor per joint, gantry present but released."""
    spec = mujoco.MjSpec.from_file(str(_model_file(config)))
    if config.model == "mjlab":
        _fit_mjlab(spec)
    _set_options(spec)
    _add_floor(spec, config)
    _add_motors(spec, config)
    _add_gantry(spec)
    for body in spec.bodies:
        if body.explicitinertial:
            body.mass *= config.mass_scale
            body.inertia = body.inertia * config.mass_scale
    return spec.compile()


def _model_file(config: SimulationConfig) -> Path:
    if config.model == "g1":
        return mjcf_path()
    path = any_model()
    if path is None:
        raise ConfigError("robot model mjlab: mjlab's wheel is not installed; remedy: make install-peers")
    return path


def _fit_mjlab(spec: mujoco.MjSpec) -> None:
    """Without meshes, which only cost time here, and with the sensor that MujocoRobot reads."""
    for geom in list(spec.geoms):
        if geom.type == mujoco.mjtGeom.mjGEOM_MESH:
            spec.delete(geom)
    for mesh in list(spec.meshes):
        spec.delete(mesh)
    spec.add_sensor(
        name="pelvis_acc",
        type=mujoco.mjtSensor.mjSENS_ACCELEROMETER,
        objtype=mujoco.mjtObj.mjOBJ_SITE,
        objname="imu_in_pelvis",
    )


def _set_options(spec: mujoco.MjSpec) -> None:
    option = spec.option
    option.timestep = TICK_DT
    # Takes the motors' damping implicitly: kd * dt / armature is 0.5, too much for an explicit step to be accurate.
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.solver = mujoco.mjtSolver.mjSOL_NEWTON
    # Newton needs 1 to 6 iterations here; these limits only bound the cost of a hopeless step (a fallen, jammed robot).
    option.iterations = 20
    option.ls_iterations = 20
    option.tolerance = 1e-8
    # A diverged simulation must be seen as NaN by the guard, not be reset to a healthy pose behind its back.
    option.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_AUTORESET)


def _add_floor(spec: mujoco.MjSpec, config: SimulationConfig) -> None:
    friction = [config.friction, 0.005, 0.0001]
    spec.worldbody.add_geom(
        name=FLOOR_GEOM, type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 0.05], condim=3, friction=friction
    )
    for geom in spec.geoms:
        if geom.name.startswith(SOLE_PREFIXES) and geom.name.endswith("_collision"):
            geom.friction = friction
            geom.priority = 1  # theirs is the friction that counts
            geom.condim = 3


def _add_motors(spec: mujoco.MjSpec, config: SimulationConfig) -> None:
    """force = clip(ctrl - kp q - kd dq, effort). MujocoRobot writes ctrl = tau + kp q* + kd dq* and the gains."""
    for joint in G1.joints:
        effort = joint.effort * config.strength_scale
        hinge = spec.joint(joint.name)
        hinge.armature = joint.armature
        hinge.actfrcrange = [-effort, effort]
        motor = spec.add_actuator(name=joint.name, target=joint.name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        motor.gaintype = mujoco.mjtGain.mjGAIN_FIXED
        motor.gainprm[0] = 1.0
        motor.biastype = mujoco.mjtBias.mjBIAS_AFFINE
        motor.forcelimited = True
        motor.forcerange = [-effort, effort]


def _add_gantry(spec: mujoco.MjSpec) -> None:
    """A hoist that carries the torso: a weld to a body that is moved from outside."""
    spec.worldbody.add_body(name=GANTRY_BODY, mocap=True)
    weld = spec.add_equality(name=GANTRY_WELD, type=mujoco.mjtEq.mjEQ_WELD, objtype=mujoco.mjtObj.mjOBJ_BODY)
    weld.name1, weld.name2 = GANTRY_BODY, ANCHOR_BODY
    weld.data[:] = 0.0
    weld.data[6] = 1.0  # relative pose: torso origin in the gantry's origin, no rotation
    weld.data[10] = 1.0  # torque scale
    weld.active = False
