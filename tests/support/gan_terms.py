"""The terms of a small GAN on images. A test replaces the fields that it is about."""

from dataclasses import replace
from typing import Any

import torch

from lipschitz.constraints.none import NoConstraint
from lipschitz.models.dcgan import DCGAN
from lipschitz.tasks.losses import Hinge
from lipschitz.tasks.settings import SETTINGS
from lipschitz.tasks.terms import Evaluation, Terms, Training

TERMS = Terms(
    DCGAN(width=4),
    (NoConstraint(),),
    Hinge(),
    SETTINGS["C"],
    0,
    Training(steps=100, batch_size=8),
    Evaluation(samples=32, gradient_samples=8),
    selection="frechet_classifier",
    device=torch.device("cpu"),
)


def with_terms(terms: Terms, **fields: Any) -> Terms:
    """Return the terms with changed fields of the terms, of their training or of their evaluation."""
    training = {name: fields.pop(name) for name in Training.model_fields if name in fields}
    evaluation = {name: fields.pop(name) for name in Evaluation.model_fields if name in fields}
    return replace(
        terms,
        training=terms.training.model_copy(update=training),
        evaluation=terms.evaluation.model_copy(update=evaluation),
        **fields,
    )
