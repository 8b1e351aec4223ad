"""Parts of an operated robot that need no robot: channel, settings, gamepads, timing, relayed link."""

import threading
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from bm_core.errors import ConfigError, RobotError
from bm_core.g1 import G1
from bm_core.state import RobotState
from bm_sim2real.bridge.config import BridgeConfig
from bm_sim2real.guard_limits import GuardLimits
from bm_sim2real.holds import Hold
from bm_sim2real.operation.channel import Channel, ChannelClosed
from bm_sim2real.operation.config import ControlConfig, Start, Transport
from bm_sim2real.operation.joy_map import OperatorEvent, OperatorPad, load_joy_map
from bm_sim2real.operation.messages import Ask, LinkReading, Note, Told, Verb
from bm_sim2real.operation.playlist import load_playlist
from bm_sim2real.operation.relayed_link import RelayedLink
from bm_sim2real.timing_window import TimingWindow

ZERO = np.zeros(29)
STATE = RobotState(
    seq=3,
    time=1.0,
    joint_pos=G1.default_joint_pos,
    joint_vel=ZERO,
    joint_torque=ZERO,
    pelvis_quat_w=np.array([1.0, 0.0, 0.0, 0.0]),
    pelvis_gyro_b=ZERO[:3],
    pelvis_acc_b=ZERO[:3],
)
JOY_MAPS = Path(__file__).resolve().parents[2] / "ros2_ws/src/bm_bringup/config/joy"


@pytest.fixture
def ends():
    ours, theirs = Channel.pair()
    other = Channel(theirs)
    yield ours, other
    ours.close()
    other.close()


def test_messages_arrive_whole_and_in_order(ends):
    ours, other = ends
    for k in range(3):
        assert ours.send(Note(f"{k}" * 5000))
    assert [other.receive().text[0] for _ in range(3)] == ["0", "1", "2"]
    assert other.receive() is None


def test_a_reader_that_does_not_read_never_holds_up_the_sender(ends):
    ours, _ = ends
    sent = [ours.send(Note("x" * 5000)) for _ in range(20_000)]
    assert sent[0] and not sent[-1]
    assert ours.dropped == sent.count(False)


def test_the_death_of_the_other_end_is_seen(ends):
    ours, other = ends
    ours.close()
    with pytest.raises(ChannelClosed):
        other.receive(None)


def test_shutting_down_wakes_a_reader_that_waits(ends):
    ours, _ = ends
    seen = []

    def read():
        with pytest.raises(ChannelClosed):
            ours.receive(None)
        seen.append(True)

    thread = threading.Thread(target=read)
    thread.start()
    ours.shutdown()
    thread.join(timeout=10.0)
    assert seen == [True]


def test_settings_survive_the_way_to_the_process():
    config = ControlConfig(start=Start.PLAY, transport=Transport.TOPIC, motion="walk", is_repeated=True)
    assert ControlConfig.from_json(config.to_json()) == config


def test_a_real_robot_never_starts_by_itself():
    with pytest.raises(ConfigError, match="start = play on eth0"):
        ControlConfig(interface="eth0", start=Start.PLAY)


def test_a_time_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="pause_s = nan"):
        ControlConfig(pause_s=float("nan"))


def test_playlist_begins_with_the_named_motion_of_the_shipped_ones():
    playlist = load_playlist("walk_loop", "", "")
    assert playlist.selected.name == "walk_loop" and "dance" in playlist.names


def test_playlist_puts_a_file_in_front():
    assert load_playlist("walk.npz", "", "").selected.name == "walk"


def test_playlist_names_what_is_missing():
    with pytest.raises(ConfigError, match="no motion 'moonwalk'"):
        load_playlist("moonwalk", "", "")


def test_percentiles_of_a_known_distribution():
    window = TimingWindow()
    for k in range(1, 1001):
        window.add(1e-3 * 20.0 if k <= 980 else 1e-3 * 25.0)
    values = window.percentiles_ms()
    assert values["p50"] == pytest.approx(20.0, abs=0.06)
    assert values["p99"] == pytest.approx(25.0, abs=0.06)
    assert values["max"] == pytest.approx(25.0)


def test_a_pause_longer_than_the_histogram_is_kept_as_the_maximum():
    window = TimingWindow()
    window.add(3.6)
    assert window.percentiles_ms()["max"] == pytest.approx(3600.0)


# -- gamepads; numbers are those of the xpad driver and of Unitree's remote, not of our files


