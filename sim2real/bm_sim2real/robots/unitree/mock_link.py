"""A network inside one process, in the place of DDS: the same bytes on the same topics, delivered at once."""

from __future__ import annotations

from collections import deque
from itertools import count
from typing import Any

from bm_sim2real.robots.unitree.dds import LOOPBACK


class MockNetwork:
    """Who writes and who reads. `is_down`: nothing is delivered any more, and nobody is told."""

    def __init__(self) -> None:
        self.is_down = False
        self.readers: dict[str, list[MockReader]] = {}
        self.writers: dict[str, str] = {}
        """GUID -> topic"""
        self._numbers = count(1)

    def link(self) -> MockLink:
        """One more participant."""
        return MockLink(self)

    def new_guid(self) -> str:
        """Different from all others of this network."""
        return f"mock-{next(self._numbers)}"


class MockLink:
    """As DdsLink."""

    def __init__(self, network: MockNetwork) -> None:
        self.interface = LOOPBACK
        self._network = network
        self._guids: list[str] = []

    def writer(self, topic: str, message_type: Any) -> MockWriter:
        writer = MockWriter(self._network, topic)
        self._guids.append(writer.guid)
        return writer

    def reader(self, topic: str, message_type: Any, *, depth: int = 1) -> MockReader:
        reader = MockReader(depth)
        self._network.readers.setdefault(topic, []).append(reader)
        return reader

    def publishers(self, topic: str) -> frozenset[str]:
        return frozenset(guid for guid, name in self._network.writers.items() if name == topic)

    def close(self) -> None:
        for guid in self._guids:
            self._network.writers.pop(guid, None)
        self._guids = []


class MockWriter:
    """As RawWriter."""

    def __init__(self, network: MockNetwork, topic: str) -> None:
        self.guid = network.new_guid()
        self._network, self._topic = network, topic
        network.writers[self.guid] = topic

    def write(self, message: bytes) -> bool:
        self.write_sample(message)
        return True

    def write_sample(self, sample: Any) -> None:
        if not self._network.is_down:
            for reader in self._network.readers.get(self._topic, ()):
                reader.kept.append(sample)


class MockReader:
    """As RawReader."""

    def __init__(self, depth: int) -> None:
        self.kept: deque[Any] = deque(maxlen=depth)

    def take(self) -> list[bytes]:
        return self.take_samples()

    def take_samples(self) -> list[Any]:
        taken = list(self.kept)
        self.kept.clear()
        return taken
