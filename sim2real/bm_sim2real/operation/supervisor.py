"""The operator's side of the state machine: requests, starting by itself, repetition.

Called between two control steps, so that nothing here can hold up a command that is due.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from bm_core.errors import BmError, RobotError
from bm_core.g1 import CONTROL_DT
from bm_core.state import RobotState
from bm_sim2real.bridge.session import ESTIMATE_S
from bm_sim2real.faults import Fault
from bm_sim2real.holds import Hold, hold_names
from bm_sim2real.modes import Mode
from bm_sim2real.operation.config import ControlConfig, Start
from bm_sim2real.operation.guided_run import GuidedRun
from bm_sim2real.operation.messages import Answer, Note, Played, Request, Verb
from bm_sim2real.operation.playlist import Playlist
from bm_sim2real.state_machine import StateMachine

FEET_DOWN_S = 5.2
"""s of HANG after which the simulated gantry (`bm sim-robot`) has let the feet down, the rope still taut."""


class Link(Protocol):
    """What the supervisor asks of the bridge's client."""

    @property
    def is_armed(self) -> bool: ...
    @property
    def fault(self) -> Fault | None: ...
    def arm(self) -> None: ...
    def estop(self) -> None: ...
    def reset(self) -> None: ...
    def reset_estimate(self) -> None: ...


