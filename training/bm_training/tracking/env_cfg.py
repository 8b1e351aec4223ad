"""The tracking environment: scene, physics backend, and the numbers of every manager (beyondmimic 1.3 to 1.9)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from isaaclab.envs import ManagerBasedRLEnvCfg
from isaaclab.managers import (
    EventTermCfg,
    ObservationGroupCfg,
    RewardTermCfg,
    SceneEntityCfg,
    TerminationTermCfg,
)
from isaaclab.scene import InteractiveSceneCfg
from isaaclab.sensors import ContactSensorCfg
from isaaclab.sim import SimulationCfg
from isaaclab.terrains import TerrainImporterCfg
from isaaclab.utils import configclass

from bm_core.errors import ConfigError
from bm_core.g1 import ANCHOR_BODY, CONTROL_DT, END_EFFECTORS
from bm_core.observation_terms import ObservationTerm, tracker_terms
from bm_training.sampling import AdaptiveSamplerConfig, StartStateConfig
from bm_training.tracking import actions, command, events, rewards, terminations
from bm_training.tracking.motion_set import TrainingMotions
from bm_training.tracking.observation_groups import actor_group, critic_group, window_union
from bm_training.tracking.robot_asset import g1_articulation
from bm_training.tracking.robot_usd import ground_usd

PHYSICS_DT = 0.005
DECIMATION = round(CONTROL_DT / PHYSICS_DT)
MAX_DELAY_MS = 1000.0 * DECIMATION * PHYSICS_DT
"""One control period: a target that came later would be replaced before it is applied."""

_SENSOR = "contact_forces"


class Backend(str, Enum):
    """Physics engine."""

    NEWTON = "newton"
    """MuJoCo-Warp: the faster one on a GPU."""
    OVPHYSX = "ovphysx"
    """PhysX without Isaac Sim: the faster one on a CPU."""
    PHYSX = "physx"
    """PhysX inside Isaac Sim."""


@dataclass(frozen=True, kw_only=True)
class TaskConfig:
    """What may differ between runs of the task."""

    load_motions: Callable[[str], TrainingMotions]
    """Called once with the device."""
    num_envs: int = 4096
    backend: Backend = Backend.NEWTON
    device: str = "cuda:0"
    seed: int = 0
    state_estimation: bool = False
    """Policy also sees motion_anchor_pos_b and base_lin_vel, which need an estimate of the base."""
    reference_window: tuple[int, ...] = ()
    """Future frames in the policy's observation, control steps ahead; () for none."""
    motion_ids: tuple[str, ...] = ()
    """Clips that the policy is told apart by name; () for none."""
    teacher_terms: tuple[tuple[ObservationTerm, ...], ...] = ()
    """What other policies shall see of the same robots, without noise: groups teacher_0, teacher_1, ..."""
    play: bool = False
    """No noise, pushes, delay or randomisation, no time limit, starts at frame 0."""
    max_delay_steps: int = 4
    """Command delay, 0..n physics steps of 5 ms, drawn per episode."""
    solver_owns_loop: bool = False
    """Newton: one CUDA graph a control step. False: Isaac Lab's loop, four graphs, same results."""
    njmax: int = 150
    """Newton: constraint rows of a world; 86 were needed under violent random actions [measured]."""
    nconmax: int = 50
    """Newton: contacts of a world; 24 were needed [measured]."""
    sampler: AdaptiveSamplerConfig = AdaptiveSamplerConfig()
    start_state: StartStateConfig = StartStateConfig()

    def __post_init__(self) -> None:
        if self.num_envs < 1:
            raise ConfigError(f"num_envs = {self.num_envs}: must be >= 1")
        if self.seed < 0:  # Isaac Lab draws one itself for -1, NumPy refuses it
            raise ConfigError(f"seed = {self.seed}: must be >= 0")
        if not 0 <= self.max_delay_steps <= DECIMATION:
            raise ConfigError(f"max_delay_steps = {self.max_delay_steps}: must be 0..{DECIMATION} physics steps")

    @property
    def terms(self) -> tuple[ObservationTerm, ...]:
        """The policy's observation, as the bundle's contract names it."""
        return tracker_terms(
            state_estimation=self.state_estimation, window_steps=self.reference_window, motions=self.motion_ids
        )


