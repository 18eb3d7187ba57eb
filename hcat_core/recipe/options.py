"""The command line options of the published script; imports nothing heavy, so that help is quick."""

from __future__ import annotations

from dataclasses import dataclass

INPUTS = ("clinical", "semantic", "temporal", "pathological", "spatial")
"""Modalities with an option each, as in the published script; ``--input NAME=FILE`` takes any other."""


@dataclass(frozen=True)
class Option:
    """A command line option of the published script, and the recipe key that it sets.

    ``key`` is dotted; ``losses[use=kl].weight`` is the weight of every loss with ``use = "kl"``.
    """

    name: str
    key: str
    type: type
    help: str


OPTIONS: tuple[Option, ...] = (
    Option("epochs", "training.epochs", int, "passes over the training patients"),
    Option("batch", "training.batch", int, "patients per step"),
    Option("lr", "training.lr", float, "learning rate of AdamW"),
    Option("device", "training.device", str, "auto, cpu, cuda, cuda:1, ..."),
    Option(
        "early_stop_patience",
        "training.early_stop_patience",
        int,
        "stop after so many epochs without gain",
    ),
    Option("d_model", "fusion.d_model", int, "width of the model"),
    Option("n_heads", "fusion.n_heads", int, "attention heads"),
    Option("n_global_layers", "fusion.n_global_layers", int, "layers of the global encoder"),
    Option("dropout", "fusion.dropout", float, "dropout of the fusion"),
    Option("use_advanced_imputation", "imputer.use", bool, "the iterative imputer, or none at all"),
    Option("n_impute_iterations", "imputer.n_iterations", int, "refinements of the imputer"),
    Option("alpha_surv", "losses[head=survival].weight", float, "weight of the survival loss"),
    Option("alpha_rec", "losses[head=recurrence].weight", float, "weight of the recurrence loss"),
    Option("alpha_con", "losses[use=infonce].weight", float, "weight of the contrastive loss"),
    Option("alpha_kl", "losses[use=kl].weight", float, "weight of the KL divergence"),
    Option("alpha_impute", "losses[use=imputation].weight", float, "weight of the imputation loss"),
    Option("moddrop", "training.moddrop", float, "probability that a modality is hidden in training"),
    Option("moddrop_mode", "training.moddrop_mode", str, "per_sample or per_batch"),
    Option("emb_noise", "training.emb_noise", float, "noise on embeddings, in standard deviations"),
)
ADVANCED_IMPUTER = "iterative"
