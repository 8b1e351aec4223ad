"""Several trackers behind one: each motion is played by the policy it names, everything else by the default one.

All are loaded and proven before anything moves. A change of policy happens where the reference changes (from STAND into
the entry blend, from the motion's end into the blend to STAND) and is spread over `FADE_STEPS`: both policies follow
the same reference, set-points and gains go over from one to the other, and each takes the mixture for its last action.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from bm_core.bundle import Bundle
from bm_core.errors import BundleError, RobotError
from bm_core.motion import MotionClip
from bm_core.reference import Reference, ReferenceFrame
from bm_core.state import RobotState
from bm_sim2real.blend import ChainedReference
from bm_sim2real.clip_files import POLICY_KEY
from bm_sim2real.policies.tracker import Array, PolicyOutput, TrackerPolicy, base_state_needed
from bm_sim2real.robots.protocol import BaseState, RobotFeatures

FADE_STEPS = 20
"""Control steps, 0.4 s: less than the shortest entry blend, so that the motion itself is the expert's alone."""


class ExpertTracker(TrackerPolicy):
    """Looks like one policy. `contract` is the default's."""

    def __init__(self, default: TrackerPolicy, experts: Mapping[str, TrackerPolicy]) -> None:
        """`experts` by the path that clips name in their meta."""
        self.contract = default.contract
        self.warnings = (*default.warnings, *(f"{p}: {w}" for p, e in experts.items() for w in e.warnings))
        self._default, self._experts = default, dict(experts)
        self._active = default
        self._former: TrackerPolicy | None = None
        self._fade_left = 0
        self._last: PolicyOutput | None = None

    @property
    def active(self) -> TrackerPolicy:
        """Who follows the present reference."""
        return self._active

    @property
    def reference(self) -> Reference:
        return self._active.reference

    @property
    def next_frame(self) -> int:
        return self._active.next_frame

    @property
    def is_finished(self) -> bool:
        return self._active.is_finished

    @property
    def present_frame(self) -> ReferenceFrame:
        return self._active.present_frame

    def reset(self, reference: Reference, frame: int = 0) -> None:
        """Afresh, with whichever policy the reference names; no fade, as nothing was commanded before."""
        self._active, self._former, self._fade_left, self._last = self._chosen(reference), None, 0, None
        self._active.reset(reference, frame)

    def follow(self, reference: Reference, frame: int = 0) -> None:
        """Another reference from here on; its policy takes over gradually. RobotError as TrackerPolicy.follow."""
        chosen = self._chosen(reference)
        if chosen is self._active:
            chosen.follow(reference, frame)
            self._former = self._following(self._former, reference, frame)
            return
        if self._last is None:
            chosen.reset(reference, frame)
        else:
            chosen.take_over(reference, frame, self._last.q)
            self._former = self._following(self._active, reference, frame)
            self._fade_left = FADE_STEPS
        self._active = chosen

    def take_over(self, reference: Reference, frame: int, q: Array) -> None:
        """From a policy that is none of these."""
        self._active, self._former, self._fade_left = self._chosen(reference), None, 0
        self._active.take_over(reference, frame, q)

    def step(self, state: RobotState) -> PolicyOutput:
        """As TrackerPolicy.step; while a change of policy lasts, its set-points and gains are a mixture."""
        output = self._active.step(state)
        if self._fade_left and self._last is not None:
            old = self._last if self._former is None else self._former.step(state)
            output = self._mixed(old, output)
            self._fade_left -= 1
        self._last = output
        return output

    def _mixed(self, old: PolicyOutput, new: PolicyOutput) -> PolicyOutput:
        t = 1.0 - (self._fade_left - 1) / FADE_STEPS
        share = t**3 * (10.0 - 15.0 * t + 6.0 * t * t)
        q, kp, kd = (a + share * (b - a) for a, b in ((old.q, new.q), (old.kp, new.kp), (old.kd, new.kd)))
        for policy in (self._active, self._former):
            if policy is not None:
                policy.note_applied(q)
        return replace(new, q=q, kp=kp, kd=kd)

    def _chosen(self, reference: Reference) -> TrackerPolicy:
        return self._experts.get(named_policy(reference), self._default)

    @staticmethod
    def _following(policy: TrackerPolicy | None, reference: Reference, frame: int) -> TrackerPolicy | None:
        """The policy on the new reference, too; None if it knows its own motion only: then its last command is held."""
        if policy is None:
            return None
        try:
            policy.follow(reference, frame)
        except RobotError:
            return None
        return policy


def named_policy(reference: Reference) -> str:
    """Path of the bundle that the reference's motion names; empty if it names none."""
    if isinstance(reference, ChainedReference):
        reference = reference.motion
    clip = getattr(reference, "clip", None)
    return "" if clip is None else clip.meta.get(POLICY_KEY, "")


def expert_paths(policy: str | Path, clips: Iterable[MotionClip]) -> list[str]:
    """The bundles that the clips name, without the default policy, each once."""
    named = dict.fromkeys(clip.meta.get(POLICY_KEY, "") for clip in clips)
    own = Path(policy).resolve()
    return [path for path in named if path and Path(path).resolve() != own]


def load_policies(
    policy: str | Path, clips: Iterable[MotionClip], provider: str = "cpu", features: RobotFeatures | None = None
) -> TrackerPolicy:
    """The default policy and every expert that the clips name, all proven. BundleError names the file that is not.

    Also for one that can follow nothing but the motion inside it: neither standing nor the way into its motion.
    """
    paths = [str(policy), *expert_paths(policy, clips)]
    loaded = {path: TrackerPolicy.load(path, provider, features) for path in paths}
    for path, tracker in loaded.items():
        if tracker.embedded is not None and tracker.embedded.drives_action:
            raise BundleError(
                f"{path}: its actions depend on the motion inside it, so it can neither stand nor enter that motion; "
                "play it with bm eval tracking, or export it without --embed-motion"
            )
    default = loaded.pop(paths[0])
    return ExpertTracker(default, loaded) if loaded else default


def base_state_for(policy: str | Path, clips: Iterable[MotionClip]) -> BaseState:
    """What a simulated robot must supply for the default policy and all experts."""
    paths = [str(policy), *expert_paths(policy, clips)]
    needed = {base_state_needed(Bundle.read(path).contract) for path in paths}
    return BaseState.ESTIMATE if BaseState.ESTIMATE in needed else BaseState.NONE
