"""An example of every field of a sweep file, as it is written there. A test checks each of them."""

from typing import Any

TOP = {
    "name": "name: mine",
    "task": "task: generation",
    "datasets": "datasets: [eight_gaussians, {mnist: {size: 32}}, {folder: {folder: faces, size: 64}}]",
    "models": "models: [auto, {dcgan: {width: 16}}]",
    "constraints": """\
constraints:
  - none
  - spectral_normalization
  - weight_clipping: {c: 0.1}                                      # with a hyperparameter
  - [spectral_normalization, {gradient_penalty: {weight: 1.0}}]    # both at once""",
    "generator_constraints": "generator_constraints: [spectral_normalization]",
    "losses": "losses: [hinge, wasserstein]",
    "logging": "logging: [csv]",
    "settings": "settings: [A, C, {lr: 1e-3, betas: [0.0, 0.9], n_dis: 5}]",
    "seeds": "seeds: [0, 1, 2, 3, 4]",
    "select": "select: {metric: fid/sngan, at: best}",
    "training": "training: {steps: 20000, batch_size: 64}",
    "evaluation": "evaluation: {every: 2000, protocols: [sngan, modern]}",
    "parts": """\
parts:
  - datasets: [eight_gaussians]
    training: {steps: 1000}
  - datasets: [digits]
    models: [{dcgan: {width: 8}}]
    training: {steps: 500, batch_size: 32}""",
}
"""By top-level key."""

NESTED = {
    "training": {
        "steps": "steps: 20000",
        "seconds": "seconds: 60",
        "epochs": "epochs: 30",
        "batch_size": "batch_size: 32",
        "ema": "ema: 0.999",
        "ema_start": "ema_start: 1000",
        "generator_batch_size": "generator_batch_size: 128",
        "precision": "precision: tf32",
        "layout": "layout: channels_last",
        "augment": "augment: [flip, {diffaugment: {cutout: false}}]",
    },
    "evaluation": {
        "every": "every: 2000",
        "samples": "samples: 5000",
        "gradient_samples": "gradient_samples: 64",
        "exact": "exact: every",
        "select": "select: fid/sngan",
        "protocols": "protocols: [sngan, {modern: {n_fake: 10000}}]",
        "metrics": "metrics: [docs/examples/mean_distance.py:MeanDistance]",
    },
    "select": {
        "from": "from: results/tuning",
        "metric": "metric: fid/sngan",
        "at": "at: best",
        "per": "per: [dataset, constraint]",
    },
    "settings": {
        "optimiser": "optimiser: rmsprop",
        "lr": "lr: 1e-3",
        "betas": "betas: [0.0, 0.9]",
        "n_dis": "n_dis: 5",
        "n_dis_start": "n_dis_start: 100",
        "discriminator_lr": "discriminator_lr: 4e-4",
        "discriminator_optimiser": "discriminator_optimiser: {muon: {weight_decay: 0.1}}",
        "decay": "decay: cosine",
        "decay_at": "decay_at: [0.5, 0.75]",
        "decay_every": "decay_every: 0.1",
        "decay_factor": "decay_factor: 0.5",
    },
}
"""By key and field of its record."""

REQUIRED: dict[str, dict[str, Any]] = {"folder": {"folder": "faces", "size": 64}, "npz": {"file": "images.npz"}}
"""Values of fields that have no default, by the data set's name."""