class Supervisor:
    """Asks the state machine and the guard, which decide, and passes on what they say."""

    def __init__(
        self,
        machine: StateMachine,
        link: Link,
        playlist: Playlist,
        config: ControlConfig,
        tell: Callable[[Any], object],
        guided: GuidedRun | None = None,
    ) -> None:
        """`tell` gets Notes and Played. With `guided`, RUNNING follows goals instead of motions."""
        self._guided = guided
        self.machine, self.link, self.playlist, self._config, self._tell = machine, link, playlist, config, tell
        self._start = config.start
        self._waited = 0
        """Control steps in the present mode."""
        self._mode = machine.mode
        self._is_repeated = config.is_repeated
        self._playing: int | None = None
        """Request whose motion is being played; 0: nobody's."""
        self._braked = ""
        """Why the motion that is being played will not reach its end."""
        self._held = Hold.NONE
        self._fault: Fault | None = None
        self._is_estimate_new = False
        """Whether the estimate began anew with the feet on the floor."""
        self._has_settled = False
        """Whether the robot has stood long enough for a first motion."""

    @property
    def held(self) -> str:
        """Why no motion may be started now; empty if one may."""
        return ", ".join(hold_names(self.machine.held))

    @property
    def is_playing(self) -> bool:
        """Whether the selected motion is being played."""
        return self._playing is not None and self.machine.mode is Mode.RUNNING

    def after_step(self, state: RobotState) -> None:
        """Once between two control steps."""
        machine = self.machine
        self._waited = self._waited + 1 if machine.mode is self._mode else 0
        if machine.mode is not self._mode:
            self._tell(Note(f"{self._mode.value} -> {machine.mode.value}"))
            self._mode = machine.mode
        if machine.fault is not None and machine.fault is not self._fault:
            if self._guided is not None:
                self._guided.is_on = False
            self._tell(Note(f"fault: {machine.fault}", is_warning=True))
            self._start = Start.MANUAL  # what had begun by itself is over: from here on an operator decides
        self._fault = machine.fault
        self._watch_holds()
        if self._guided is not None:
            self._guided.step(state)
        self._watch_motion()
        if self._start is not Start.MANUAL and machine.fault is None:
            self._go_on(state)

    def answer(self, request: Request, state: RobotState) -> Answer:
        """Does what is asked, or says why not. Never raises for what a request asks."""
        try:
            text = self._obey(request, state)
        except BmError as error:
            return Answer(id=request.id, is_granted=False, text=str(error))
        return Answer(id=request.id, is_granted=True, text=text)

    def _obey(self, request: Request, state: RobotState) -> str:
        verb, argument = request.verb, request.argument
        if verb is Verb.ARM:
            return self._arm()
        if verb is Verb.ESTOP:
            self.link.estop()
            self.machine.estop(argument or "asked for by the operator")
            return "damping, latched"
        if verb is Verb.RESET:
            self.link.reset()
            self.machine.reset()
            return "no fault is latched"
        if verb is Verb.SELECT:
            return self.playlist.select(argument).name
        if verb is Verb.PLAY:
            if self._guided is not None:
                raise RobotError("play: refused: this policy follows goals, not motions; see /guidance_goal")
            if argument:
                self.playlist.select(argument)
            self._start, self._is_repeated = Start.MANUAL, False
            self._play(state, request.id)
            return self.playlist.selected.name
        if verb is Verb.BRAKE:
            return self._to_stand(state)
        if verb is Verb.SET_MODE:
            return self._set_mode(argument, state)
        raise RobotError(f"{verb.value}: not a request to a running control loop")

    def _arm(self) -> str:
        if self.machine.fault is not None:
            raise RobotError(f"arm: refused: a fault is latched ({self.machine.fault}); reset it first")
        if not self.link.is_armed:
            self.link.arm()
        return "armed"

    def _set_mode(self, name: str, state: RobotState) -> str:
        self._start = Start.MANUAL
        if name == Mode.DAMPING.value:
            self.machine.damp()
        elif name == Mode.HANG.value:
            self._require_arm()
            self.machine.hang(state)
        elif name == Mode.STAND.value:
            return self._to_stand(state)
        elif name == Mode.RUNNING.value:
            self._is_repeated = self._config.is_repeated
            self._play(state, 0)
        else:
            raise RobotError(f"set_mode: '{name}' is none of damping, hang, stand, running")
        return self.machine.mode.value

    def _to_stand(self, state: RobotState) -> str:
        """Up from HANG, or out of a motion."""
        machine = self.machine
        self._start, self._is_repeated = Start.MANUAL, False
        if self._guided is not None:
            self._guided.is_on = False
        if machine.mode is Mode.RUNNING:
            self._brake(state, "the operator asked to stand")
        elif machine.mode not in (Mode.STAND, Mode.BRAKE):
            self._require_arm()
            machine.stand(state)
        return machine.mode.value

    def _require_arm(self) -> None:
        if not self.link.is_armed:
            raise RobotError("refused: the robot is not armed; arm it first")

    def _play(self, state: RobotState, request: int) -> None:
        if self._guided is not None:
            self._guided.is_on = True
            self._tell(Note("following goals"))
            return
        self.machine.play(self.playlist.selected, state)
        self._playing, self._braked = request, ""
        self._tell(Note(f"playing {self.playlist.selected.name}, {self.playlist.selected.duration:.1f} s"))

    def _brake(self, state: RobotState, why: str) -> None:
        self._braked = why
        self.machine.brake(state)

    def _watch_holds(self) -> None:
        """The state machine brakes by itself; here it is told, and nothing begins again by itself."""
        held = self.machine.held
        if held & ~self._held:
            self._tell(Note(f"held by {self.held}: brake, stand, stay until /reset", is_warning=True))
            self._start, self._is_repeated = Start.MANUAL, False
            self._braked = self._braked or f"held by {self.held}"
            if self._guided is not None:
                self._guided.is_on = False
        self._held = held

    def _watch_motion(self) -> None:
        """Tells how a motion ended, once the robot stands again or damps."""
        machine = self.machine
        if self._playing is None or machine.mode in (Mode.RUNNING, Mode.BRAKE):
            return
        is_completed = machine.mode is Mode.STAND and not self._braked
        why = self._braked or (str(machine.fault) if machine.fault else f"ended in {machine.mode.value}")
        self._tell(Played(id=self._playing, is_completed=is_completed, text="completed" if is_completed else why))
        if is_completed and self._is_repeated:
            self._start = Start.PLAY
        self._playing = None

    def _go_on(self, state: RobotState) -> None:
        """The next step of a run that goes by itself."""
        machine, config = self.machine, self._config
        try:
            if machine.mode is Mode.DAMPING:
                if self.link.fault is not None:
                    self.link.reset()
                if not self.link.is_armed:
                    self.link.arm()
                machine.hang(state)
            elif machine.mode is Mode.HANG and machine.is_hang_done:
                self._get_up(state)
            elif machine.mode is Mode.STAND and self._start is Start.PLAY:
                wait = config.pause_s if self._has_settled else config.settle_s
                if self._waited * CONTROL_DT >= wait:
                    if not self._has_settled and not machine.needs_base:
                        self.link.reset_estimate()  # what was estimated on the way down is no place to begin at
                    self._has_settled = True
                    self._start = Start.MANUAL
                    self._play(state, 0)
        except RobotError as error:
            self._tell(Note(f"{error}; waiting for the operator", is_warning=True))
            self._start = Start.MANUAL

    def _get_up(self, state: RobotState) -> None:
        """To STAND; a policy that needs the base's position waits until its feet are down and it is estimated."""
        machine, hung = self.machine, self._waited * CONTROL_DT
        if machine.needs_base:
            if hung >= FEET_DOWN_S and not self._is_estimate_new:
                self.link.reset_estimate()
                self._is_estimate_new = True
            if hung < FEET_DOWN_S + ESTIMATE_S or state.pelvis_pos_w is None:
                return
        machine.stand(state)
        self._has_settled = self._is_estimate_new = False
