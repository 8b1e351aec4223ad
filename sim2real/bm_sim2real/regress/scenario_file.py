"""Scenario files: YAML, read strictly. Every mistake is one line that says where, what, and what is allowed.

The shortest useful file; docs/regression.md has all keys.

scenarios:
  - name: my policy walks
    policy: my_policy.onnx
    motion: walk.npz
    gates: {completed: 1.0, body_error_mm: 40}
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bm_core.data import named_bundle, shipped_folder
from bm_core.errors import ConfigError
from bm_core.strict_yaml import number, read_yaml, refuse_unknown
from bm_sim2real.clip_files import ClipFile, chosen_clips
from bm_sim2real.evaluation import Start
from bm_sim2real.mjlab_wheel import any_model
from bm_sim2real.pushes import PushConfig
from bm_sim2real.regress.metrics import METRICS, Gate
from bm_sim2real.regress.sabotage import SABOTAGES
from bm_sim2real.regress.scenario import Kind, Scenario
from bm_sim2real.robots.imu_errors import TYPICAL, ImuErrors
from bm_sim2real.robots.simulation_config import SimulationConfig

SHIPPED = Path(__file__).parent / "scenarios"
"""The scenarios of the shipped policies."""

_NAMED_BY = {"motion": Kind.TRACKING, "brake": Kind.BRAKE, "task": Kind.DIFFUSION, "fault": Kind.FAULT}
_COMMON = ("name", "about", "policy", "gates", "seeds", "must_fail", "ended_by", "optional")
_KEYS = {
    Kind.TRACKING: ("motion", "start_s", "end_s", "start", "pushes", "robot", "sabotage"),
    Kind.BRAKE: ("brake", "motions", "pushes", "robot", "sabotage"),
    Kind.DIFFUSION: ("task", "tracker", "latency_ms", "robot"),
    Kind.FAULT: ("fault",),
}
_METRICS = {
    Kind.TRACKING: (
        "completed", "falls", "guard_stops", "body_error_mm", "anchor_error_mm", "joint_error_rad", "clamp_share",
    ),
    Kind.BRAKE: ("upright", "stop_distance_m"),
    Kind.DIFFUSION: ("success_rate", "falls", "velocity_error"),
    Kind.FAULT: ("as_expected", "reaction_ticks"),
}  # fmt: skip
_ROBOT = ("model", "delay_ms", "friction", "mass_scale", "gain_scale", "strength_scale", "has_speed_limit", "imu")
_DEFAULT_POLICY = {Kind.DIFFUSION: "g1_diffusion.onnx"}


def shipped_files() -> list[Path]:
    """The scenario files of this distribution."""
    return sorted(SHIPPED.glob("*.yaml"))


def read_scenarios(files: Sequence[Path]) -> list[Scenario]:
    """Every scenario of the files, in order. ConfigError for the first mistake; names are unique over all files."""
    scenarios: list[Scenario] = []
    for file in files:
        scenarios += read_scenario_file(file)
    names = [scenario.name for scenario in scenarios]
    doubled = [name for name in names if names.count(name) > 1]
    if doubled:
        raise ConfigError(f"scenario {doubled[0]!r} is there twice; baselines are kept by name, choose another")
    return scenarios


def read_scenario_file(file: Path) -> list[Scenario]:
    """As read_scenarios, of one file."""
    document = read_yaml(file)
    if not isinstance(document, dict):
        raise ConfigError(f"{file}: must be a mapping with the keys scenarios and, if wanted, defaults")
    refuse_unknown(str(file), document, ("defaults", "scenarios"))
    defaults, entries = document.get("defaults", {}), document.get("scenarios")
    if not isinstance(defaults, dict) or "name" in defaults:
        raise ConfigError(f"{file}: defaults must be a mapping of scenario keys, without name")
    if not isinstance(entries, list) or not entries:
        raise ConfigError(f"{file}: scenarios must be a list such as  - {{name: walks, motion: walk.npz}}")
    return [_scenario(file, index, entry, defaults) for index, entry in enumerate(entries)]


def _scenario(file: Path, index: int, entry: Any, defaults: dict[str, Any]) -> Scenario:
    where = f"{file.name}: scenarios[{index}]"
    if not isinstance(entry, dict):
        raise ConfigError(f"{where}: {entry!r}: a mapping such as {{name: walks, motion: walk.npz}} expected")
    name = entry.get("name")
    if not isinstance(name, str) or not name.strip():
        raise ConfigError(f"{where}: name = {name!r}: a text expected")
    where = f"{file.name}: {name}"
    kinds = [kind for key, kind in _NAMED_BY.items() if key in entry]
    if len(kinds) != 1:
        raise ConfigError(f"{where}: needs exactly one of {', '.join(_NAMED_BY)}, which say what runs")
    kind, known = kinds[0], (*_COMMON, *_KEYS[kinds[0]])
    refuse_unknown(where, entry, known)
    refuse_unknown(f"{file.name}: defaults", defaults, (*_COMMON, *(key for keys in _KEYS.values() for key in keys)))
    values = {**{key: value for key, value in defaults.items() if key in known}, **entry}
    fields = {key: _PARSERS[key](f"{where}: {key}", value) for key, value in values.items() if key in _PARSERS}
    fields["gates"] = _gates(where, kind, values.get("gates", {}), bool(values.get("must_fail")))
    fields |= _found(file, where, kind, values)
    if "robot" in fields:
        fields["simulation"] = fields.pop("robot")
    scenario = Scenario(kind=kind, **fields)
    _refuse_idle_seeds(where, scenario)
    return scenario


def _found(file: Path, where: str, kind: Kind, values: dict[str, Any]) -> dict[str, Any]:
    """Files that the entry names, beside the scenario file or shipped; why they are missing, where that may be."""
    try:
        found: dict[str, Any] = {
            "policy": _bundle(file, where, values.get("policy", _DEFAULT_POLICY.get(kind, "g1_tracker.onnx")))
        }
        if kind is Kind.DIFFUSION:
            found["tracker"] = _bundle(file, where, values.get("tracker", "g1_tracker.onnx"))
        if values.get("robot", {}).get("model") == "mjlab" and any_model() is None:
            raise ConfigError(f"{where}: robot model mjlab: mjlab's wheel is not installed; remedy: make install-peers")
    except ConfigError as error:
        if values.get("optional") is not True:
            raise
        return {"policy": Path(str(values.get("policy", ""))), "missing": str(error)}
    if kind is Kind.TRACKING:
        cut: dict[str, Any] = {key: number(where, key, values[key]) for key in ("start_s", "end_s") if key in values}
        found["clip"] = ClipFile(path=_motion(file, where, values["motion"]), **cut)
    elif kind is Kind.BRAKE:
        found["trials"] = _count(f"{where}: brake", values["brake"])
        motions = values.get("motions")
        found["clips"] = tuple(
            chosen_clips(None, None, None)
            if motions is None
            else [ClipFile(path=_motion(file, where, name)) for name in _texts(f"{where}: motions", motions)]
        )
    return found


def _bundle(file: Path, where: str, name: Any) -> Path:
    if not isinstance(name, str) or not name.endswith(".onnx"):
        raise ConfigError(f"{where}: policy = {name!r}: the name of a policy bundle (.onnx) expected")
    return named_bundle(name, file, where)


def _motion(file: Path, where: str, name: Any) -> Path:
    if not isinstance(name, str) or not name:
        raise ConfigError(f"{where}: motion = {name!r}: a motion file expected")
    places = [file.resolve().parent, shipped_folder("motions").resolve()]
    for place in places:
        if (place / name).is_file():
            return place / name
    raise ConfigError(f"{where}: motion {name}: no such file in {' or '.join(map(str, places))}")


def _gates(where: str, kind: Kind, value: Any, must_fail: bool) -> tuple[Gate, ...]:
    known = _METRICS[kind]
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: gates = {value!r}: a mapping such as {{{known[0]}: 1.0}} expected")
    refuse_unknown(f"{where}: gates", value, known)
    given = {name: number(f"{where}: gates", name, bound) for name, bound in value.items()}
    default = METRICS[known[0]]  # completed, upright, success_rate, as_expected: all runs, or it is no success
    return tuple(Gate(metric=name, bound=bound) for name, bound in {default.name: 1.0, **given}.items())


def _refuse_idle_seeds(where: str, scenario: Scenario) -> None:
    """Several seeds where nothing is random would repeat one run and look like evidence."""
    is_random = scenario.pushes is not None or not scenario.simulation.imu.is_none
    if scenario.kind is Kind.TRACKING and len(scenario.seeds) > 1 and not is_random:
        raise ConfigError(f"{where}: seeds: nothing is random here, they would repeat one run; add pushes or imu")


def _text(where: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{where} = {value!r}: a text expected")
    return " ".join(value.split())


def _texts(where: str, value: Any) -> list[str]:
    if not isinstance(value, list) or not value:
        raise ConfigError(f"{where} = {value!r}: a list of texts expected")
    return [_text(where, item) for item in value]


def _flag(where: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(f"{where} = {value!r}: true or false expected")
    return value


def _count(where: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1000:
        raise ConfigError(f"{where} = {value!r}: a whole number from 1 to 1000 expected")
    return value


def _seeds(where: str, value: Any) -> tuple[int, ...]:
    """A number of seeds from 0 on, or the seeds themselves."""
    if not isinstance(value, list):
        return tuple(range(_count(where, value)))
    if not value or any(isinstance(seed, bool) or not isinstance(seed, int) or seed < 0 for seed in value):
        raise ConfigError(f"{where} = {value!r}: a number of seeds, or a list of whole numbers, expected")
    if len(set(value)) < len(value):
        raise ConfigError(f"{where} = {value!r}: a seed is there twice")
    return tuple(value)


def _one_of(known: Sequence[str]) -> Callable[[str, Any], str]:
    def parse(where: str, value: Any) -> str:
        if value not in known:
            raise ConfigError(f"{where} = {value!r}: unknown; known: {', '.join(known)}")
        return value

    return parse


def _pushes(where: str, value: Any) -> PushConfig | None:
    """true: the trainer's; a number: as many times as strong; false: none."""
    if isinstance(value, bool):
        return PushConfig() if value else None
    factor = number(where.removesuffix(": pushes"), "pushes", value)
    if factor <= 0.0:
        raise ConfigError(f"{where} = {value!r}: true, false, or a factor above 0 expected")
    nominal = PushConfig()
    x, y, z = nominal.linear
    roll, pitch, yaw = nominal.angular
    return PushConfig(
        linear=(factor * x, factor * y, factor * z), angular=(factor * roll, factor * pitch, factor * yaw)
    )


