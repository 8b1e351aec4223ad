"""The bridge in lockstep beside other writers of commands."""

import pytest
from bridge_bench import Bench

from bm_core.errors import RobotError
from bm_sim2real.robots.unitree.dds import LOW_COMMAND_TOPIC, DdsLink
from bm_sim2real.robots.unitree.sdk import load_sdk


def test_a_stranger_on_the_command_topic_damps(running):
    intruder = DdsLink("lo")
    writer = intruder.writer(LOW_COMMAND_TOPIC, load_sdk().LowCmd)
    assert running.ticks_until_damping(is_commanded=True) <= 26
    assert running.fault.name == "second_publisher" and writer.guid in running.fault.detail
    with pytest.raises(RobotError, match="reset: refused|second_publisher"):
        running.client.reset()
        running.tick(30)
        running.client.reset()
        running.client.arm()
    intruder.close()


def test_with_a_stranger_arming_is_refused(bench):
    intruder = DdsLink("lo")
    keep = intruder.writer(LOW_COMMAND_TOPIC, load_sdk().LowCmd)
    bench.tick(30)
    with pytest.raises(RobotError, match="arm: refused"):
        bench.client.arm()
    assert keep.guid
    intruder.close()


def test_the_guardians_writer_is_no_stranger(tmp_path):
    guardian = DdsLink("lo")
    writer = guardian.writer(LOW_COMMAND_TOPIC, load_sdk().LowCmd)
    bench = Bench(tmp_path, guardian_guid=writer.guid)
    bench.start()
    bench.run(5)
    fault = bench.fault
    bench.close()
    guardian.close()
    assert fault is None


def test_a_dry_run_beside_the_vendors_controller_computes_on(tmp_path):
    bench = Bench(tmp_path, is_dry_run=True)
    vendor = DdsLink("lo")
    writer = vendor.writer(LOW_COMMAND_TOPIC, load_sdk().LowCmd)
    bench.tick(30)
    bench.start()
    bench.run(5)
    fault, damping = bench.fault, bench.is_damping
    bench.close()
    vendor.close()
    assert writer.guid and fault is None and not damping
