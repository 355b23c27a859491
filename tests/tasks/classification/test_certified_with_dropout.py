"""With dropout, what is recorded of a classifier is of its eval mode: accuracy, bracket, attacks and certificates."""

import pytest
import torch
from small_classification_task import classification

from lipschitz.constraints.base import Constraint
from lipschitz.constraints.cayley import Cayley
from lipschitz.constraints.cpl import CPL
from lipschitz.metrics.robustness import EPSILONS
from lipschitz.models.base import ClassifierModel
from lipschitz.models.gouk_cnn import GoukCNN
from lipschitz.models.mlp_classifier import MLPClassifier

MODELS: list[ClassifierModel] = [
    MLPClassifier(width=8, depth=1, dropout=0.9),
    GoukCNN(width=1, activation="leaky_relu", dropout=0.9, conv_dropout=0.9),
]


@pytest.mark.usefixtures("brief_bracket")
@pytest.mark.parametrize("method", [CPL, Cayley])
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name())
def test_what_is_recorded_is_of_the_eval_mode(method: type[Constraint], model: ClassifierModel) -> None:
    task = classification(method(), model=model)
    for step in range(3):
        task.step(step / 3)
    torch.manual_seed(0)
    values = task.evaluate("a") | task.evaluate_at_end()
    torch.manual_seed(1)
    assert task.evaluate("a") | task.evaluate_at_end() == values, "no unit is dropped"
    assert all(module.training for module in task.classifier.modules())
    assert 0 < values["lipschitz_lower"] <= values["lipschitz_upper"] <= 1 + 1e-6
    # Trained behind dropout of nine units in ten, a bound of the training mode would be far above one.
    assert all(values[f"certified_accuracy/{e:.3g}"] <= values[f"pgd_accuracy/{e:.3g}"] for e in EPSILONS)
    assert values["pgd_accuracy/0.141"] <= values["accuracy/test"]
    assert values["spectral_complexity/operator"] > 0
