"""The diffusion policy at 50 Hz: runs the newest plan, orders the next one, and says when there is nothing to run."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bm_core.diffusion.bundle import DiffusionBundle
from bm_core.diffusion.contract import DiffusionContract
from bm_core.diffusion.guidance.settings import GuidanceSpec
from bm_core.diffusion.plan import Plan
from bm_core.diffusion.planner import Planner, Steering
from bm_core.diffusion.spec import SamplerSpec
from bm_core.errors import ConfigError
from bm_core.state import RobotState
from bm_sim2real.planning.decoder import ActionDecoder
from bm_sim2real.planning.denoiser import OnnxDenoiser
from bm_sim2real.planning.history_buffer import HistoryBuffer
from bm_sim2real.planning.process import ProcessSource
from bm_sim2real.planning.source import LockstepSource, PlanOrder, PlanSource
from bm_sim2real.policies.provider import open_session
from bm_sim2real.policies.tracker import PolicyOutput

Array = NDArray[np.float64]


class DiffusionPolicy:
    """Per control step: `see` the reading, then `act` or, while another policy balances the robot, `watch` its target.

    Set `steering` at any moment; the next order carries it. Plans are ordered only while `is_wanted`.
    """

    def __init__(self, contract: DiffusionContract, decoder: bytes, source: PlanSource) -> None:
        """Use `load_lockstep` for files."""
        self.contract, self.source = contract, source
        self.steering: Steering | None = None
        """What the next plans shall do; None plans unguided."""
        self.is_wanted = False
        """Whether plans are to be made."""
        self.plan: Plan | None = None
        """The newest one that has arrived."""
        self._decode = ActionDecoder(decoder, contract)
        self._scale, self._default = np.array(contract.action.scale), np.array(contract.action.default_joint_pos)
        self._kp, self._kd = np.array(contract.stiffness), np.array(contract.damping)
        self._buffer = HistoryBuffer(contract.spec.layout)
        self._is_joint, self._width = contract.spec.action == "joint", contract.spec.layout.step_width
        self._state: RobotState | None = None
        self._last_action: NDArray[np.floating] = np.zeros(len(self._default))
        self._step = -1
        self._ordered: int | None = None

    def reset(self, seed: int = 0) -> None:
        """Forget history, plans and orders; noise anew from `seed`."""
        self._buffer.clear()
        self.source.reset(seed)
        self.plan, self._ordered, self._step = None, None, -1

    def close(self) -> None:
        """Ends the planner."""
        self.source.close()

    @property
    def step(self) -> int:
        """Control step of the last reading."""
        return self._step

    @property
    def is_ready(self) -> bool:
        """Whether a plan has an action for this control step."""
        return self.plan is not None and self.plan.action(self._step) is not None

    @property
    def steps_left(self) -> int:
        """Control steps, this one included, that the newest plan still covers."""
        return 0 if self.plan is None else max(0, self.plan.last_step + 1 - self._step)

    def see(self, state: RobotState) -> None:
        """The reading of a new control step: takes what plan has arrived and orders the next."""
        self._step, self._state = self._step + 1, state
        self._buffer.add_state(state)
        self._take()
        if self.is_wanted and not self.source.is_busy and self._is_due() and self._buffer.is_full:
            committed = min(self.source.latency_steps, self.steps_left)
            self.source.order(
                PlanOrder(
                    history=self._buffer.history(),
                    step=self._step,
                    time=state.time,
                    committed=committed,
                    steering=self.steering,
                )
            )
            self._ordered = self._step
            self._take()

    def act(self) -> PolicyOutput | None:
        """Targets for this control step; None if no plan covers it."""
        planned = None if self.plan is None else self.plan.action(self._step)
        if planned is None:
            return None
        z = np.asarray(planned, dtype=np.float32)
        assert self._state is not None
        self._last_action = action = self._decode(z, self._state, self._last_action)
        self._buffer.add_action(z)
        return PolicyOutput(
            q=np.asarray(self._default + self._scale * action, dtype=np.float64),
            kp=self._kp,
            kd=self._kd,
            action=action,
            observation=np.zeros(0, dtype=np.float32),
            frame=self._step,
        )

    def watch(self, q: Array | None) -> None:
        """Another policy's joint targets (29,) rad for this control step; None: nobody balances the robot."""
        if q is None:
            self._buffer.clear()
            return
        self._last_action = (q - self._default) / self._scale
        # Only the plan itself knows a latent: what another policy did counts as unknown.
        self._buffer.add_action(self._last_action if self._is_joint else np.full(self._width, np.nan))

    def _is_due(self) -> bool:
        """A whole number of tokens after the last order, or plans could not follow each other."""
        spacing = self.contract.spec.layout.steps_per_token
        return self._ordered is None or self.plan is None or (self._step - self._ordered) % spacing == 0

    def _take(self) -> None:
        plan = self.source.poll(self._step)
        if plan is not None:
            self.plan = plan


