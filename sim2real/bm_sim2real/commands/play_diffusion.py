"""`bm play-diffusion`: steer the diffusion policy live."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from bm_sim2real.diffusion_play.session import PlaySession, PlaySnapshot
    from bm_sim2real.guidance.operator_input import Sticks


@dataclass(frozen=True, kw_only=True)
class PlayDiffusion:
    """Steer the diffusion policy in simulation, live in a browser: by the panel's sliders, keyboard, gamepad or script.

    The cost is chosen with --task and may be changed in the panel while the robot walks. Exit 1 if it fell (headless).
    """

    task: Literal["joystick", "waypoint", "obstacle", "waypoint-obstacle"] = "joystick"
    """Which costs are at work."""
    policy: Path | None = None
    """Diffusion bundle (.onnx); default: the shipped g1_diffusion.onnx."""
    tracker: Path | None = None
    """Tracker that stands and brakes; default: the shipped g1_tracker.onnx."""
    input: Literal["panel", "keyboard", "gamepad", "script"] = "panel"
    """Who is at the sticks."""
    gamepad: Path = Path("/dev/input/js0")
    """Device of --input gamepad; hold L1."""
    latency_steps: int = 1
    """Control steps (20 ms) from reading to plan; the simulation waits for the planner, so time slips if it is slow."""
    guidance: Path | None = None
    """JSON file with guidance settings that differ from the bundle's."""
    seed: int = 0
    """Of waypoints, lane and noise."""
    headless: bool = False
    """No browser: play the script for --seconds, print how it went."""
    seconds: float = 20.0
    """Of --headless"""
    port: int = 8080
    """The next free one if it is taken."""
    host: str = "127.0.0.1"
    """0.0.0.0 lets other computers connect."""
    json: Path | None = None
    """Of --headless: also write the path as one JSON document."""

    def __call__(self) -> int:
        session, title = self._session()
        try:
            return self._headless(session) if self.headless else self._live(session, title)
        finally:
            session.close()

    # -- parts

    def _session(self) -> tuple[PlaySession, str]:
        from bm_core.data import shipped
        from bm_core.diffusion.bundle import DiffusionBundle
        from bm_core.diffusion.guidance.settings import read_guidance
        from bm_sim2real.diffusion_play.session import PlaySession, PlayTask
        from bm_sim2real.planning.policy import PilotConfig, load_lockstep
        from bm_sim2real.policies.tracker import TrackerPolicy

        policy = self.policy or shipped("policies", "g1_diffusion.onnx")
        guidance = None
        if self.guidance is not None:
            guidance = read_guidance(self.guidance, DiffusionBundle.read(policy).contract.guidance)
        pilot = load_lockstep(policy, PilotConfig(latency_steps=self.latency_steps, guidance=guidance))
        tracker = TrackerPolicy.load(self.tracker or shipped("policies", "g1_tracker.onnx"))
        is_scripted = self.headless or self.input == "script"
        return PlaySession(pilot, tracker, PlayTask(self.task), is_scripted=is_scripted, seed=self.seed), policy.name

    def _headless(self, session: PlaySession) -> int:
        from bm_sim2real.commands.progress import wide_console
        from bm_sim2real.diffusion_play.session import play_script
        from bm_sim2real.result_json import write_result

        snapshots = play_script(session, self.seconds)
        last = snapshots[-1]
        problem = last.fault or last.fallen
        summary = _summary(self.task, snapshots)
        if self.json is not None:
            rows = [_row(snapshot) for snapshot in snapshots[::5]]
            write_result(self.json, command="play-diffusion", rows=rows, summary=summary, passed=not problem)
        wide_console().print(
            f"{self.task}: {summary['seconds']:.1f} s, {summary['path_m']:.1f} m, ends in {last.mode.value}"
            + (f"; {problem}" if problem else "")
        )
        return 1 if problem else 0

    def _live(self, session: PlaySession, title: str) -> int:
        from bm_sim2real.commands.progress import wide_console
        from bm_sim2real.diffusion_play.viewer import PlayViewer
        from bm_sim2real.process_signals import until_signal

        console = wide_console()
        with (
            self._device() as (poll, words),
            PlayViewer(session, title, poll=poll, host=self.host, port=self.port) as viewer,
        ):
            console.print(f"viewer: {viewer.url}   {words}Ctrl-C ends it", markup=False, soft_wrap=True)
            viewer.panel.set_running(True)
            with until_signal(lambda: console.print("closed")):
                viewer.wait()
        return 0

    @contextmanager
    def _device(self) -> Iterator[tuple[Callable[[], Sticks] | None, str]]:
        """Who is asked for the sticks, and what to tell the operator."""
        from bm_core.errors import RobotError
        from bm_sim2real.guidance.gamepad import Gamepad
        from bm_sim2real.guidance.keyboard import HELP, Keyboard, raw_terminal

        if self.input == "gamepad":
            pad = Gamepad(self.gamepad)
            try:
                yield pad.poll, "hold L1   "
            finally:
                pad.close()
        elif self.input == "keyboard":
            with raw_terminal() as is_terminal:
                if not is_terminal:
                    raise RobotError("--input keyboard: stdin is no terminal; start it in one, or use --input panel")
                yield Keyboard().poll, f"{HELP}   "
        else:
            yield None, ""


def _summary(task: str, snapshots: list[PlaySnapshot]) -> dict[str, Any]:
    import numpy as np

    path = np.array([snapshot.truth.body_pos_w[0, :2] for snapshot in snapshots])
    last = snapshots[-1]
    return {
        "task": task,
        "seconds": last.time_s,
        "path_m": float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum()),
        "mode": last.mode.value,
        "fault": last.fault,
        "fallen": last.fallen,
        "plan_losses": last.plan_losses,
    }


def _row(snapshot: PlaySnapshot) -> dict[str, Any]:
    return {
        "time_s": snapshot.time_s,
        "mode": snapshot.mode.value,
        "pelvis_pos_w": snapshot.truth.body_pos_w[0],
        "velocity": snapshot.velocity,
        "asked_velocity": snapshot.goal.velocity,
        "waypoint": snapshot.goal.waypoint,
    }
