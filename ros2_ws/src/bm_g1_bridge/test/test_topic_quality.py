"""Qualities of service: both ends of every topic of ours hear each other; careless commands are not heard."""

from bm_g1_bridge import topics
from bm_g1_bridge.publishers import time_message
from rclpy.qos import QoSCompatibility, qos_check_compatible


def compatibility(publisher, subscription):
    return qos_check_compatible(publisher, subscription)[0]


def test_our_ends_hear_each_other():
    assert compatibility(topics.command(is_publisher=True), topics.command(is_publisher=False)) == QoSCompatibility.OK
    for profile in (topics.sensor(), topics.latched(), topics.record()):
        assert compatibility(profile, profile) == QoSCompatibility.OK


def test_commands_that_may_get_lost_are_not_heard():
    assert compatibility(topics.sensor(), topics.command(is_publisher=False)) == QoSCompatibility.ERROR


def test_whoever_wants_readings_reliably_hears_none():
    assert compatibility(topics.sensor(), topics.record()) == QoSCompatibility.ERROR


def test_seconds_become_a_stamp():
    stamp = time_message(12.75)
    assert (stamp.sec, stamp.nanosec) == (12, 750_000_000)
