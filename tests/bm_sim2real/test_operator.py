"""Who is there, and what they press: keys of a terminal, a gamepad's events, the simulated remote, heartbeats."""

import os
import pty
import struct

import pytest

from bm_core.errors import ConfigError
from bm_sim2real.bridge.config import BridgeConfig
from bm_sim2real.bridge.operator import OperatorConsole
from bm_sim2real.guard_limits import GuardLimits
from bm_sim2real.holds import Hold, SourceWatch, hold_names
from bm_sim2real.joystick import Joystick
from bm_sim2real.robots.unitree.remote import Button, Remote
from bm_sim2real.robots.unitree.remote_input import GamepadRemote, KeyboardRemote
from bm_sim2real.terminal_keys import TerminalKeys

BUTTON, AXIS = 1, 2


class Client:
    """Counts what the console asks for."""

    def __init__(self):
        self.beats = self.stops = 0

    def own_heartbeat(self):
        self.beats += 1

    def estop(self):
        self.stops += 1


class Pad:
    """A gamepad's device: a pipe with events."""

    def __init__(self, path):
        os.mkfifo(path)
        self.end = os.open(path, os.O_RDWR)
        self.joystick = Joystick(path)

    def send(self, kind, number, value):
        os.write(self.end, struct.pack("<IhBB", 0, value, kind, number))


@pytest.fixture
def pad(tmp_path):
    pad = Pad(tmp_path / "js0")
    yield pad
    pad.joystick.close()
    os.close(pad.end)


@pytest.fixture
def terminal():
    """(our end, keys of the other end)"""
    mine, theirs = pty.openpty()
    with TerminalKeys(theirs) as keys:
        yield mine, keys
    os.close(theirs)


def polled_by_hand(*arguments, **options):
    """A console without its thread, which has counted nothing yet."""
    console = OperatorConsole(Client(), *arguments, **options)
    console.close()
    console._client.beats = 0
    return console


@pytest.fixture
def console(terminal):
    return polled_by_hand(terminal[1])


def test_keys_come_without_enter_and_only_once(terminal):
    mine, keys = terminal
    os.write(mine, b"xy")
    assert keys.take() == "xy" and keys.take() == ""


def test_a_pipe_is_no_terminal_and_gives_no_keys():
    read, write = os.pipe()
    with TerminalKeys(read) as keys:
        os.write(write, b" ")
        assert not keys.is_open and keys.take() == ""


def test_enter_confirms_the_last_question_only(console, terminal, capsys):
    os.write(terminal[0], b"\n")
    console.poll()
    assert console.has_answered()
    console.ask("Arm?")
    assert not console.has_answered() and "Arm? [Enter; space = EMERGENCY STOP]" in capsys.readouterr().out


def test_space_is_the_emergency_stop_and_the_terminal_the_heartbeat(console, terminal):
    os.write(terminal[0], b" ")
    console.poll()
    console.poll()
    assert (console._client.stops, console._client.beats) == (1, 2)


def test_on_a_robot_the_terminal_is_no_deadman_but_still_the_emergency_stop(terminal):
    console = polled_by_hand(terminal[1], terminal_counts=False)
    os.write(terminal[0], b" \n")
    console.poll()
    assert (console._client.stops, console._client.beats) == (1, 0) and console.has_answered()


def test_only_a_robot_that_is_commanded_needs_a_deadman():
    assert BridgeConfig(interface="eth0").needs_deadman
    assert not BridgeConfig(interface="eth0", is_dry_run=True).needs_deadman
    assert not BridgeConfig(interface="lo").needs_deadman


def test_a_terminal_that_is_gone_beats_no_more(terminal):
    console = polled_by_hand(terminal[1])
    os.close(terminal[0])
    terminal[1]._before = None  # what a hung-up terminal looks like: no attributes any more
    console.poll()
    assert console._client.beats == 0


def test_with_a_gamepad_only_its_deadman_beats_and_its_red_button_stops(terminal, pad):
    console = polled_by_hand(terminal[1], pad.joystick)
    console.poll()
    assert console._client.beats == 0
    pad.send(BUTTON, 4, 1)
    console.poll()
    assert (console._client.beats, console._client.stops) == (1, 0)
    pad.send(BUTTON, 1, 1)
    pad.send(BUTTON, 4, 0)
    console.poll()
    assert (console._client.beats, console._client.stops) == (1, 1)


def test_a_tap_on_the_red_button_between_two_looks_stops_once(terminal, pad):
    console = polled_by_hand(terminal[1], pad.joystick)
    pad.send(BUTTON, 1, 1)
    pad.send(BUTTON, 1, 0)
    console.poll()
    console.poll()
    assert console._client.stops == 1


def test_a_deadman_that_was_only_tapped_is_not_held(terminal, pad):
    console = polled_by_hand(terminal[1], pad.joystick)
    pad.send(BUTTON, 4, 1)
    pad.send(BUTTON, 4, 0)
    console.poll()
    assert console._client.beats == 0


def test_a_tap_reaches_the_robot_whose_remote_the_gamepad_is(pad):
    remote = GamepadRemote(pad.joystick)
    pad.send(BUTTON, 1, 1)
    pad.send(BUTTON, 1, 0)
    assert remote.read().buttons == Button.B
    assert remote.read().buttons == Button.NONE


def test_a_gamepad_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match="joystick .*js9: No such file"):
        Joystick(tmp_path / "js9")


def test_a_gamepad_that_is_pulled_out_holds_nothing(tmp_path):
    path = tmp_path / "js0"
    path.write_bytes(struct.pack("<IhBB", 0, 1, BUTTON | 0x80, 4))  # a file ends where a device would go on
    joystick = Joystick(path)
    joystick.poll()
    assert not joystick.is_there and joystick.buttons == set()
    joystick.close()


def test_a_gamepad_is_the_robots_remote(pad):
    remote = GamepadRemote(pad.joystick)
    for kind, number, value in ((BUTTON, 4, 1), (BUTTON, 1, 1), (AXIS, 1, -32767), (AXIS, 2, 32767), (AXIS, 3, 16384)):
        pad.send(kind, number, value)
    held = remote.read()
    assert held.buttons == Button.L1 | Button.B | Button.L2
    assert (held.left_y, held.right_x) == pytest.approx((1.0, 0.5), abs=1e-3)


def test_keys_are_the_robots_remote_for_six_tenths_of_a_second(terminal):
    now = [10.0]
    remote = KeyboardRemote(terminal[1], lambda: now[0])
    os.write(terminal[0], b"1i")
    assert remote.read() == Remote(buttons=Button.L1, left_y=1.0)
    now[0] = 10.59
    assert remote.read().buttons == Button.L1
    now[0] = 10.61
    assert remote.read() == Remote()


def test_a_source_counts_as_lost_half_a_second_after_it_last_spoke():
    watch = SourceWatch(GuardLimits(), 0.02)
    assert watch.tick() == Hold.NONE and not watch.is_fresh(Hold.PLANNER)
    watch.beat(Hold.PLANNER)
    assert [watch.tick() for _ in range(25)] == [Hold.NONE] * 24 + [Hold.PLANNER]
    watch.beat(Hold.PLANNER)
    assert watch.tick() == Hold.NONE and watch.is_fresh(Hold.PLANNER)
    watch.forget(Hold.PLANNER)
    assert not any(watch.tick() for _ in range(50))


def test_holds_have_names():
    assert hold_names(int(Hold.OPERATOR | Hold.BATTERY)) == ["operator", "battery"] and hold_names(0) == []
