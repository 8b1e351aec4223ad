"""The bridge in lockstep: who is silent, late or garbled, and after how many writer ticks that damps."""

from bridge_bench import Bench, assert_damping_for_good

from bm_sim2real.bridge.guardian import SilenceCounter
from bm_sim2real.robots.unitree.channel import ChannelConfig
from bm_sim2real.robots.unitree.simulated import WireConfig


def test_a_silent_client_damps_after_30_ticks(running):
    running.put()
    running.tick()
    assert running.ticks_until_damping() == 30
    assert running.fault.name == "silent_policy"
    assert_damping_for_good(running)
    fault = next(event for event in running.events() if event["event"] == "fault")
    assert (fault["name"], fault["command_age_ticks"]) == ("silent_policy", 30)


def test_a_frozen_sequence_is_no_new_command(running):
    running.put()
    running.tick()
    for _ in range(29):
        running.put(seq=running.seq)
        running.tick()
    assert running.fault is None
    running.put(seq=running.seq)
    running.tick()
    assert running.fault.name == "silent_policy"
    assert running.core.guard.counters.dropped > 20


def test_a_silent_robot_is_damped_blindly_after_25_ticks(running):
    running.robot.wire.is_mute = True
    running.tick()  # the reading of the tick before is still fresh
    assert running.ticks_until_damping(is_commanded=True) == 25
    assert running.fault.name == "stale_state"
    assert_damping_for_good(running)


def test_a_robot_whose_clock_stands_is_damped_after_25_ticks(running):
    running.robot.wire.overrides["tick"] = running.robot.low_state.tick + 2
    for _ in range(4):
        running.run(1)
    fault = next(event for event in running.events() if event["event"] == "fault")
    assert (fault["name"], fault["clock_age_ticks"]) == ("frozen_clock", 25)


def test_heavy_packet_loss_alone_is_survived(tmp_path):
    bench = Bench(tmp_path, wire=WireConfig(seed=4))
    bench.start()
    bench.robot.wire.uplink.config = bench.robot.wire.downlink.config = ChannelConfig(loss=0.3)
    bench.run(50)
    fault, received = bench.fault, bench.robot.counters.received
    bench.close()
    assert fault is None
    assert received < 420


def test_corrupt_readings_alone_are_a_silent_robot(running):
    broken = bytearray(running.robot.wire.message())
    broken[300] ^= 1
    running.robot.wire.message = lambda: bytes(broken)
    for _ in range(4):
        running.run(1)
    assert running.fault.name == "stale_state"
    assert running.robot.counters.corrupt > 25


def test_a_late_writer_is_counted_in_simulation_and_damps_hardware(running):
    running.put()
    running.tick(overrun_s=0.5)
    assert running.fault is None and running.core.guard.counters.overruns == 1
    running.core.guard._view.is_hardware = True
    running.tick(overrun_s=0.5)
    assert running.fault.name == "writer_overrun"


def test_torn_memory_counts_as_silence(running):
    running.memory.command._heads[0][2] = running.memory.command._heads[1][2] = 1
    running.memory.command._index[0] += 1
    running.tick(40)
    assert running.core.memory.command.torn >= 1
    assert running.fault.name == "silent_policy"


def test_the_guardian_counts_ten_of_its_own_ticks_and_forgives_a_late_one():
    counter = SilenceCounter(10)
    assert not any(counter.tick(0) for _ in range(50))  # the writer has not begun
    assert not counter.tick(1)
    assert [counter.tick(1) for _ in range(10)] == [False] * 9 + [True]
    counter = SilenceCounter(10)
    for heartbeat in range(1, 100):
        assert not any(counter.tick(heartbeat) for _ in range(9))
