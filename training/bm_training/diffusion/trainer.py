"""The training loop: AdamW with warm-up and cosine, averaged weights, validation, checkpoints."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from bm_core.diffusion.mirror import action_mirror, state_mirror
from bm_core.diffusion.spec import DiffusionSpec
from bm_core.errors import ConfigError
from bm_training.diffusion.decoders import decoder_from_document
from bm_training.diffusion.ema import WeightAverage
from bm_training.diffusion.model import ModelConfig, TokenTransformer
from bm_training.diffusion.objective import Objective, ObjectiveConfig
from bm_training.diffusion.plan_error import plan_errors
from bm_training.diffusion.rate_schedule import RateSchedule
from bm_training.diffusion.windows import TorchMirror, WindowBatch, Windows
from bm_training.require import require
from bm_training.tracking.checkpoint import FORMAT, CheckpointFolder, load_checkpoint
from bm_training.tracking.distributed import Ranks
from bm_training.tracking.training_log import TrainingLog

if TYPE_CHECKING:
    from bm_training.diffusion.gate import Gate

KIND = "diffusion"
_SHOWN = ("val/loss", "plan/action_rms")
"""Repeated on the console, not in the log, between two validations."""
_VALIDATION_WINDOWS = 2048
_SAMPLED_WINDOWS = 512
"""Of them, those for which whole plans are sampled."""
_CLOCK_STEPS = 20
"""Between two looks at the clock."""


@dataclass(frozen=True, kw_only=True)
class TrainerConfig:
    """How long, how fast, and what is kept. Rates: BeyondMimic Table S7 (v4)."""

    run_dir: Path
    max_steps: int = 200_000
    """Optimiser steps in all, those before a resume included."""
    batch: int = 512
    """Windows per step and process."""
    learning_rate: float = 1e-4
    warmup_steps: int = 10_000
    """At most a tenth of the run."""
    weight_decay: float = 1e-3
    max_gradient: float = 1.0
    """Norm to which gradients are clipped."""
    mirror: bool = True
    """Exchange left and right in half of the windows."""
    is_bf16: bool = False
    """Autocast"""
    is_compiled: bool = False
    """torch.compile"""
    log_interval: int = 50
    """Steps between lines of log and progress."""
    val_interval: int = 1000
    """Steps between validations of the averaged weights; the best are kept."""
    save_interval: int = 5000
    gate_interval: int = 0
    """Steps between closed loops of the averaged weights; 0: none."""
    seed: int = 0
    deadline: float | None = None
    """time.monotonic() at which to stop and save; the cosine ends there if it comes before max_steps."""

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            require(getattr(self, name) >= least, name, getattr(self, name), f">= {least}")
        require(0.0 < self.learning_rate < math.inf, "learning_rate", self.learning_rate, "a number above 0")


_LEAST = {"max_steps": 0, "batch": 1, "warmup_steps": 0, "gate_interval": 0, "seed": 0}
_LEAST |= dict.fromkeys(("log_interval", "val_interval", "save_interval"), 1)
"""Of the whole numbers of a TrainerConfig."""


class Trainer:
    """One training run. `stop` ends it after the current step; it always saves."""

    def __init__(
        self,
        model: TokenTransformer,
        spec: DiffusionSpec,
        training: Windows,
        validation: Windows,
        config: TrainerConfig,
        objective: ObjectiveConfig,
        ranks: Ranks,
        report: Callable[[str], None],
        provenance: dict[str, Any],
        latent: dict[str, Any] | None = None,
        gate: Gate | None = None,
    ) -> None:
        """`report` gets lines of progress; `provenance` and `latent` (the decoder) go into every checkpoint."""
        self._gate = gate
        self.model, self.spec, self.config, self._ranks = model, spec, config, ranks
        self._training, self._report, self._provenance, self._latent = training, report, provenance, latent
        self._objective = Objective(spec, objective, ranks.device)
        self.average = WeightAverage(model)
        self._forward: Callable[..., Any] = model
        self._optimiser = torch.optim.AdamW(
            model.parameters(),
            lr=config.learning_rate,
            betas=(0.9, 0.95),
            weight_decay=config.weight_decay,
            fused=ranks.device.startswith("cuda"),
        )
        self._generator = torch.Generator(device=ranks.device).manual_seed(config.seed + 1000 * ranks.rank)
        # Latents have no mirror image; action_mirror says so if mirroring is asked for.
        mirrors = (state_mirror(spec.representation), action_mirror(spec.layout)) if config.mirror else None
        self._mirrors = None if mirrors is None else tuple(TorchMirror(one, ranks.device) for one in mirrors)
        fixed = torch.Generator(device=ranks.device).manual_seed(config.seed)
        self._validation: WindowBatch = validation.draw(min(_VALIDATION_WINDOWS, 2 * len(validation)), fixed)
        self._folder = CheckpointFolder(run_dir=config.run_dir)
        self.step = 0
        """Finished optimiser steps."""
        self._best, self._is_stopping = float("inf"), False
        self._schedule = RateSchedule(
            peak=config.learning_rate,
            warmup_steps=config.warmup_steps,
            max_steps=config.max_steps,
            deadline=config.deadline,
            ranks=ranks,
        )

    @property
    def _best_by(self) -> str:
        return "val/loss" if self._gate is None else "gate/success_rate"

    def stop(self) -> None:
        """Save and end after the step that runs now (also from a signal handler)."""
        self._is_stopping = True

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from averaged weights with a fresh optimiser. ConfigError for another model or spec."""
        # How it is sampled may change: that is not trained.
        spec = dataclasses.replace(DiffusionSpec.from_json(state["spec"], "resume"), sampler=self.spec.sampler)
        if state["model"] != dataclasses.asdict(self.model.config) or spec != self.spec:
            raise ConfigError("resume: the checkpoint's model or tokens are not those of this run")
        self.model.load_state_dict(state["ema"])
        self.average.model.load_state_dict(state["ema"])
        self.average.updates = state["ema_updates"]
        self.step = self._schedule.first_step = state["step"]
        if state.get("best_by", "val/loss") == self._best_by:
            self._best = state["best"]
        self._generator.manual_seed(self.config.seed + 1000 * self._ranks.rank + self.step)

    def learn(self) -> dict[str, float]:
        """Run until max_steps, the deadline or `stop`; returns the last scalars that were logged."""
        config, values, rate = self.config, {}, 0.0
        # Not before: a run that is refused leaves no folder.
        self._log = TrainingLog(config.run_dir if self._ranks.is_first else None, self._report)
        validated = self._validate()
        if config.is_compiled:
            self._compile()
        # From here: neither kernels' compilation nor validation may eat up the cosine.
        self._schedule.begun = last = time.monotonic()
        total, shown = torch.zeros(()), dict[str, float]()
        while self.step < config.max_steps and not self._must_stop():
            total = self._advance()
            if self.step % config.val_interval == 0:
                validated = self._validate()
            if self.step % config.log_interval == 0 or not values:
                now = time.monotonic()
                rate = (self.step - self._schedule.first_step) / max(now - self._schedule.begun, 1e-3)
                values = self._scalars(total, rate) | validated
                self._log.write(self.step, values)
                shown |= {name: validated[name] for name in _SHOWN if name in validated}
                validated = {}
                if now - last > 1.0:
                    self._progress(values | shown, rate)
                    last = now
            if self._gate is not None and self.step % config.gate_interval == 0:
                self._pass_gate(self._gate)
            if self.step % config.save_interval == 0:
                self._save()
        if self.step > self._schedule.first_step:
            values = self._scalars(total, rate) | self._validate()
            self._log.write(self.step, values)
            self._progress(values, rate)
        self._save()
        self._log.close()
        return values

    # -- parts

    def _advance(self) -> torch.Tensor:
        if self.step % _CLOCK_STEPS == 0:
            self._schedule.look_at_clock(self.step)
        for group in self._optimiser.param_groups:
            group["lr"] = self._schedule.rate(self.step)
        self.model.train()
        windows = self._training.draw(self.config.batch, self._generator)
        if self._mirrors is not None:
            coin = torch.rand(self.config.batch, generator=self._generator, device=self._training.device) < 0.5
            windows = windows.mirrored(coin, *self._mirrors)
        loss = self._objective(self._predict, windows, self._generator).total
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self._average_gradients()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.max_gradient)
        self._optimiser.step()
        self.average.update(self.model)
        self.step += 1
        return loss.detach()

    def _compile(self) -> None:
        """Compile with a batch of zeros; without a compiler for it on this machine training goes on uncompiled."""
        spec, device = self.spec, self._ranks.device
        shape = (self.config.batch, spec.layout.tokens)
        widths = spec.state_codec.model_width, spec.action_codec.model_width
        tokens = [torch.zeros(*shape, width, device=device) for width in widths]
        levels = [torch.zeros(shape, dtype=torch.int64, device=device) for _ in widths]
        try:
            self._forward = torch.compile(self.model, dynamic=False)
            states, actions = self._predict(*tokens, *levels)
            (states.float().sum() + actions.float().sum()).backward()
        except Exception as error:  # whatever compilers raise
            self._report(f"torch.compile failed, training uncompiled: {str(error).splitlines()[0]}")
            self._forward = self.model
        self._optimiser.zero_grad(set_to_none=True)

    def _predict(self, *tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        # Autocast around the network only: the codec's matrix product would round the targets, too.
        device_type = torch.device(self._ranks.device).type
        with torch.autocast(device_type, dtype=torch.bfloat16, enabled=self.config.is_bf16):
            return self._forward(*tokens)

    def _average_gradients(self) -> None:
        if self._ranks.world_size == 1:
            return
        gradients = [parameter.grad for parameter in self.model.parameters() if parameter.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        torch.distributed.all_reduce(flat)
        flat /= self._ranks.world_size
        parts = flat.split([gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def _must_stop(self) -> bool:
        late = self.config.deadline is not None and time.monotonic() > self.config.deadline
        return self._ranks.any(self._is_stopping or late)

    @torch.no_grad()
    def _validate(self) -> dict[str, float]:
        """Averaged weights on fixed windows, levels and noise, history clean as at run time."""
        if not self._ranks.is_first:
            return {}
        generator = torch.Generator(device=self._ranks.device).manual_seed(self.config.seed)
        as_run = dataclasses.replace(self._objective.config, clean_history=1.0, committed=0.0, forgotten=0.0)
        terms = self._objective(self.average.model, self._validation, generator, as_run)
        values = {"val/loss": float(terms.total)}
        first = self.spec.layout.present  # what comes before is history, and given
        values |= {f"val/state_{i:02d}": value for i, value in enumerate(terms.states.tolist()) if i > first}
        values |= {f"val/action_{i:02d}": value for i, value in enumerate(terms.actions.tolist()) if i >= first}
        few = self._validation.first(_SAMPLED_WINDOWS)
        values |= plan_errors(self.average.model, self.spec, few, generator)
        if self._gate is None and self.step > 0:
            self._keep_best(values["val/loss"])
        return values

    def _keep_best(self, value: float) -> None:
        """The smaller the better: validation loss, or the share of closed loops that fail where there are any."""
        if value < self._best:
            self._best = value
            self._folder.save_best(self._state())

    def _pass_gate(self, gate: Gate) -> None:
        if not self._ranks.is_first:
            return
        begun = time.monotonic()
        decoder = decoder_from_document(self._latent, self._ranks.device)
        found = gate(self.average.model, self.spec, decoder)
        self._log.write(self.step, found)
        self._keep_best(1.0 - found["gate/success_rate"])
        self._report(
            f"step {self.step}  closed loop: success {found['gate/success_rate']:.3f}  falls "
            f"{found['gate/fall_rate']:.3f}  path {found['gate/path_m']:.2f} m  {time.monotonic() - begun:.0f} s"
        )

    def _scalars(self, total: Any, rate: float) -> dict[str, float]:
        windows = self.config.batch * self._ranks.world_size
        return {
            "train/loss": float(total),
            "train/learning_rate": self._schedule.rate(self.step),
            "train/ema_decay": self.average.decay,
            "time/windows": float(self.step * windows),
            "time/windows_per_second": rate * windows,
        }

    def _progress(self, values: dict[str, float], rate: float) -> None:
        if not self._ranks.is_first:
            return
        left = (self.config.max_steps - self.step) / max(rate, 1e-3)
        if self.config.deadline is not None:
            left = min(left, max(self.config.deadline - time.monotonic(), 0.0))
        eta = timedelta(seconds=round(left))
        self._report(
            f"step {self.step}/{self.config.max_steps}  {values['time/windows_per_second']:,.0f} windows/s  "
            f"loss {values['train/loss']:.4f}  val {values.get('val/loss', float('nan')):.4f}  "
            f"planned action {values.get('plan/action_rms', float('nan')):.3f}  "
            f"lr {values['train/learning_rate']:.1e}  ETA {eta}"
        )

    def _save(self) -> None:
        if self._ranks.is_first:
            self._folder.save(self._state(), self.step)

    def _state(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "kind": KIND,
            "step": self.step,
            "model": dataclasses.asdict(self.model.config),
            "spec": self.spec.to_json(),
            "ema": self.average.model.state_dict(),
            "ema_updates": self.average.updates,
            "best": self._best,
            "best_by": self._best_by,
            "provenance": self._provenance,
            "latent": self._latent,
        }


def read_state(path: Path, device: str) -> dict[str, Any]:
    """A checkpoint of this trainer. ConfigError for another kind."""
    state = load_checkpoint(path, device)
    if state.get("kind") != KIND:
        raise ConfigError(f"{path.name}: is a tracker's checkpoint, not a diffusion model's")
    return state


def load_model(path: Path, device: str = "cpu") -> tuple[DiffusionSpec, TokenTransformer]:
    """Spec and averaged network of a checkpoint, in evaluation mode."""
    state = read_state(path, device)
    spec = DiffusionSpec.from_json(state["spec"], path.name)
    model = TokenTransformer(ModelConfig(**state["model"]), spec).to(device)
    model.load_state_dict(state["ema"])
    return spec, model.eval().requires_grad_(False)
