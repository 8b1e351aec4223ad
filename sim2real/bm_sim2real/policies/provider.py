"""Which execution provider runs a policy: chosen, proven, and never exchanged without a word."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from bm_core.errors import BundleError, ConfigError
from bm_sim2real.policies.execution_provider import PROVIDERS, ProviderError
from bm_sim2real.policies.inference import OnnxSession

Proof = TypeVar("Proof")
Session = TypeVar("Session")

AUTO = "auto"
_AUTO_ORDER = ("tensorrt", "cuda", "cpu")
"""Fastest first."""
_FALLBACK = "cpu"

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ProvenSession(Generic[Session, Proof]):
    """A session whose policy has been proven on it."""

    session: Session
    proof: Proof
    notices: tuple[str, ...]
    """Why another provider runs it than the one asked for; empty if none does."""


def open_session(
    path: str | Path,
    provider: str,
    prove: Callable[[Session], Proof],
    *,
    load: Callable[[str | Path, str], Session] = OnnxSession,
) -> ProvenSession[Session, Proof]:
    """A session on `provider`, after `prove(session)`; a provider that does not start is replaced by the CPU, aloud.

    "auto" takes the fastest that is installed, starts and passes the proof. A named provider that fails the proof is
    refused: BundleError of `prove`. ConfigError for an unknown provider. `load(path, provider)` makes the session.
    """
    if provider == AUTO:
        return _fastest(path, prove, load)
    if provider not in PROVIDERS:
        raise ConfigError(f"provider '{provider}' is unknown; one of {AUTO}, {', '.join(PROVIDERS)}")
    try:
        session = load(path, provider)
    except ProviderError as error:
        notice = f"{error}; falling back to {_FALLBACK}"
        _LOG.warning("%s: %s", path, notice)
        session = load(path, _FALLBACK)
        return ProvenSession(session=session, proof=prove(session), notices=(notice,))
    return ProvenSession(session=session, proof=prove(session), notices=())


def _fastest(
    path: str | Path, prove: Callable[[Session], Proof], load: Callable[[str | Path, str], Session]
) -> ProvenSession[Session, Proof]:
    notices: list[str] = []
    for name in _AUTO_ORDER:
        try:
            session = load(path, name)
            return ProvenSession(session=session, proof=prove(session), notices=tuple(notices))
        except ProviderError as error:
            if not _is_installed(name):
                continue  # nobody asked for it, and it is not there: no news
            notices.append(f"{error}; trying the next provider")
        except BundleError as error:
            if name == _FALLBACK:
                raise
            notices.append(f"provider '{name}' fails the proof ({error}); trying the next provider")
        _LOG.warning("%s: %s", path, notices[-1])
    raise ConfigError(f"{path}: no execution provider of onnxruntime can be used")


def _is_installed(name: str) -> bool:
    import onnxruntime

    return PROVIDERS[name] in onnxruntime.get_available_providers()
