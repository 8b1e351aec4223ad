"""User control: newer firmware obeys rt/user_lowcmd while its own balance controller stays in waiting.

Calls of the loco service as public code uses them; not tried by us on a robot. The vendor demands that the robot stands
at the first and at the last command; the way back leads into its damping (passive) state.
"""

from __future__ import annotations

import json

from bm_core.errors import RobotError
from bm_sim2real.robots.unitree.rpc import NOT_IMPLEMENTED, Call

LOCO_SERVICE = "sport"
SWITCH_TO_USER = 7110
SWITCH_TO_INTERNAL = 7111
PASSIVE = 1
"""Internal state that damps: of the three (last, passive, walk-run) the one that asks nothing of the robot."""


class SimulatedLoco:
    """What a robot's loco service does with the two requests."""

    def __init__(self) -> None:
        self.has_user_control = False

    def handle(self, api_id: int, parameter: str) -> tuple[int, str]:
        """For RpcServer."""
        if api_id == SWITCH_TO_USER:
            self.has_user_control = True
            return 0, ""
        if api_id == SWITCH_TO_INTERNAL:
            self.has_user_control = json.loads(parameter)["data"] != PASSIVE
            return 0, ""
        return NOT_IMPLEMENTED, ""


def enter_user_control(call: Call) -> None:
    """RobotError with the service's code if it refuses."""
    code, _ = call(SWITCH_TO_USER, json.dumps({"data": False}))
    if code == NOT_IMPLEMENTED:
        raise RobotError("user control: this firmware has none; run without --user-control")
    if code != 0:
        raise RobotError(
            f"user control: the loco service answered {code}; is the robot standing in its own controller?"
        )


def leave_user_control(call: Call) -> None:
    """Back to the vendor's damping. RobotError with the service's code if it refuses."""
    code, _ = call(SWITCH_TO_INTERNAL, json.dumps({"data": PASSIVE}))
    if code != 0:
        raise RobotError(f"user control: the loco service did not take the robot back (code {code}); use the remote")
