"""A trained tracker out of a checkpoint of `bm train tracking`: the network with its normaliser inside, its contract.

The checkpoint holds weights, network settings and step count; contract.json beside it says what feeds the network.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any
from zipfile import is_zipfile

import numpy as np

from bm_core.contract import Contract
from bm_core.contract_check import check_contract
from bm_core.errors import BundleError

if TYPE_CHECKING:
    from torch import nn

_NORMALISER, _MLP = "obs_normalizer.", "mlp."


@dataclass(frozen=True, kw_only=True)
class TrainedTracker:
    """What an export needs of training."""

    actor: nn.Module
    """(batch, O) raw observations -> (batch, A) mean actions; in eval mode, on the CPU."""
    contract: Contract


def load_tracker(run_or_file: str | Path) -> TrainedTracker:
    """Read a checkpoint, or the newest one of a run's folder.

    BundleError if it is damaged, has no contract.json beside it, or its network does not fit that contract.
    """
    from bm_training.tracking.checkpoint import find_checkpoint

    path = find_checkpoint(Path(run_or_file))
    state = _read(path)
    contract = _contract(path, state)
    settings = _settings(path, state["ppo"])
    weights = state["alg"]["actor_state_dict"]
    actor = _actor(path, weights, settings["activation"])
    if settings.get("obs_normalization") and not _under(weights, _NORMALISER):
        raise BundleError(f"{path}: the observation normaliser is missing, and the settings train with one")
    _check_actor(path, actor, contract)
    return TrainedTracker(actor=actor, contract=contract)


def _read(path: Path) -> dict[str, Any]:
    import torch

    from bm_training.tracking.checkpoint import FORMAT

    try:
        # Plain values, tensors and NumPy arrays only: a checkpoint of somebody else must not be able to run code here.
        with torch.serialization.safe_globals(_numpy_types()):
            state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (UnpicklingError, RuntimeError, EOFError) as error:
        # torch.save writes zip files; of another file torch says much that has nothing to do with it.
        reason = " ".join(str(error).split())[:120] if is_zipfile(path) else "torch.save did not write it"
        raise BundleError(f"{path}: not a checkpoint of tensors and plain values: {reason}") from error
    if not isinstance(state, dict) or state.get("format") != FORMAT or not {"alg", "ppo", "steps"} <= set(state):
        raise BundleError(f"{path}: not a checkpoint of bm train tracking (format {FORMAT} expected)")
    return state


def _numpy_types() -> list[Any]:
    """What the pickle of a NumPy array names: the random state has one."""
    array = np.zeros(1, dtype=np.uint32)
    reconstruct = array.__reduce__()[0]
    dtypes = {type(np.dtype(kind)) for kind in ("u1", "u4", "u8", "i4", "i8", "f4", "f8", "?")}
    return [reconstruct, np.ndarray, np.dtype, *dtypes]


def _contract(path: Path, state: dict[str, Any]) -> Contract:
    beside = path.with_name("contract.json")
    try:
        text = beside.read_text()
    except OSError as error:
        raise BundleError(
            f"{beside}: cannot be read: {error.strerror or error}; it lies beside a checkpoint"
        ) from error
    contract = Contract.from_json(text, str(beside))
    check_contract(contract, str(beside))
    trained_on = state.get("provenance", {}).get("motion_set_sha256")
    if trained_on != contract.training.motion_set_sha256:
        raise BundleError(
            f"{path}: trained on another motion set than {beside.name} beside it says; one of them was moved"
        )
    # The file is written when a run starts and ends; how long this checkpoint was trained only it knows.
    return dataclasses.replace(contract, training=dataclasses.replace(contract.training, steps=int(state["steps"])))


def _settings(path: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Weights do not tell what joins them; the trainer's own translation of its settings does."""
    from bm_training.tracking.ppo_cfg import PpoConfig

    try:
        return PpoConfig(**settings).as_rsl_rl(None)["actor"]
    except TypeError as error:
        raise BundleError(f"{path}: its PPO settings are not those of this version: {error}") from error


def _actor(path: Path, state: dict[str, Any], activation: str) -> nn.Module:
    """The mean of rsl-rl's MLPModel: its own normaliser and MLP classes, sizes read from the weights."""
    import torch
    from rsl_rl.modules import MLP, EmpiricalNormalization

    weights = [value for key, value in state.items() if key.startswith(_MLP) and key.endswith(".weight")]
    if not weights or any(weight.ndim != 2 for weight in weights):
        raise BundleError(f"{path}: the actor is no plain MLP; other networks cannot be exported yet")
    sizes = [weights[0].shape[1], *(weight.shape[0] for weight in weights)]
    normaliser = _under(state, _NORMALISER)
    layers: list[nn.Module] = []
    try:
        if normaliser:
            layers.append(EmpiricalNormalization(sizes[0]))
            layers[0].load_state_dict(normaliser)
        mlp = MLP(sizes[0], sizes[-1], sizes[1:-1], activation)
        mlp.load_state_dict(_under(state, _MLP))
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:160]
        raise BundleError(f"{path}: the actor does not rebuild with activation '{activation}': {reason}") from error
    return torch.nn.Sequential(*layers, mlp).eval().requires_grad_(False)


def _under(state: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}


def _check_actor(path: Path, actor: nn.Module, contract: Contract) -> None:
    import torch

    for name, tensor in actor.state_dict().items():
        if not bool(torch.isfinite(tensor.float()).all()):
            raise BundleError(f"{path}: {name} holds NaN or infinity; take an earlier checkpoint")
    linear = [layer for layer in actor.modules() if isinstance(layer, torch.nn.Linear)]
    taken, given = linear[0].in_features, linear[-1].out_features
    if taken != contract.observation_dim:
        raise BundleError(
            f"{path}: the actor takes {taken} numbers, its contract's terms have {contract.observation_dim}"
        )
    if given != contract.action_dim:
        raise BundleError(f"{path}: the actor gives {given} numbers, its contract has {contract.action_dim} joints")
