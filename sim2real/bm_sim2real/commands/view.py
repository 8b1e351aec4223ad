"""`bm view`: the tracker live in a browser."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class View:
    """Show robot and reference live in a browser: choose a motion, pause, step, push, brake. Ctrl-C ends it."""

    policy: Path | None = None
    """Policy bundle (.onnx); default: the shipped g1_tracker.onnx."""
    motion: str | None = None
    """Motion files and folders between commas; default: the shipped clips."""
    port: int = 8080
    """The next free one if it is taken."""
    host: str = "127.0.0.1"
    """0.0.0.0 lets other computers connect."""
    start: bool = False
    """Do not wait for the Start button."""

    def __call__(self) -> int:
        from bm_core.data import shipped
        from bm_sim2real.clip_files import chosen_clips
        from bm_sim2real.commands.progress import wide_console
        from bm_sim2real.demo import load_clips
        from bm_sim2real.evaluation import EvaluationConfig
        from bm_sim2real.evaluation_batch import with_base_state
        from bm_sim2real.policies.tracker import TrackerPolicy
        from bm_sim2real.process_signals import until_signal
        from bm_sim2real.viewer import Viewer
        from bm_sim2real.viewer_session import ViewSession

        policy = self.policy or shipped("policies", "g1_tracker.onnx")
        tracker = TrackerPolicy.load(policy)
        clips = load_clips(chosen_clips(self.motion, None, None))
        session = ViewSession(tracker, clips, with_base_state(EvaluationConfig(), policy))
        console = wide_console()
        with Viewer(session, policy.name, host=self.host, port=self.port) as viewer:
            console.print(f"viewer: {viewer.url}   {len(clips)} motions, Ctrl-C ends it", markup=False, soft_wrap=True)
            if self.start:
                viewer.panel.set_running(True)
            with until_signal(lambda: console.print("closed")):
                viewer.wait()
        return 0
