"""Unitree's services: a request and a response topic each, numbers for what is asked, JSON for the rest."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from bm_sim2real.robots.unitree.link import Link
from bm_sim2real.robots.unitree.sdk import load_sdk

NOT_IMPLEMENTED = 3203
"""Unitree's code for an unknown api id."""
NO_ANSWER = 3104
"""Unitree's code for a time-out."""

Call = Callable[[int, str], tuple[int, str]]
"""api id, parameter (JSON) -> code (0 = done), data (JSON)."""


class RpcClient:
    """Unitree's request and response topics of one service."""

    def __init__(self, link: Link, service: str, timeout_s: float = 1.0) -> None:
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

    def __init__(self, link: Link, service: str, handle: Call) -> None:
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