def delay_steps(max_delay_ms: float) -> int:
    """Physics steps of --max-delay-ms. ConfigError for what cannot be simulated as it is asked for."""
    step_ms = 1000.0 * PHYSICS_DT
    if not 0.0 <= max_delay_ms <= MAX_DELAY_MS or max_delay_ms % step_ms != 0.0:
        raise ConfigError(f"--max-delay-ms {max_delay_ms:g}: 0 to {MAX_DELAY_MS:g} in steps of {step_ms:g} ms")
    return round(max_delay_ms / step_ms)


@configclass
class TrackingSceneCfg(InteractiveSceneCfg):
    """Floor, robot, contact sensor over all links."""

    num_envs: int = 4096
    env_spacing: float = 2.5
    terrain: TerrainImporterCfg = None  # type: ignore[assignment]
    robot: Any = None
    contact_forces: ContactSensorCfg = None  # type: ignore[assignment]


@configclass
class CommandsCfg:
    """Isaac Lab's command manager takes no dict."""

    motion: command.MotionCommandCfg = None  # type: ignore[assignment]


@configclass
class ActionsCfg:
    """Nor does its action manager."""

    joint_pos: actions.DelayedJointPositionCfg = None  # type: ignore[assignment]


@configclass
class TrackingEnvCfg(ManagerBasedRLEnvCfg):
    """Made by `tracking_env_cfg`."""

    scene: TrackingSceneCfg = None  # type: ignore[assignment]
    observations: Any = None
    actions: Any = None
    commands: Any = None
    rewards: Any = None
    terminations: Any = None
    events: Any = None
    decimation: int = DECIMATION
    episode_length_s: float = 10.0


def tracking_env_cfg(task: TaskConfig) -> TrackingEnvCfg:
    """The environment's configuration. Paths of generated USD files are filled in here."""
    return TrackingEnvCfg(
        seed=task.seed,
        sim=SimulationCfg(
            dt=PHYSICS_DT,
            device=task.device,
            render_interval=DECIMATION,
            physics=_physics(task),
            # The solver then runs all physics steps of a control step at once; newton_delay.py reaches into that loop.
            use_newton_actuators=task.solver_owns_loop,
            save_logs_to_file=False,
        ),
        scene=_scene(task.num_envs),
        episode_length_s=1.0e6 if task.play else 10.0,
        commands=CommandsCfg(motion=_motion(task)),  # pyright: ignore[reportCallIssue]
        actions=ActionsCfg(joint_pos=_action(task)),  # pyright: ignore[reportCallIssue]
        observations=_observations(task),
        rewards=_rewards(),
        terminations=_terminations(),
        events={} if task.play else _events(),
    )


def _physics(task: TaskConfig) -> Any:
    if task.backend is Backend.NEWTON:
        from isaaclab_newton.physics import MJWarpSolverCfg, NewtonCfg

        return NewtonCfg(
            solver_cfg=MJWarpSolverCfg(
                integrator="implicitfast",
                iterations=10,
                ls_iterations=20,
                njmax=task.njmax,
                nconmax=task.nconmax,
                cone="pyramidal",
                disable_sensors=True,
            )
        )
    if task.backend is Backend.OVPHYSX:
        from isaaclab_ov.physics import OvPhysxCfg

        from bm_training.tracking.cpu_memory import drop_pinned_memory_without_cuda

        drop_pinned_memory_without_cuda()
        return OvPhysxCfg(gpu_max_rigid_patch_count=10 * 2**15)
    from isaaclab_physx.physics import PhysxCfg

    return PhysxCfg(gpu_max_rigid_patch_count=10 * 2**15)


def _scene(num_envs: int) -> TrackingSceneCfg:
    return TrackingSceneCfg(
        num_envs=num_envs,
        terrain=TerrainImporterCfg(prim_path="/World/ground", terrain_type="usd", usd_path=str(ground_usd())),
        robot=g1_articulation(),
        contact_forces=ContactSensorCfg(prim_path="{ENV_REGEX_NS}/Robot/[^/]*"),
    )


def _motion(task: TaskConfig) -> command.MotionCommandCfg:
    setup = command.MotionSetup(load_motions=task.load_motions, sampler=task.sampler, start_state=task.start_state)
    cfg = command.MotionCommandCfg(
        setup=lambda: setup,
        seed=task.seed,
        reference_window=window_union([task.terms, *task.teacher_terms]) or None,
        has_episode_draw=bool(task.motion_ids),
    )
    if task.play:
        cfg.pose_noise = cfg.velocity_noise = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        cfg.joint_pos_noise = 0.0
    return cfg


