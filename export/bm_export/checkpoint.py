"""A trained tracker out of an rsl-rl checkpoint: the network with its normaliser inside, and its contract.

The weights alone do not say what feeds them or which activation joins them, so training stores both: in the
checkpoint's `infos` (export_infos), or beside it in the run's folder as contract.json and actor.json.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

from bm_core.contract import Contract
from bm_core.contract_check import check_contract
from bm_core.errors import BundleError

if TYPE_CHECKING:
    from torch import nn

_CONTRACT, _ACTIVATION = "contract", "activation"
_NORMALISER, _MLP = "obs_normalizer.", "mlp."


@dataclass(frozen=True, kw_only=True)
class TrainedTracker:
    """What an export needs of training."""

    actor: nn.Module
    """(batch, O) raw observations -> (batch, A) mean actions; in eval mode, on the CPU."""
    contract: Contract


def export_infos(contract: Contract, activation: str) -> dict[str, str]:
    """What training adds to a checkpoint's `infos`; activation by rsl-rl's name, such as "elu"."""
    return {_CONTRACT: contract.to_json(), _ACTIVATION: activation}


def load_checkpoint(path: str | Path) -> TrainedTracker:
    """Read model_*.pt. BundleError if it is damaged, not ours, or its network does not fit its contract."""
    import torch

    path = Path(path)
    try:
        # Tensors and plain values only: a checkpoint from elsewhere must not be able to run code here.
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (UnpicklingError, RuntimeError, EOFError) as error:
        reason = " ".join(str(error).split())[:120] or "empty"
        raise BundleError(f"{path}: not a checkpoint of tensors and plain values: {reason}") from error
    if not isinstance(checkpoint, dict) or "actor_state_dict" not in checkpoint:
        raise BundleError(f"{path}: holds no actor_state_dict; give a model_*.pt of bm train tracking")
    infos = _infos(path, checkpoint)
    contract = Contract.from_json(infos[_CONTRACT], f"{path}: contract")
    check_contract(contract, str(path))
    actor = _actor(path, checkpoint["actor_state_dict"], infos[_ACTIVATION])
    _check_actor(path, actor, contract)
    return TrainedTracker(actor=actor, contract=contract)


def _infos(path: Path, checkpoint: dict[str, Any]) -> dict[str, str]:
    infos = checkpoint.get("infos") or {}
    if _CONTRACT in infos and _ACTIVATION in infos:
        return infos
    contract, actor = path.with_name("contract.json"), path.with_name("actor.json")
    for file in (contract, actor):
        if not file.is_file():
            raise BundleError(
                f"{path}: its infos hold no contract and activation, and there is no {file.name} beside it; "
                "train with bm train tracking"
            )
    try:
        activation = json.loads(actor.read_text())[_ACTIVATION]
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(f'{actor}: {{"activation": NAME}} expected') from error
    return {_CONTRACT: contract.read_text(), _ACTIVATION: activation}


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
