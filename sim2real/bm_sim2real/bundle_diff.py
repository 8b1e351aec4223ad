"""What differs between two policy bundles: contract by name, weights by tensor, and what each does on one recording."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bm_core.bundle import CONTRACT_KEY, Bundle
from bm_core.diffusion.bundle import DECODER_KEY, DiffusionBundle
from bm_core.errors import BundleError
from bm_core.onnx_file import read_onnx
from bm_sim2real.policies.inference import OnnxSession

if TYPE_CHECKING:
    import onnx

_SHOWN_JOINTS = 3
_NORMALISER = ("Sub", "Div")


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One thing that is not the same."""

    group: str
    """terms, joints, gains, contract, normaliser, weights, graph or behaviour."""
    what: str
    first: str
    second: str


@dataclass(frozen=True, kw_only=True)
class BundleDiff:
    """Everything that was compared."""

    differences: tuple[Difference, ...]
    largest_weight: float | None
    """Largest difference of two weights; None if the networks do not have the same tensors."""
    largest_action: float | None
    """On the first bundle's golden trace; None where the second one cannot be fed with it."""


def compare_bundles(first: str | Path, second: str | Path) -> BundleDiff:
    """Reads both, replays nothing but the first one's observations. BundleError for a file that cannot be read."""
    bundles = [_read(path) for path in (first, second)]
    if type(bundles[0]) is not type(bundles[1]):
        kinds = [bundle.contract.kind for bundle in bundles]
        kind = Difference(group="contract", what="kind", first=kinds[0], second=kinds[1])
        return BundleDiff(differences=(kind,), largest_weight=None, largest_action=None)
    facts = [_facts(bundle) for bundle in bundles]
    found = _terms(*facts) + _joints(*facts) + _rest(facts[0], facts[1])
    models = [_load(path) for path in (first, second)]
    weights, largest = _weights(*models)
    action = _actions(bundles[0], bundles[1])
    if action:
        what = "action on the first's golden trace"
        weights.append(Difference(group="behaviour", what=what, first="", second=f"up to {action:.3g} apart"))
    return BundleDiff(differences=tuple(found + weights), largest_weight=largest, largest_action=action)


def _read(path: str | Path) -> Bundle | DiffusionBundle:
    return DiffusionBundle.read(path) if DECODER_KEY in read_onnx(path).metadata else Bundle.read(path)


def _facts(bundle: Bundle | DiffusionBundle) -> dict[str, Any]:
    facts = bundle.contract.as_dict()
    model = bundle.model
    facts["graph"] = {"opset": model.opset, "ir_version": model.ir_version, "batch": model.inputs[0].shape[0]}
    facts["trace_tolerance"] = bundle.trace_tolerance
    facts["has_contract"] = CONTRACT_KEY in model.metadata
    if isinstance(bundle, Bundle):
        facts["precision"] = None if bundle.precision is None else asdict(bundle.precision)
    return facts


def _terms(a: dict[str, Any], b: dict[str, Any]) -> list[Difference]:
    """Missing and added terms, their order, and what is different about the others."""
    old, new = ({term["name"]: term for term in facts.pop("observations", ())} for facts in (a, b))
    found = []
    for name in [*old, *(name for name in new if name not in old)]:
        if name not in old or name not in new:
            sides = ["yes" if name in terms else "no" for terms in (old, new)]
            found.append(Difference(group="terms", what=name, first=sides[0], second=sides[1]))
            continue
        for key in old[name]:
            found += _if_different("terms", f"{name}.{key}", old[name][key], new[name][key])
    kept = [[name for name in terms if name in old and name in new] for terms in (old, new)]
    return found + _if_different("terms", "order", kept[0], kept[1])


def _joints(a: dict[str, Any], b: dict[str, Any]) -> list[Difference]:
    """Order of the joints, and their numbers by name: a permutation alone changes no gain."""
    actions = [facts.pop("action") for facts in (a, b)]
    names = [action.pop("joint_names") for action in actions]
    found = _if_different("joints", "order", names[0], names[1])
    keys = [key for key in ("stiffness", "damping", "effort_limit", "last_action") if key in a]
    columns = [
        {**{key: facts.pop(key) for key in keys}, **action} for facts, action in zip((a, b), actions, strict=True)
    ]
    for key in columns[0]:
        old, new = (dict(zip(order, column[key], strict=True)) for order, column in zip(names, columns, strict=True))
        moved = [name for name in old if name in new and old[name] != new[name]]
        moved.sort(key=lambda name: -abs(new[name] - old[name]))
        group = "gains" if key != "default_joint_pos" else "joints"
        for name in moved[:_SHOWN_JOINTS]:
            texts = repr(old[name]), repr(new[name])
            found.append(Difference(group=group, what=f"{key} of {name}", first=texts[0], second=texts[1]))
        if len(moved) > _SHOWN_JOINTS:
            rest = f"{len(moved) - _SHOWN_JOINTS} more joints"
            found.append(Difference(group=group, what=key, first=rest, second="differ less"))
    return found


