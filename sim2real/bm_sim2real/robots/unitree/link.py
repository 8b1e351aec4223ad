"""What UnitreeRobot and SimulatedG1 ask of their network: DDS, or the mock that stands in for it."""

from __future__ import annotations

from typing import Any, Protocol


class Writer(Protocol):
    """Publishes on one topic."""

    guid: str
    """Tells this writer from all others."""

    def write(self, message: bytes) -> bool:
        """Whether a serialised message was taken."""
        ...

    def write_sample(self, sample: Any) -> None:
        """For messages that come seldom: the SDK's own object."""
        ...


class Reader(Protocol):
    """Keeps what came last on one topic."""

    def take(self) -> list[bytes]:
        """What has come since the last call, oldest first; never waits."""
        ...

    def take_samples(self) -> list[Any]:
        """The same as the SDK's own objects."""
        ...


class Link(Protocol):
    """One participant."""

    interface: str

    def writer(self, topic: str, message_type: Any) -> Writer: ...
    def reader(self, topic: str, message_type: Any, *, depth: int = 1) -> Reader:
        """Keeps the newest `depth` messages."""
        ...

    def publishers(self, topic: str) -> frozenset[str]:
        """GUIDs of all writers on a topic, our own included."""
        ...

    def close(self) -> None:
        """Leaves the network; harmless the second time."""
        ...