def _action(task: TaskConfig) -> actions.DelayedJointPositionCfg:
    if task.play:
        return actions.DelayedJointPositionCfg(max_delay_steps=0, default_joint_pos_range=0.0)
    return actions.DelayedJointPositionCfg(max_delay_steps=task.max_delay_steps)


def _observations(task: TaskConfig) -> dict[str, ObservationGroupCfg]:
    groups = {"policy": actor_group(task.terms, is_noisy=not task.play), "critic": critic_group(task.terms)}
    return groups | {
        f"teacher_{number}": actor_group(terms, is_noisy=False) for number, terms in enumerate(task.teacher_terms)
    }


def _rewards() -> dict[str, RewardTermCfg]:
    """Sigmas and weights: beyondmimic 1.6, and body_pos_fine. Isaac Lab multiplies by the period: max. 0.12 a step."""
    return {
        "anchor_pos": RewardTermCfg(func=rewards.anchor_pos, weight=0.5, params={"sigma": 0.3}),
        "anchor_ori": RewardTermCfg(func=rewards.anchor_ori, weight=0.5, params={"sigma": 0.4}),
        "body_pos": RewardTermCfg(func=rewards.body_pos, weight=1.0, params={"sigma": 0.3}),
        # At 5 cm the wide kernel has given 97 % of its reward and hardly pulls any more.
        "body_pos_fine": RewardTermCfg(func=rewards.body_pos, weight=1.0, params={"sigma": 0.1}),
        "body_ori": RewardTermCfg(func=rewards.body_ori, weight=1.0, params={"sigma": 0.4}),
        "body_lin_vel": RewardTermCfg(func=rewards.body_lin_vel, weight=1.0, params={"sigma": 1.0}),
        "body_ang_vel": RewardTermCfg(func=rewards.body_ang_vel, weight=1.0, params={"sigma": 3.14}),
        "action_rate": RewardTermCfg(func=rewards.action_rate, weight=-0.1),
        "joint_limit": RewardTermCfg(func=rewards.joint_limit, weight=-10.0),
        "undesired_contacts": RewardTermCfg(
            func=rewards.UndesiredContacts,
            weight=-0.1,
            params={"sensor": _SENSOR, "allowed": END_EFFECTORS, "threshold": 1.0},
        ),
    }


def _terminations() -> dict[str, TerminationTermCfg]:
    """Beyondmimic 1.7, plus the clip's end as a truncation."""
    return {
        "time_out": TerminationTermCfg(func=terminations.time_out, time_out=True),
        "clip_end": TerminationTermCfg(func=terminations.clip_end, time_out=True),
        "anchor_pos": TerminationTermCfg(func=terminations.anchor_pos, params={"threshold": 0.25}),
        "anchor_ori": TerminationTermCfg(func=terminations.anchor_ori, params={"threshold": 0.8}),
        "not_finite": TerminationTermCfg(func=terminations.not_finite),
        "ee_body_pos": TerminationTermCfg(func=terminations.ee_body_pos, params={"threshold": 0.25}),
    }


def _events() -> dict[str, EventTermCfg]:
    """Beyondmimic 1.8; joint default offsets are in the action term, reset noise in the command."""
    from isaaclab.envs import mdp

    return {
        "friction": EventTermCfg(
            func=events.RandomFriction,
            mode="startup",
            params={
                "asset_cfg": SceneEntityCfg("robot"),
                "static_friction_range": (0.3, 1.6),
                "dynamic_friction_range": (0.3, 1.2),
                "restitution_range": (0.0, 0.5),
                "num_buckets": 64,
                "make_consistent": True,
            },
        ),
        "torso_com": EventTermCfg(
            func=mdp.randomize_rigid_body_com,
            mode="startup",
            params={
                "asset_cfg": SceneEntityCfg("robot", body_names=ANCHOR_BODY),
                "com_range": {"x": (-0.025, 0.025), "y": (-0.05, 0.05), "z": (-0.05, 0.05)},
            },
        ),
        "push": EventTermCfg(
            func=events.push,
            mode="interval",
            interval_range_s=(1.0, 3.0),
            params={"half_ranges": (0.5, 0.5, 0.2, 0.52, 0.52, 0.78)},
        ),
    }