def joy(buttons=(), axes=None, count=16):
    values = [0.0] * 8
    for number, value in (axes or {}).items():
        values[number] = value
    return values, [int(k in buttons) for k in range(count)]


@pytest.fixture
def xbox():
    pad = OperatorPad(load_joy_map(JOY_MAPS / "xbox.yaml"))
    pad.update(*joy())
    return pad


A, B, X, LB, MENU = 0, 1, 2, 4, 7


def test_red_button_stops_without_the_deadman(xbox):
    assert xbox.update(*joy([B])) == [OperatorEvent.ESTOP]


def test_start_needs_the_deadman(xbox):
    assert xbox.update(*joy([A])) == []
    xbox.update(*joy([LB]))
    assert xbox.update(*joy([LB, A])) == [OperatorEvent.START]


def test_a_held_button_counts_once(xbox):
    xbox.update(*joy([LB, A]))
    assert xbox.update(*joy([LB, A])) == []


def test_a_button_held_at_the_first_message_is_no_press():
    pad = OperatorPad(load_joy_map(JOY_MAPS / "xbox.yaml"))
    assert pad.update(*joy([B])) == []


def test_direction_pad_chooses_motions(xbox):
    xbox.update(*joy([LB]))
    assert xbox.update(*joy([LB], {6: -1.0})) == [OperatorEvent.NEXT]
    xbox.update(*joy([LB]))
    assert xbox.update(*joy([LB], {6: 1.0})) == [OperatorEvent.PREVIOUS]


def test_sticks_forward_and_left_are_positive(xbox):
    xbox.update(*joy([LB], {1: 0.5, 0: 0.25, 3: -0.75}))
    assert (xbox.sticks.ahead, xbox.sticks.left, xbox.sticks.turn) == (0.5, 0.25, -0.75)
    assert xbox.sticks.is_held


def test_unitree_remote_to_the_right_turns_right():
    pad = OperatorPad(load_joy_map(JOY_MAPS / "unitree.yaml"))
    pad.update([0.5, 1.0, 0.25, 0.0], [0, 1] + 14 * [0])  # left x, left y, right x, right y; L1 is bit 1
    assert (pad.sticks.ahead, pad.sticks.left, pad.sticks.turn) == (1.0, -0.5, -0.25)
    assert pad.is_deadman_held


@pytest.mark.parametrize("name", ["xbox", "ps4", "ps5", "unitree"])
def test_every_shipped_map_has_a_button_of_its_own_for_each_event(name):
    joy_map = load_joy_map(JOY_MAPS / f"{name}.yaml")
    places = [getattr(joy_map, event.value) for event in OperatorEvent] + [joy_map.deadman]
    assert len(set(places)) == len(places)


def test_a_map_with_a_misspelt_key_is_refused(tmp_path):
    text = (JOY_MAPS / "xbox.yaml").read_text().replace("estop:", "estpo:")
    (tmp_path / "pad.yaml").write_text(text)
    with pytest.raises(ConfigError, match="estop, estpo"):
        load_joy_map(tmp_path / "pad.yaml")


def test_a_map_that_gives_one_event_two_buttons_is_refused_in_one_line(tmp_path):
    (tmp_path / "pad.yaml").write_text((JOY_MAPS / "xbox.yaml").read_text() + "\nestop: 9\n")
    with pytest.raises(ConfigError, match=r"pad\.yaml: .*key 'estop' twice") as caught:
        load_joy_map(tmp_path / "pad.yaml")
    assert "\n" not in str(caught.value)


# -- relayed link


class FarEnd:
    def __init__(self, **options):
        self.asked, self.answers = [], {}
        self.link = RelayedLink(self.asked.append, self.pump, **options)

    def pump(self):
        for ask in self.asked:
            if isinstance(ask, Ask) and ask.verb in self.answers:
                self.link.feed(self.answers[ask.verb])

    def reading(self, **changes):
        values = {"state": STATE, "is_armed": True, "fault": "", "holds": ()} | changes
        self.link.feed(LinkReading(**values))


def test_relayed_lease_is_the_far_ends():
    far = FarEnd()
    far.reading()
    far.answers[Verb.ARM] = Told(verb=Verb.ARM, is_granted=True, text="123456789")
    far.link.arm()
    assert far.link.lease == 123456789 and far.link.is_armed


