"""Who may import whom (CONTRIBUTING.md), read from the source of every file, imports inside functions included."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from bm_sim2real.cli import EXTRA_OF_MODULE

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {
    "bm_core": ROOT / "sim2real" / "bm_core",
    "bm_sim2real": ROOT / "sim2real" / "bm_sim2real",
    "bm_training": ROOT / "training" / "bm_training",
    "bm_export": ROOT / "export" / "bm_export",
    "ros": ROOT / "ros2_ws" / "src",
}
TRAINING_SIDE = ("torch", "isaaclab*", "newton", "warp", "rsl_rl", "tensordict", "bm_training", "bm_export")
FORBIDDEN = {
    "bm_core": ("bm_sim2real", "rclpy", *TRAINING_SIDE),
    "bm_sim2real": ("rclpy", *TRAINING_SIDE),
    # Sub-modules count: what trains or exports has no business with a robot or with the loop that drives one.
    "bm_training": ("bm_sim2real.robots", "bm_sim2real.loop", "rclpy"),
    "bm_export": ("bm_sim2real.robots", "bm_sim2real.loop", "rclpy"),
    "ros": TRAINING_SIDE,
}
BASE_DEPENDENCIES = {"numpy", "yaml", "rich", "tyro"}
OPTIONAL_GUESTS = {"mjlab", "wandb"}
"""In no extra: a peer to compare with and a tracking service. Who imports them says itself how to get them."""
THIRD_PARTY_OF_CORE = {"numpy", "yaml"}
"""YAML beside NumPy: what a CSV clip cannot say stands in a motions.yaml in its folder."""


def imports_of(source: str, package: str = "") -> set[str]:
    """Dotted names that the source imports; a relative import is resolved against `package`, the file's own."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            anchor = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*anchor, *([node.module] if node.module else [])])
            found.update({base, *(f"{base}.{alias.name}" for alias in node.names)})
    return found


def breaks(name: str, pattern: str) -> bool:
    """Whether importing `name` imports what the pattern forbids; `isaaclab*` matches by prefix."""
    if pattern.endswith("*"):
        return name.split(".")[0].startswith(pattern[:-1])
    return name == pattern or name.startswith(pattern + ".")


def violations(source: str, owner: str, package: str = "") -> list[str]:
    return sorted(
        name for name in imports_of(source, package) if any(breaks(name, pattern) for pattern in FORBIDDEN[owner])
    )


def files_of(owner: str) -> list[tuple[Path, str]]:
    """Every source file of a package with its dotted package name."""
    root = PACKAGES[owner]
    return [(path, ".".join(path.relative_to(root.parent).parts[:-1])) for path in sorted(root.rglob("*.py"))]


@pytest.mark.parametrize("owner", PACKAGES)
def test_package_imports_only_what_its_place_allows(owner):
    broken = {
        str(path): found for path, package in files_of(owner) if (found := violations(path.read_text(), owner, package))
    }
    assert broken == {}


@pytest.mark.parametrize("owner", [owner for owner in PACKAGES if owner != "ros"])
def test_rule_looks_at_the_files_that_exist(owner):
    assert (PACKAGES[owner] / "__init__.py") in [path for path, _ in files_of(owner)]


@pytest.mark.parametrize(
    "owner, package, source",
    [
        ("bm_core", "bm_core", "import bm_sim2real.cli"),
        ("bm_core", "bm_core", "from torch import nn"),
        ("bm_sim2real", "bm_sim2real", "def f():\n    import torch.nn"),
        ("bm_sim2real", "bm_sim2real", "if True:\n    from isaaclab_newton.physics import NewtonCfg"),
        ("bm_sim2real", "bm_sim2real.robots", "from bm_training import motions"),
        ("bm_training", "bm_training.tracking", "from bm_sim2real import loop"),
        ("bm_export", "bm_export", "from bm_sim2real.robots.mujoco import MujocoRobot"),
        ("ros", "bm_policy", "import bm_export"),
    ],
)
def test_planted_violation_is_found(owner, package, source):
    assert violations(source, owner, package) != []


@pytest.mark.parametrize(
    "owner, package, source",
    [
        ("bm_sim2real", "bm_sim2real", "import torchlike"),
        ("bm_training", "bm_training", "from bm_sim2real.result_json import write_result"),
        ("bm_sim2real", "bm_sim2real.robots", "from .. import loop\nfrom . import mujoco"),
    ],
)
def test_allowed_import_is_not_taken_for_a_violation(owner, package, source):
    assert violations(source, owner, package) == []


def test_relative_import_is_resolved_against_its_package():
    assert "bm_sim2real.loop" in imports_of("from .. import loop", "bm_sim2real.robots")
    assert "bm_sim2real.robots.mujoco" in imports_of("from .mujoco import MujocoRobot", "bm_sim2real.robots")


def third_party(owner: str) -> set[str]:
    names = {name.split(".")[0] for path, package in files_of(owner) for name in imports_of(path.read_text(), package)}
    return names - set(sys.stdlib_module_names) - set(PACKAGES)


def test_core_needs_numpy_and_yaml_only():
    assert third_party("bm_core") <= THIRD_PARTY_OF_CORE


@pytest.mark.parametrize("owner", ["bm_sim2real", "bm_training", "bm_export"])
def test_every_third_party_import_is_a_base_dependency_or_known_to_belong_to_an_extra(owner):
    assert third_party(owner) - BASE_DEPENDENCIES - set(EXTRA_OF_MODULE) - OPTIONAL_GUESTS == set()


def test_help_imports_nothing_heavy():
    heavy = {"numpy", "mujoco", "scipy", "onnxruntime", "torch", "tyro", "rich", "matplotlib", "yaml"}
    code = f"import sys; from bm_sim2real.cli import main; main(['--help']); print({heavy!r} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines()[-1] == "set()"
