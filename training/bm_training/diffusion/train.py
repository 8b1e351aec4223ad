"""`bm train diffusion`. Also `python -m bm_training.diffusion.train` with its options."""

from __future__ import annotations

import dataclasses
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bm_training.run_control import deadline_of, report, repository_commit, run_as_module, stopped_by_signals

if TYPE_CHECKING:
    from bm_core.diffusion.layout import TokenLayout
    from bm_training.diffusion.fit import SpecConfig
    from bm_training.diffusion.gate import Gate, GateConfig
    from bm_training.diffusion.model import ModelConfig
    from bm_training.diffusion.objective import ObjectiveConfig
    from bm_training.diffusion.rollout_file import Manifest, Rollouts
    from bm_training.diffusion.trainer import Trainer, TrainerConfig
    from bm_training.tracking.distributed import Ranks


@dataclass(frozen=True, kw_only=True)
class TrainDiffusion:
    """Train the diffusion model on collected rollouts. Exit 0 trained (also when stopped), 2 could not run."""

    data: str
    """Folders of collections (manifest.json and its shards), separated by commas."""
    latent: Path | None = None
    """For collections of latents: the run of `bm train latent` they are from; its decoder travels with the model."""
    run_dir: Path
    """Folder of the run: checkpoints/, TensorBoard events, log.jsonl."""
    model: Literal["large", "small", "tiny"] = "large"
    """About 20 M parameters, 5 M (for a CPU), or 0.2 M (to try things)."""
    state: Literal["body_pos", "joint_rot"] = "body_pos"
    """What a state token says beside the root."""
    steps_per_token: int = 2
    """Control steps of 20 ms per token; 1 is the paper's literal 50 Hz."""
    supervised: int = 8
    """Action tokens from the present on that are trained; a plan may be run no further."""
    emphasis: Literal["symmetric", "random", "none"] = "symmetric"
    """Random mixtures that make the root count more."""
    emphasis_factor: float = 6.0
    clean_history: float = 0.5
    """Share of windows with a clean history."""
    shared_levels: float = 0.5
    """Share of windows whose future tokens share one noise level, as in a sampling loop."""
    committed: float = 0.0
    """Share of the windows with a clean history that also give the first actions of the future, as late plans do."""
    most_committed: int = 3
    """Action tokens that they give at most."""
    forgotten: float = 0.0
    """Share of the windows with a clean history in which its actions are not told."""
    dropout: float | None = None
    """Default: the model's own."""
    action_weight: float = 1.0
    """Of the action loss beside the state loss."""
    mirror: bool | None = None
    """Exchange left and right in half of the windows. Default: for joint actions; latents have no mirror image."""
    device: str | None = None
    """cuda:0, cpu, ...; default: a GPU where there is one. With torchrun: one process per GPU."""
    max_steps: int = 200_000
    """Optimiser steps in all, those before a resume included."""
    max_minutes: float | None = None
    """Stop after this time and save; the learning rate's cosine ends there if max_steps come later."""
    batch: int = 512
    """Windows per step and process."""
    learning_rate: float = 1e-4
    warmup_steps: int = 10_000
    bf16: bool = False
    """Autocast to bfloat16."""
    compile: bool = False
    """torch.compile the network."""
    validation: float = 0.02
    """Share of the episodes."""
    verify: bool = True
    """Compare the shards with the manifest's hashes first."""
    log_interval: int = 50
    val_interval: int = 1000
    save_interval: int = 5000
    """Steps between lines of the log, validations, checkpoints."""
    gate_interval: int = 0
    """Steps between closed loops (Walk + Perturb in Isaac Lab, first process); they decide on best.pt. 0: none."""
    gate_envs: int = 256
    """Robots in them."""
    gate_seconds: float = 15.0
    """Of each closed loop."""
    gate_backend: Literal["newton", "ovphysx", "physx"] = "newton"
    """Their physics."""
    gate_teacher: Path | None = None
    """Tracker that walks the robots in. Default: the shipped one."""
    seed: int = 0
    resume: Path | None = None
    """Run or checkpoint to continue: averaged weights, step and spec, with a fresh optimiser."""
    json: Path | None = None
    """Also write a summary as one JSON document."""

    def __call__(self) -> int:
        started = time.monotonic()
        from bm_training.comma_list import named_parts
        from bm_training.diffusion.rollout_file import load_collections
        from bm_training.tracking.checkpoint import check_run_dir
        from bm_training.tracking.distributed import join

        # All that can be refused without the data, which takes minutes to read, and without a simulator.
        folders = [Path(part) for part in named_parts("--data", self.data.split(","))]
        check_run_dir(self.run_dir, self.resume)
        settings = self._settings(started)
        ranks = join(self.device)
        try:
            state = self._resumed(ranks.device)
            manifests, rollouts = load_collections(folders, verify=self.verify)
            for folder, manifest in zip(folders, manifests, strict=True):
                report(f"{folder}: {manifest.episodes} episodes, {manifest.hours:.2f} h")
            decoder = self._decoder(manifests[0])
            with self._gate(settings, ranks) as gate:
                trainer = self._trainer(settings, manifests, rollouts, ranks, state, decoder, gate)
                with stopped_by_signals(trainer.stop):
                    values = trainer.learn()
        finally:
            ranks.close()
        if self.json is not None and ranks.is_first:
            _write_summary(self.json, trainer.step, values)
        return 0

    # -- parts

    def _settings(self, started: float) -> _Settings:
        """ConfigError for a value that cannot be trained with."""
        from bm_training.diffusion.fit import SpecConfig
        from bm_training.diffusion.gate import GateConfig
        from bm_training.diffusion.model import MODELS
        from bm_training.diffusion.objective import ObjectiveConfig
        from bm_training.diffusion.trainer import TrainerConfig
        from bm_training.require import require

        require(0.0 <= self.validation < 1.0, "validation", self.validation, "a share, at least 0, below 1")
        model = MODELS[self.model]
        return _Settings(
            trainer=TrainerConfig(
                run_dir=self.run_dir,
                max_steps=self.max_steps,
                batch=self.batch,
                learning_rate=self.learning_rate,
                warmup_steps=self.warmup_steps,
                is_bf16=self.bf16,
                is_compiled=self.compile,
                log_interval=self.log_interval,
                val_interval=self.val_interval,
                save_interval=self.save_interval,
                gate_interval=self.gate_interval,
                seed=self.seed,
                deadline=deadline_of(started, self.max_minutes),
            ),
            objective=ObjectiveConfig(
                clean_history=self.clean_history,
                shared_levels=self.shared_levels,
                committed=self.committed,
                most_committed=self.most_committed,
                forgotten=self.forgotten,
                action_weight=self.action_weight,
            ),
            spec=SpecConfig(emphasis=self.emphasis, emphasis_factor=self.emphasis_factor, seed=self.seed),
            model=model if self.dropout is None else dataclasses.replace(model, dropout=self.dropout),
            gate=GateConfig(
                robots=self.gate_envs,
                seconds=self.gate_seconds,
                teacher=self.gate_teacher,
                backend=self.gate_backend,
                seed=self.seed,
            ),
        )

    def _resumed(self, device: str) -> dict[str, Any] | None:
        from bm_training.diffusion.trainer import read_state
        from bm_training.tracking.checkpoint import find_checkpoint

        return None if self.resume is None else read_state(find_checkpoint(self.resume), device)

    def _gate(self, settings: _Settings, ranks: Ranks) -> AbstractContextManager[Gate | None]:
        if self.gate_interval == 0 or not ranks.is_first:
            return nullcontext()
        from bm_training.diffusion.gate import simulated_gate

        return simulated_gate(settings.gate, ranks.device)

    def _trainer(
        self,
        settings: _Settings,
        manifests: list[Manifest],
        rollouts: Rollouts,
        ranks: Ranks,
        state: dict[str, Any] | None,
        decoder: dict[str, Any] | None,
        gate: Gate | None,
    ) -> Trainer:
        """`state`: checkpoint to go on from, None for a new run."""
        import torch

        from bm_core.atomic_file import atomic_write_text
        from bm_core.diffusion.spec import DiffusionSpec
        from bm_core.g1 import G1
        from bm_training.diffusion.fit import fit_spec
        from bm_training.diffusion.model import TokenTransformer
        from bm_training.diffusion.trainer import Trainer
        from bm_training.diffusion.windows import Windows, split_episodes

        layout, representation = self._layout(manifests[0])
        kept, held_out = split_episodes(rollouts.episodes, self.validation, self.seed)
        training = Windows(rollouts, kept, layout, representation, ranks.device)
        validation = Windows(rollouts, held_out, layout, representation, ranks.device)
        if state is None:
            spec = fit_spec(training, settings.spec)
        else:
            # More data may have come: the scaling that the weights were trained with stays.
            spec = DiffusionSpec.from_json(state["spec"], "resume")
            self._check_resumed(layout, spec)
        torch.manual_seed(self.seed)
        model = TokenTransformer(settings.model, spec).to(ranks.device)
        if ranks.is_first:
            size = f"{model.num_parameters / 1e6:.1f} M parameters"
            report(f"{len(training)} windows, {len(validation)} to validate; {size}")
        is_mirrored = manifests[0].action_width == len(G1.joint_names) if self.mirror is None else self.mirror
        trainer = Trainer(
            model,
            spec,
            training,
            validation,
            dataclasses.replace(settings.trainer, mirror=is_mirrored),
            settings.objective,
            ranks,
            report,
            self._provenance(manifests),
            decoder,
            gate,
        )
        if state is not None:
            trainer.resume(state)
            report(f"resumed at step {trainer.step}")
        if ranks.is_first:
            atomic_write_text(self.run_dir / "checkpoints" / "diffusion_spec.json", spec.to_json())
        return trainer

    def _decoder(self, manifest: Manifest) -> dict[str, Any] | None:
        from bm_core.errors import ConfigError
        from bm_core.g1 import G1
        from bm_training.diffusion.latent_model import read_latent

        is_joint = manifest.action_width == len(G1.joint_names)
        if is_joint != (self.latent is None):
            raise ConfigError(
                "--latent: the data holds joint actions, leave it out"
                if is_joint
                else f"the data holds latents ({manifest.action_width} numbers); give the run they are from as --latent"
            )
        return None if self.latent is None else read_latent(self.latent, "cpu")

    def _layout(self, manifest: Manifest) -> tuple[TokenLayout, Any]:
        from bm_core.diffusion.layout import TokenLayout
        from bm_core.diffusion.state import StateRepresentation

        layout = TokenLayout(
            steps_per_token=self.steps_per_token, supervised=self.supervised, step_width=manifest.action_width
        )
        return layout, StateRepresentation(self.state)

    def _check_resumed(self, layout: TokenLayout, spec: Any) -> None:
        from bm_core.errors import ConfigError

        if spec.layout != layout or spec.state != self.state:
            raise ConfigError(
                "--resume: the run has other tokens; give the same --state, --steps-per-token, --supervised"
            )

    def _provenance(self, manifests: list[Manifest]) -> dict[str, Any]:
        options = {name: str(value) for name, value in dataclasses.asdict(self).items()}
        return {
            "commit": repository_commit(),
            "data_sha256": [manifest.sha256 for manifest in manifests],
            "data": [manifest.provenance for manifest in manifests],
            "options": options,
        }


@dataclass(frozen=True, kw_only=True)
class _Settings:
    """The options, checked."""

    trainer: TrainerConfig
    """`mirror` is decided by the data."""
    objective: ObjectiveConfig
    spec: SpecConfig
    model: ModelConfig
    gate: GateConfig


def _write_summary(path: Path, steps: int, values: dict[str, float]) -> None:
    from bm_sim2real.result_json import write_result

    summary = {
        "steps": int(values.get("time/windows", 0.0)),
        "steps_per_second": values.get("time/windows_per_second", 0.0),
        "iterations": steps,
        "val_loss": values.get("val/loss"),
    }
    write_result(path, command="train diffusion", rows=[values], summary=summary, passed=True)


if __name__ == "__main__":
    sys.exit(run_as_module(TrainDiffusion, "bm train diffusion"))
