"""Lock files: they pin everything with a hash, name no index, fit the ranges in pyproject.toml, and keep torch out."""

import re
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
LOCKS = sorted((ROOT / "locks").glob("*.txt"))
RUNTIME = {minor: ROOT / "locks" / f"runtime-{minor}.txt" for minor in ("3.10", "3.11", "3.12", "3.13")}
TRAINING = ROOT / "locks" / "train-3.12.txt"
PIN = re.compile(r"^([a-z0-9.-]+)(?:\[[a-z0-9, -]+\])?==([^ ;\\]+)", re.MULTILINE)


def pins(lock: Path) -> dict[str, str]:
    return dict(PIN.findall(lock.read_text()))


def ranges(*extras: str, minor: str) -> list[Requirement]:
    """What pyproject.toml asks for, base and extras, on x86-64 Linux with this Python."""
    machine = {"python_version": minor, "python_full_version": f"{minor}.0", "platform_machine": "x86_64"}
    requirements = [Requirement(line) for line in metadata.requires("beyondmimic-g1") or []]
    return [
        requirement
        for requirement in requirements
        if requirement.marker is None
        or any(requirement.marker.evaluate({**machine, "extra": extra}) for extra in ("", *extras))
    ]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_every_pin_has_a_hash(lock):
    blocks = re.split(r"\n(?=\S)", lock.read_text().strip())
    assert len(blocks) == len(PIN.findall(lock.read_text())) > 0
    assert [block for block in blocks if "--hash=sha256:" not in block] == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_no_lock_names_a_place(lock):
    assert re.findall(r"https?://|file:|^-|\s--(?!hash)|/", lock.read_text(), re.MULTILINE) == []


@pytest.mark.parametrize("minor", RUNTIME)
def test_runtime_lock_fits_the_ranges(minor):
    locked = pins(RUNTIME[minor])
    wanted = ranges("onnx", "sim", "view", "hardware", "dev", minor=minor)
    assert len(wanted) > 15
    misfits = [str(r) for r in wanted if not r.specifier.contains(locked.get(r.name.lower(), "0"), prereleases=True)]
    assert misfits == []


def test_training_lock_fits_the_ranges():
    locked = pins(TRAINING)
    wanted = ranges("onnx", "train", "dev", minor="3.12")
    assert "isaaclab" in [requirement.name for requirement in wanted]
    misfits = [str(r) for r in wanted if not r.specifier.contains(locked.get(r.name.lower(), "0"), prereleases=True)]
    assert misfits == []


@pytest.mark.parametrize("minor", RUNTIME)
def test_runtime_needs_no_torch(minor):
    assert {"torch", "triton", "isaaclab"} & set(pins(RUNTIME[minor])) == set()