@dataclass(frozen=True, kw_only=True)
class PilotConfig:
    """How a diffusion policy is run."""

    latency_steps: int = 1
    """Control steps (20 ms) from the reading to the plan, in lockstep."""
    provider: str = "cpu"
    """Execution provider of the planner graph: auto, cpu, cuda or tensorrt; falls back to the CPU with a warning."""
    threads: int = 1
    """Of the planner graph."""
    is_warm: bool = True
    """Plans start from the plan before; False: each from noise."""
    passes: int | None = None
    """Network passes; None: the bundle's. The same for the following settings of its sampler."""
    action_passes: int | None = None
    eta: float | None = None
    warm_state_level: int | None = None
    warm_action_level: int | None = None
    most_committed: int | None = None
    history_action_level: int | None = None
    guidance: GuidanceSpec | None = None
    """How hard goals pull; None: the bundle's."""

    def __post_init__(self) -> None:
        if self.latency_steps < 0:
            raise ConfigError(f"latency_steps = {self.latency_steps}: must be 0 or more")

    def sampler(self, given: SamplerSpec) -> SamplerSpec:
        """The bundle's settings with those of this config in their place."""
        names = {field.name for field in dataclasses.fields(given)} & {field.name for field in dataclasses.fields(self)}
        chosen = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return dataclasses.replace(given, **chosen)

    def contract(self, given: DiffusionContract) -> DiffusionContract:
        """The bundle's contract with this config's guidance in its place: whoever steers reads it there."""
        return given if self.guidance is None else dataclasses.replace(given, guidance=self.guidance)


def load_planner(path: str | Path, config: PilotConfig) -> Planner:
    """The planner of a bundle, its golden trace replayed on this provider first. BundleError if anything differs."""
    bundle = DiffusionBundle.read(path)
    spec = bundle.contract.spec

    def load(file: str | Path, provider: str) -> OnnxDenoiser:
        return OnnxDenoiser(file, spec, provider=provider, threads=config.threads)

    denoiser = open_session(path, config.provider, bundle.prove, load=load).session
    return Planner(dataclasses.replace(spec, sampler=config.sampler(spec.sampler)), denoiser, is_warm=config.is_warm)


def load_lockstep(path: str | Path, config: PilotConfig | None = None) -> DiffusionPolicy:
    """A policy whose planner runs in the same process, its plans arriving `latency_steps` control steps later."""
    config, bundle = config or PilotConfig(), DiffusionBundle.read(path)
    source = LockstepSource(load_planner(path, config), config.latency_steps)
    return DiffusionPolicy(config.contract(bundle.contract), bundle.decoder, source)


def load_process(path: str | Path, config: PilotConfig | None = None) -> DiffusionPolicy:
    """A policy whose planner is a process of its own, for real time; `latency_steps` is what is expected of it.

    Close the policy's `source` at the end.
    """
    config, bundle = config or PilotConfig(), DiffusionBundle.read(path)
    source = ProcessSource(partial(load_planner, path, config), config.latency_steps)
    return DiffusionPolicy(config.contract(bundle.contract), bundle.decoder, source)
