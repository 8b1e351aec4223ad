"""Unitree's motion switcher: the vendor's own controller must have let go before anyone else commands the motors."""

from __future__ import annotations

import json
import time

from bm_core.errors import RobotError
from bm_sim2real.robots.unitree.rpc import NOT_IMPLEMENTED, Call

SERVICE = "motion_switcher"
CHECK_MODE = 1001
SELECT_MODE = 1002
RELEASE_MODE = 1003


class SimulatedMotionSwitcher:
    """What a robot's switcher does with our requests."""

    def __init__(self, active: str = "ai") -> None:
        self.active = active
        """Service in control; empty after a release."""

    def handle(self, api_id: int, parameter: str) -> tuple[int, str]:
        """For RpcServer."""
        if api_id == CHECK_MODE:
            return 0, json.dumps({"form": "0", "name": self.active})
        if api_id == SELECT_MODE:
            self.active = json.loads(parameter)["name"]
            return 0, ""
        if api_id == RELEASE_MODE:
            self.active = ""
            return 0, ""
        return NOT_IMPLEMENTED, ""


def release_motion_service(call: Call, *, attempts: int = 10, pause_s: float = 1.0) -> list[str]:
    """CheckMode and ReleaseMode until no service is active; names of those that were.

    RobotError if the switcher does not answer or a service does not let go.
    """
    released: list[str] = []
    for _ in range(attempts):
        code, data = call(CHECK_MODE, "{}")
        if code != 0:
            raise RobotError(f"motion switcher: CheckMode failed with code {code}; is this a G1, and has it booted?")
        name = _active_name(data)
        if not name:
            return released
        if name not in released:
            released.append(name)
        call(RELEASE_MODE, "{}")
        time.sleep(pause_s)
    raise RobotError(
        f"motion switcher: {released[-1]!r} still controls the robot after {attempts} releases; "
        "put it into debug mode with the remote (L2+R2)"
    )


def _active_name(data: str) -> str:
    try:
        return str(json.loads(data or "{}").get("name") or "")
    except (ValueError, AttributeError) as error:
        raise RobotError(f"motion switcher: CheckMode answered {data!r}, which is no JSON object") from error
