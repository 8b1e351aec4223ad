"""The DDS link to one robot: raw bytes on typed topics, and who else publishes there.

Messages cross as serialised bytes: 35 Python objects a message, as the SDK makes them, cost 40 % of a core at 500 Hz.
Never in one process with rclpy: two builds of CycloneDDS in a process corrupt the heap.
"""

from __future__ import annotations

import atexit
import os
from importlib import metadata
from typing import Any
from xml.sax.saxutils import quoteattr

from bm_core.errors import RobotError

LOOPBACK = "lo"
LOW_COMMAND_TOPIC = "rt/lowcmd"
LOW_STATE_TOPIC = "rt/lowstate"
USER_COMMAND_TOPIC = "rt/user_lowcmd"
"""The same message, obeyed while the vendor's service has switched to user control."""
TAG_VARIABLE = "BM_DDS_TAG"
"""Environment variable: only processes with the same tag see each other, so that tests can run side by side."""

LEASE = "3s"
"""How long the others remember one of our processes that was killed; meanwhile it counts as a second publisher."""

_domains: dict[int, _Domain] = {}
"""Those that this process has configured, which it can do once."""


def domain_of(interface: str) -> int:
    """Unitree's convention: a robot on a network has domain 0, a simulated one on loopback domain 1."""
    return 1 if interface == LOOPBACK else 0


def own_tag(purpose: str) -> None:
    """This process and those that it starts see no robot or bridge but theirs; a tag that is set is kept."""
    if TAG_VARIABLE in os.environ:
        return
    os.environ[TAG_VARIABLE] = f"{purpose}-{os.getpid()}"
    atexit.register(_forget_memory)


def _forget_memory() -> None:
    """The bridge's shared memory outlives it, for the next one; nobody will ever come with this tag again."""
    from bm_sim2real.bridge.shared_memory import memory_path

    memory_path(LOOPBACK).unlink(missing_ok=True)


def configuration(interface: str, tag: str = "") -> str:
    """CycloneDDS settings as XML: this interface and no other."""
    named = f"<Tag>{tag}</Tag>" if tag else ""
    discovery = f"<Discovery><LeaseDuration>{LEASE}</LeaseDuration>{named}</Discovery>"
    return (
        '<CycloneDDS><Domain Id="any"><General><Interfaces>'
        f"<NetworkInterface name={quoteattr(interface)}/>"
        f"</Interfaces></General>{discovery}</Domain></CycloneDDS>"
    )


class DdsLink:
    """Readers and writers on one interface."""

    def __init__(self, interface: str) -> None:
        """RobotError if the interface does not exist or another one is already in use for this domain."""
        self.interface = interface
        self._domain = _configured(domain_of(interface), interface)
        self._entities: list[Any] = []
        self._publications: Any = None
        self._publishers: dict[str, tuple[str, bool]] = {}

    def writer(self, topic: str, message_type: Any) -> RawWriter:
        """Vendor's defaults: reliable, keep the last."""
        from cyclonedds.pub import DataWriter

        writer = DataWriter(self._domain.participant, self._domain.topic(topic, message_type))
        self._entities.append(writer)
        return RawWriter(writer)

    def reader(self, topic: str, message_type: Any, *, depth: int = 1) -> RawReader:
        """Best effort; keeps the newest `depth` messages."""
        from cyclonedds.core import Policy, Qos
        from cyclonedds.sub import DataReader

        qos = Qos(Policy.History.KeepLast(depth))
        reader = DataReader(self._domain.participant, self._domain.topic(topic, message_type), qos)
        self._entities.append(reader)
        return RawReader(reader, depth)

    def publishers(self, topic: str) -> frozenset[str]:
        """GUIDs of all writers on a topic that discovery knows now, our own included."""
        from cyclonedds.builtin import BuiltinDataReader, BuiltinTopicDcpsPublication
        from cyclonedds.core import InstanceState

        if self._publications is None:
            self._publications = BuiltinDataReader(self._domain.participant, BuiltinTopicDcpsPublication)
            self._entities.append(self._publications)
        for endpoint in self._publications.take(64):
            guid, is_alive = str(endpoint.key), endpoint.sample_info.instance_state == InstanceState.Alive
            known_topic = self._publishers.get(guid, ("", False))[0]
            self._publishers[guid] = (endpoint.topic_name if is_alive else known_topic, is_alive)
        return frozenset(g for g, (name, is_alive) in self._publishers.items() if is_alive and name == topic)

    def close(self) -> None:
        """Takes its readers and writers off the network at once; harmless the second time."""
        while self._entities:
            # Explicitly: left to the garbage collector, a closed robot would go on being a publisher on its topic.
            self._entities.pop().__del__()
        self._publications = None