def _rest(a: dict[str, Any], b: dict[str, Any], path: str = "") -> list[Difference]:
    found = []
    for key in dict.fromkeys([*a, *b]):
        what, old, new = f"{path}{key}", a.get(key), b.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += _rest(dict(old), dict(new), f"{what}.")
        else:
            found += _if_different("graph" if what.startswith("graph.") else "contract", what, old, new)
    return found


def _if_different(group: str, what: str, old: Any, new: Any) -> list[Difference]:
    same = old == new or (isinstance(old, float) and isinstance(new, float) and math.isclose(old, new, rel_tol=1e-12))
    if same:
        return []
    if isinstance(old, (list, tuple)) and isinstance(new, (list, tuple)):
        at = next((i for i, (x, y) in enumerate(zip(old, new, strict=False)) if x != y), min(len(old), len(new)))
        old, new = (f"[{at}] {side[at]}" if at < len(side) else f"{len(side)} entries" for side in (old, new))
    return [Difference(group=group, what=what, first=str(old), second=str(new))]


def _load(path: str | Path) -> onnx.ModelProto:
    try:
        import onnx
    except ImportError as error:
        raise BundleError("comparing weights needs the onnx package; remedy: the extra onnx") from error
    return onnx.load(str(path))


def _weights(first: onnx.ModelProto, second: onnx.ModelProto) -> tuple[list[Difference], float | None]:
    from onnx import numpy_helper

    sides = [
        {tensor.name: np.asarray(numpy_helper.to_array(tensor)) for tensor in model.graph.initializer}
        for model in (first, second)
    ]
    normaliser = {name for model in (first, second) for name in _normaliser_tensors(model)}
    shapes = [{name: (array.shape, str(array.dtype)) for name, array in side.items()} for side in sides]
    if shapes[0] != shapes[1]:
        what = next(name for name in [*shapes[0], *shapes[1]] if shapes[0].get(name) != shapes[1].get(name))
        texts = [_shape_words(side.get(what)) for side in shapes]
        return [Difference(group="weights", what=what, first=texts[0], second=texts[1])], None
    found, largest = [], 0.0
    for name, old in sides[0].items():
        apart = _apart(old, sides[1][name])
        if apart:
            group = "normaliser" if name in normaliser else "weights"
            found.append(Difference(group=group, what=name, first="", second=f"up to {apart:.3g} apart"))
            largest = max(largest, apart)
    return found, largest


def _normaliser_tensors(model: onnx.ModelProto) -> set[str]:
    """What is subtracted from or divides the observation before anything else."""
    reached, names = {model.graph.input[0].name}, set()
    for node in model.graph.node:
        if node.op_type in _NORMALISER and node.input[0] in reached:
            names.update(node.input[1:])
            reached.update(node.output)
    return names


def _apart(old: NDArray, new: NDArray) -> float:
    if not old.size:
        return 0.0
    apart = np.abs(old.astype(np.float64) - new.astype(np.float64))
    return float("inf") if np.isnan(apart).any() else float(apart.max())


def _shape_words(shape: tuple[tuple[int, ...], str] | None) -> str:
    return "not there" if shape is None else f"{'x'.join(map(str, shape[0])) or 'scalar'} {shape[1]}"


def _actions(first: Bundle | DiffusionBundle, second: Bundle | DiffusionBundle) -> float | None:
    """Largest difference of the joints' set-points in units of the first's action, joints matched by name."""
    if not isinstance(first, Bundle) or not isinstance(second, Bundle) or first.trace is None:
        return None
    same_terms = first.contract.observations == second.contract.observations
    names = [bundle.contract.action.joint_names for bundle in (first, second)]
    if not same_terms or names[0] != names[1] or first.trace.time_step is not None:
        return None
    sessions = [OnnxSession(bundle.path) for bundle in (first, second)]
    got = [np.array([session(row) for row in first.trace.observation]) for session in sessions]
    return float(np.abs(got[0] - got[1]).max())