def _robot(where: str, value: Any) -> SimulationConfig:
    if not isinstance(value, dict):
        raise ConfigError(f"{where} = {value!r}: a mapping such as {{friction: 0.5}} expected")
    refuse_unknown(where, value, _ROBOT)
    fields: dict[str, Any] = {}
    for key, item in value.items():
        if key == "model":
            fields[key] = _one_of(("g1", "mjlab"))(f"{where}: model", item)
        elif key == "imu":
            fields[key] = {"none": ImuErrors(), "typical": TYPICAL}[_one_of(("none", "typical"))(f"{where}: imu", item)]
        elif key == "has_speed_limit":
            fields[key] = _flag(f"{where}: {key}", item)
        elif key == "delay_ms":
            fields[key] = int(number(where, key, item))
        else:
            fields[key] = number(where, key, item)
    try:
        return SimulationConfig(**fields)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def _fault(where: str, value: Any) -> str:
    from bm_sim2real.fault_injection.walking_scenarios import SCENARIOS

    names = [scenario.name for scenario in SCENARIOS]
    if value not in names:
        raise ConfigError(f"{where} = {value!r}: no such fault; `bm faults --help` and docs/safety.md list them")
    return value


def _task(where: str, value: Any) -> str:
    from bm_sim2real.planning.evaluation import TASKS

    return _one_of(tuple(TASKS))(where, value)


_PARSERS: dict[str, Callable[[str, Any], Any]] = {
    "name": _text,
    "about": _text,
    "seeds": _seeds,
    "must_fail": _flag,
    "optional": _flag,
    "ended_by": _text,
    "start": lambda where, value: Start(_one_of([start.value for start in Start])(where, value)),
    "pushes": _pushes,
    "robot": _robot,
    "sabotage": _one_of(tuple(SABOTAGES)),
    "task": _task,
    "fault": _fault,
    "latency_ms": lambda where, value: number(where.removesuffix(": latency_ms"), "latency_ms", value),
}
