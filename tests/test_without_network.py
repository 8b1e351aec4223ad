"""No command needs a network; what would download a motion says in one line what else to do, and leaves no half."""

import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from bm_core.data import shipped
from bm_core.errors import ConfigError
from bm_sim2real.cli import main
from bm_training.motions.registry import parse_registry_names, resolve

POLICY, WALK = shipped("policies", "g1_tracker.onnx"), shipped("motions", "walk.npz")


@pytest.fixture
def no_network(monkeypatch):
    """Every name and every address beyond this computer is unreachable; gives back who was asked for."""
    asked = []
    connect = socket.socket.connect

    def unreachable(host, *_, **__):
        asked.append(host)
        raise OSError(101, "Network is unreachable")

    def guarded(self, address):
        if self.family == socket.AF_UNIX or address[0] in ("127.0.0.1", "::1", "localhost"):
            return connect(self, address)
        return unreachable(address[0])

    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    monkeypatch.setattr(socket.socket, "connect", guarded)
    return asked


COMMANDS = {
    "check": f"check {POLICY}",
    "diff": f"diff {POLICY} {POLICY}",
    "eval tracking": f"eval tracking --motions {WALK} --jobs 1",
    "run": "run --seconds 0.1",
    "demo": f"demo --motions {WALK} --film-seconds 0",
    "motion list": "motion list",
    "motion check": f"motion check {WALK}",
    "motion render": f"motion render {WALK} --frames 1 --size 64 48 --out x.png",
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_asks_nobody(name, no_network, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(COMMANDS[name].split()) == 0
    assert no_network == []


def wandb_of(download):
    """A stand-in for wandb whose artifacts come by `download(root)`."""
    return SimpleNamespace(Api=lambda: SimpleNamespace(artifact=lambda name: SimpleNamespace(download=download)))


def test_a_registry_that_cannot_be_reached_is_one_line_with_the_folder_to_fill(no_network, tmp_path, monkeypatch):
    def download(root):
        socket.create_connection(("api.wandb.ai", 443))

    monkeypatch.setitem(sys.modules, "wandb", wandb_of(download))
    with pytest.raises(ConfigError, match=r"unreachable\); put its motion file into .*kick/v3, or name") as raised:
        resolve(parse_registry_names("lab/motions/kick:v3"), tmp_path)
    assert "\n" not in str(raised.value)
    assert no_network == ["api.wandb.ai"]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("stop", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["disk", "Ctrl-C"])
def test_a_download_that_breaks_off_is_not_taken_for_the_motion(stop, tmp_path, monkeypatch):
    def download(root):
        Path(root).mkdir(parents=True)
        (Path(root) / "motion.npz").write_bytes(WALK.read_bytes()[:1000])
        raise stop

    monkeypatch.setitem(sys.modules, "wandb", wandb_of(download))
    with pytest.raises((ConfigError, KeyboardInterrupt)):
        resolve(parse_registry_names("lab/motions/kick:v3"), tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []

    def whole(root):
        Path(root).mkdir(parents=True)
        (Path(root) / "motion.npz").write_bytes(WALK.read_bytes())

    monkeypatch.setitem(sys.modules, "wandb", wandb_of(whole))
    (file,) = resolve(parse_registry_names("lab/motions/kick:v3"), tmp_path)
    assert file.read_bytes() == WALK.read_bytes()
