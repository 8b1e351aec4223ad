"""The wire in real time: simulated G1, bridge and client each a process of its own, over DDS on loopback.

The simulated robot keeps its true poses and the commands that reached it; the client keeps which frame it aimed at.
Afterwards both are laid side by side on the robot's clock, and the same clips run in one process with the delay found,
each from the stance in which the other robot began it: that lives one long life, and where it puts its feet at the end
of one clip is where they are in the next. A dance ends elsewhere with every nudge; for a clip of standing still that
is most of the error.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bm_core.errors import RobotError
from bm_core.g1 import CONTROL_DT
from bm_core.motion import MotionClip
from bm_core.reference import ReferenceFrame
from bm_core.state import LowCommand, RobotState
from bm_sim2real.bridge.client import BridgeClient
from bm_sim2real.bridge.config import BridgeConfig
from bm_sim2real.bridge.features import bridged_features
from bm_sim2real.bridge.launch import bridge_client
from bm_sim2real.bridge.loop import BridgedLoop
from bm_sim2real.bridge.realtime import make_realtime
from bm_sim2real.modes import Mode
from bm_sim2real.policies.tracker import TrackerPolicy, base_state_needed
from bm_sim2real.process_groups import kill_groups, start_group
from bm_sim2real.process_signals import temporary_folder
from bm_sim2real.robots.mujoco import MujocoRobot
from bm_sim2real.robots.simulation_config import TICK_DT, TICK_MS
from bm_sim2real.soak import LIMITS
from bm_sim2real.standing import plan_stop, standing_frame
from bm_sim2real.state_machine import MachineConfig, StateMachine
from bm_sim2real.tracking_errors import Terminations, tracking_errors
from bm_sim2real.wire_evaluation import WireResult, errors_in_process

_SIMULATION = (
    "import sys; from pathlib import Path; from bm_sim2real.commands.sim_robot import SimRobot; "
    "SimRobot(ideal_motors=True, truth=Path(sys.argv[1]))()"
)
_PATIENCE_S = 60.0
_GANTRY_S = 8.0
"""s of standing until the simulated gantry has let go and the robot has settled."""
_BETWEEN_S = 2.0
"""s of standing after each clip: the stance that the next one begins in is taken for one at rest."""


@dataclass(frozen=True, kw_only=True)
class Aim:
    """One control step of RUNNING, as the client saw it."""

    clip: str
    time: float
    """s on the robot's clock, of the reading"""
    frame: ReferenceFrame
    """Where the robot should be one period later"""
    target: NDArray[np.float32]
    """(29,) rad, as on the wire"""


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What the simulated robot kept, one row a tick."""

    time: NDArray[np.float64]
    """(N,) s on the robot's clock, at the end of each tick"""
    qpos: NDArray[np.float64]
    """(N, 36)"""
    target: NDArray[np.float32]
    """(N, 29) rad, of the command in force during the tick"""

    @classmethod
    def load(cls, path: Path) -> Truth:
        """As `bm sim-robot --truth` writes it."""
        with np.load(path) as file:
            return cls(time=file["time"], qpos=file["qpos"], target=file["target"])

    def row(self, time: float) -> int:
        """Index of the tick at that time, s; the last one beyond the end."""
        return min(int(np.searchsorted(self.time, time - 0.25 * TICK_DT)), len(self.time) - 1)


def play_over_processes(
    policy: Path, clips: Sequence[MotionClip], on_clip: Callable[[], object]
) -> tuple[list[Aim], Truth]:
    """All clips in one life of the robot, standing in between. RobotError with the fault if one ends it early."""
    with temporary_folder() as folder:
        truth = folder / "truth.npz"
        with _simulation(truth):
            config = BridgeConfig(limits=LIMITS, first_state_s=_PATIENCE_S)
            with bridge_client(config) as client:
                aims = _Player(policy, config, client).run(clips, on_clip)
        return aims, Truth.load(truth)


def wire_delay_ms(aims: Sequence[Aim], truth: Truth) -> list[float]:
    """ms from each reading to the begin of the tick in which its answer was in force.

    Only of answers that the guard left as they were.
    """
    delays = []
    for aim in aims:
        first = truth.row(aim.time) + 1
        rows = truth.target[first : first + round(2 * CONTROL_DT / TICK_DT)]
        same = np.flatnonzero((rows == aim.target).all(axis=1))
        if len(same):
            delays.append(1e3 * (truth.time[first + int(same[0])] - aim.time - TICK_DT))
    return delays