class _Domain:
    """What all links of this process share in one domain: a participant, and each topic once. Kept until it ends.

    CycloneDDS forgets a deleted topic's type on a thread of its own, some time later. A topic of the same type that is
    made meanwhile finds half of it: BAD_PARAMETER, or a segmentation fault. What is never deleted is never forgotten.
    """

    def __init__(self, domain: int, settings: str) -> None:
        from cyclonedds.domain import Domain, DomainParticipant

        self.settings = settings
        self._configuration = Domain(domain, settings)
        self.participant = DomainParticipant(domain)
        self._topics: dict[tuple[str, Any], Any] = {}
        atexit.register(self.participant.__del__)  # or the others would wait LEASE for its end

    def topic(self, name: str, message_type: Any) -> Any:
        """Of that name; made the first time."""
        from cyclonedds.topic import Topic

        key = name, message_type
        if key not in self._topics:
            self._topics[key] = Topic(self.participant, name, message_type)
        return self._topics[key]


class RawWriter:
    """Publishes serialised messages."""

    def __init__(self, writer: Any) -> None:
        from cyclonedds._clayer import ddspy_write

        self._writer, self._write = writer, ddspy_write
        self.guid = str(writer.guid)

    def write(self, message: bytes) -> bool:
        """Whether the middleware took it."""
        return self._write(self._writer._ref, message) >= 0

    def write_sample(self, sample: Any) -> None:
        """For messages that come seldom: the SDK's own object."""
        self._writer.write(sample)


class RawReader:
    """Takes serialised messages."""

    def __init__(self, reader: Any, depth: int) -> None:
        from cyclonedds._clayer import ddspy_take
        from cyclonedds.core import InstanceState, SampleState, ViewState

        self._reader, self._take = reader, ddspy_take
        mask = SampleState.Any | ViewState.Any | InstanceState.Any
        # Before 11 the call knew no mask.
        has_mask = int(metadata.version("cyclonedds").split(".")[0]) >= 11
        self._arguments = (mask, depth) if has_mask else (depth,)

    def take(self) -> list[bytes]:
        """What has come since the last call, oldest first; never waits."""
        taken = self._take(self._reader._ref, *self._arguments)
        if isinstance(taken, int):  # a DDS error code: nothing to take
            return []
        return [data for data, info in taken if info.valid_data]

    def take_samples(self) -> list[Any]:
        """The same as the SDK's own objects."""
        from cyclonedds.internal import InvalidSample

        return [sample for sample in self._reader.take(16) if not isinstance(sample, InvalidSample)]


def _configured(domain: int, interface: str) -> _Domain:
    from cyclonedds.core import DDSException

    wanted = configuration(interface, os.environ.get(TAG_VARIABLE, ""))
    if domain not in _domains:
        try:
            _domains[domain] = _Domain(domain, wanted)
        except DDSException as error:
            raise RobotError(
                f"{interface}: DDS cannot use this network interface ({error.msg}); see `ip link`"
            ) from error
    if _domains[domain].settings != wanted:
        raise RobotError(f"{interface}: DDS domain {domain} of this process already uses another interface")
    return _domains[domain]
