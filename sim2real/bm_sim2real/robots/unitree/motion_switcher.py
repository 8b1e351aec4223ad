"""Unitree's motion switcher: the vendor's own controller must have let go before anyone else commands the motors."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from bm_core.errors import RobotError
from bm_sim2real.robots.unitree.dds import DdsLink
from bm_sim2real.robots.unitree.sdk import load_sdk

SERVICE = "motion_switcher"
CHECK_MODE = 1001
SELECT_MODE = 1002
RELEASE_MODE = 1003

NOT_IMPLEMENTED = 3203
"""Unitree's code for an unknown api id."""
NO_ANSWER = 3104
"""Unitree's code for a time-out."""

Call = Callable[[int, str], tuple[int, str]]
"""api id, parameter (JSON) -> code (0 = done), data (JSON)."""


class RpcClient:
    """Unitree's request and response topics of one service."""

    def __init__(self, link: DdsLink, service: str, timeout_s: float = 1.0) -> None:
        self._sdk = load_sdk()
        self._requests = link.writer(f"rt/api/{service}/request", self._sdk.Request)
        self._responses = link.reader(f"rt/api/{service}/response", self._sdk.Response, depth=10)
        self._timeout = timeout_s
        self._id = time.time_ns() & 0x7FFFFFFFFFFFFFFF

    def call(self, api_id: int, parameter: str = "{}") -> tuple[int, str]:
        """(code, data); NO_ANSWER without a response in time. Asks again meanwhile: discovery may not be done yet."""
        sdk = self._sdk
        self._id += 1
        header = sdk.RequestHeader(
            sdk.RequestIdentity(self._id, api_id), sdk.RequestLease(0), sdk.RequestPolicy(0, False)
        )
        request = sdk.Request(header, parameter, [])
        end = time.monotonic() + self._timeout
        while time.monotonic() < end:
            self._requests.write_sample(request)
            pause_end = min(end, time.monotonic() + 0.2)
            while time.monotonic() < pause_end:
                for response in self._responses.take_samples():
                    if response.header.identity.id == self._id:
                        return response.header.status.code, response.data
                time.sleep(0.005)
        return NO_ANSWER, ""


class RpcServer:
    """The other side, for a simulated robot: answers when polled."""

    def __init__(self, link: DdsLink, service: str, handle: Call) -> None:
        self._sdk = load_sdk()
        self._requests = link.reader(f"rt/api/{service}/request", self._sdk.Request, depth=10)
        self._responses = link.writer(f"rt/api/{service}/response", self._sdk.Response)
        self._handle = handle

    def poll(self) -> None:
        """Answers what has been asked since the last poll."""
        sdk: Any = self._sdk
        for request in self._requests.take_samples():
            code, data = self._handle(request.header.identity.api_id, request.parameter)
            header = sdk.ResponseHeader(request.header.identity, sdk.ResponseStatus(code))
            self._responses.write_sample(sdk.Response(header, data, []))


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