def body_errors(aims: Sequence[Aim], truth: Truth) -> dict[str, list[float]]:
    """m, for each clip: errors at the end of each control step, as `bm eval tracking` defines them."""
    robot = MujocoRobot()
    robot.connect()
    errors: dict[str, list[float]] = {}
    for aim in aims:
        qpos = truth.qpos[truth.row(aim.time + CONTROL_DT)]
        robot.reset(root_pos_w=qpos[:3], root_quat_w=qpos[3:7], joint_pos=qpos[7:])
        error = tracking_errors(robot.ground_truth(), aim.frame, Terminations()).body
        errors.setdefault(aim.clip, []).append(error)
    robot.close()
    return errors


def stances(aims: Sequence[Aim], truth: Truth) -> dict[str, NDArray[np.float64]]:
    """(36,) qpos in which the robot stood when each clip began."""
    found: dict[str, NDArray[np.float64]] = {}
    for aim in aims:
        if aim.clip not in found:
            found[aim.clip] = truth.qpos[truth.row(aim.time)]
    return found


def equal_delay_ms(delays: Sequence[float]) -> int:
    """The delay of a simulation in one process that is nearest to the median, a multiple of 2 ms."""
    return TICK_MS * round(float(np.median(delays)) / TICK_MS)


def compare_processes(policy: Path, clips: Sequence[MotionClip], on_clip: Callable[[], object]) -> list[WireResult]:
    """Each clip over the processes and in one, from the same stance and at equal delay. `on_clip` twice a clip.

    RobotError as above.
    """
    aims, truth = play_over_processes(policy, clips, on_clip)
    delay_ms = equal_delay_ms(wire_delay_ms(aims, truth))
    wired, begun = body_errors(aims, truth), stances(aims, truth)
    tracker, results = TrackerPolicy.load(policy), []
    base_state = base_state_needed(tracker.contract)
    for clip in clips:
        direct, failure = errors_in_process(tracker, clip, base_state, delay_ms, begun[clip.name])
        results.append(
            WireResult(
                clip=clip.name,
                delay_ms=delay_ms,
                in_process_m=float(np.mean(direct)),
                wire_m=float(np.mean(wired[clip.name])),
                failure=failure,
            )
        )
        on_clip()
    return results


class _Player:
    """The client: arms, stands, and plays clip after clip."""

    def __init__(self, policy: Path, config: BridgeConfig, client: BridgeClient) -> None:
        features = bridged_features(config)
        tracker = TrackerPolicy.load(policy, features=features)
        self._machine = StateMachine(
            tracker,
            standing_frame(),
            features,
            plan_stop=plan_stop,
            config=MachineConfig(plans_in_background=True),
        )
        self._client, self._loop = client, BridgedLoop(client, self._machine, self)
        self._clip, self._aims = "", []

    def on_step(self, state: RobotState, machine: StateMachine, written: LowCommand, policy_s: float) -> None:
        """As a listener of the loop."""
        if machine.mode is Mode.RUNNING:
            frame, target = machine.policy.present_frame, written.q.astype(np.float32)
            self._aims.append(Aim(clip=self._clip, time=state.time, frame=frame, target=target))

    def run(self, clips: Sequence[MotionClip], on_clip: Callable[[], object]) -> list[Aim]:
        """From the gantry to the last clip's end, and damped."""
        make_realtime(priority=50)
        machine, client = self._machine, self._client
        client.arm(_PATIENCE_S)
        try:
            machine.hang(client.read())
            self._while(lambda: not machine.is_hang_done)
            machine.stand(client.read())
            self._steps(_GANTRY_S)
            for clip in clips:
                self._clip = clip.name
                machine.play(clip, client.read())
                self._while(lambda: machine.mode is Mode.RUNNING)
                self._steps(_BETWEEN_S)
                on_clip()
        finally:
            self._loop.damp(0.5)
        return self._aims

    def _steps(self, seconds: float) -> None:
        left = iter(range(round(seconds / CONTROL_DT), -1, -1))
        self._while(lambda: next(left) > 0)

    def _while(self, condition: Callable[[], bool]) -> None:
        while condition():
            self._loop.step()
            if self._loop.fault is not None:
                raise RobotError(f"{self._clip or 'on the way up'}: {self._loop.fault}")


@contextlib.contextmanager
def _simulation(truth: Path) -> Iterator[None]:
    command = [sys.executable, "-c", _SIMULATION, str(truth)]
    started: list[subprocess.Popen[bytes]] = []
    try:
        process = start_group(command, started.append, stdout=subprocess.DEVNULL)
        yield
        process.send_signal(signal.SIGTERM)
        process.wait(_PATIENCE_S)
    finally:
        kill_groups(started)