def test_a_relayed_lease_is_there_when_a_reading_says_so(monkeypatch):
    far = FarEnd()
    far.reading(is_armed=False)  # was under way when the lease was given
    far.answers[Verb.ARM] = Told(verb=Verb.ARM, is_granted=True, text="5")
    late = iter([False, False, True])
    monkeypatch.setattr(far.link, "_pump", lambda: (far.pump(), far.reading(is_armed=next(late))))
    far.link.arm()
    assert far.link.is_armed


def test_a_relayed_lease_that_no_reading_confirms_is_given_back(monkeypatch):
    far = FarEnd()
    far.reading(is_armed=False)
    far.answers[Verb.ARM] = Told(verb=Verb.ARM, is_granted=True, text="5")
    monkeypatch.setattr("bm_sim2real.operation.relayed_link._ANSWER_S", 0.05)
    with pytest.raises(RobotError, match="granted, but no reading says so"):
        far.link.arm()
    assert far.link.lease == 0 and far.asked[-1].verb is Verb.DISARM


def test_relayed_refusal_is_an_error_with_the_far_ends_words():
    far = FarEnd()
    far.answers[Verb.ARM] = Told(verb=Verb.ARM, is_granted=False, text="arm: refused: hot")
    with pytest.raises(RobotError, match="hot"):
        far.link.arm()
    assert far.link.lease == 0


def test_relayed_fault_and_holds():
    far = FarEnd()
    far.reading(fault="estop: asked for by a client", holds=("operator", "battery"))
    assert "estop" in far.link.fault.detail
    assert far.link.holds == Hold.OPERATOR | Hold.BATTERY


def test_relayed_reading_that_is_old_is_an_error(monkeypatch):
    far = FarEnd()
    far.reading()
    assert far.link.read() is STATE
    now = far.link._read_at
    monkeypatch.setattr("time.monotonic", lambda: now + 0.3)
    with pytest.raises(RobotError, match="no /robot_state for 0.30 s"):
        far.link.read()


def test_a_relayed_reading_of_a_slower_robot_may_be_older(monkeypatch):
    far = FarEnd(real_time_factor=0.5)
    far.reading()
    now = far.link._read_at
    monkeypatch.setattr("time.monotonic", lambda: now + 0.3)
    assert far.link.read() is STATE
    monkeypatch.setattr("time.monotonic", lambda: now + 0.6)
    with pytest.raises(RobotError, match=r"0.60 s \(limit 0.5 s\)"):
        far.link.read()


def test_a_stall_allowance_widens_ages_and_nothing_else():
    wide, usual = GuardLimits().allowing_stalls(0.5), GuardLimits()
    changed = {field.name for field in fields(usual) if getattr(wide, field.name) != getattr(usual, field.name)}
    assert changed == {
        *("silent_ticks", "silent_wall_s", "stale_state_ticks", "frozen_ticks", "heartbeat_s"),
        *("guardian_silent_ticks", "guardian_lost_ticks"),
    }
    assert (wide.silent_ticks, wide.guardian_silent_ticks, wide.heartbeat_s) == (280, 260, 1.0)
    assert not usual.allows_stalls and wide.allows_stalls


@pytest.mark.parametrize("seconds", [-0.1, 2.1, float("nan")])
def test_senseless_stall_allowances_are_refused(seconds):
    with pytest.raises(ConfigError, match="stall allowance"):
        ControlConfig(stall_allowance_s=seconds)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ControlConfig(interface="eth0", stall_allowance_s=0.1),
        lambda: BridgeConfig(interface="eth0", limits=GuardLimits().allowing_stalls(0.1)),
    ],
)
def test_a_real_robot_has_no_stall_allowance(make):
    with pytest.raises(ConfigError, match="eth0: a stall allowance is for the simulated robot"):
        make()


@pytest.mark.parametrize("config", [ControlConfig, BridgeConfig])
def test_only_a_simulated_robot_has_a_real_time_factor(config):
    with pytest.raises(ConfigError, match="eth0: a real-time factor is for the simulated robot"):
        config(interface="eth0", real_time_factor=0.5)
    assert config(interface="eth0").real_time_factor == 1.0
    for factor in (0.0, 0.04, 1.1, float("nan")):
        with pytest.raises(ConfigError, match=r"real-time factor = .*: must be 0.05..1"):
            config(real_time_factor=factor)
    slow = config(real_time_factor=0.25)
    assert config.from_json(slow.to_json()) == slow


def test_ticks_of_a_slower_robot_last_longer():
    assert BridgeConfig().tick_s == 0.002
    assert BridgeConfig(real_time_factor=0.25).tick_s == 0.008
