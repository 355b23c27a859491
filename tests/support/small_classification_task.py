"""The task classification with a small perceptron on a few images whose class is their brightness."""

import torch

from lipschitz.constraints.base import Constraint
from lipschitz.constraints.none import NoConstraint
from lipschitz.datasets.images.image_data import ImageData, Split
from lipschitz.models.base import ClassifierModel
from lipschitz.models.mlp_classifier import MLPClassifier
from lipschitz.tasks.augmentation import Augmentation
from lipschitz.tasks.classification.classifier_training import ClassifierTraining
from lipschitz.tasks.classification.penalised import Scalar
from lipschitz.tasks.losses import ClassifierLoss, CrossEntropy
from lipschitz.tasks.optimisers import SGD
from lipschitz.tasks.settings import Setting
from lipschitz.tasks.terms import Evaluation, Terms, Training

CPU = torch.device("cpu")
CLASSES = 3
MODEL, LOSS = MLPClassifier(width=8, depth=2), CrossEntropy()
SETTING = Setting(optimiser=SGD(momentum=0.9, nesterov=True), lr=0.05, decay="cosine")


def split(n: int, seed: int) -> Split:
    """Return ``n`` noisy images ``(1, 4, 4)``: of class k, grey levels from 80 k to 80 k + 95."""
    labels = torch.arange(n) % CLASSES
    noise = torch.randint(96, (n, 1, 4, 4), generator=torch.Generator().manual_seed(seed))
    return Split((80 * labels.view(-1, 1, 1, 1) + noise).to(torch.uint8), labels)


def images(device: torch.device = CPU, n: int = 60) -> ImageData:
    return ImageData.load(split(n, 0), split(30, 1), device, CLASSES)


def classification(
    *constraints: Constraint,
    data: ImageData | None = None,
    model: ClassifierModel = MODEL,
    setting: Setting = SETTING,
    loss: ClassifierLoss = LOSS,
    seed: int = 0,
    train_size: int | None = None,
    validation: float = 0.1,
    scalar: Scalar = "loss",
    augment: tuple[Augmentation, ...] = (),
    device: torch.device = CPU,
    steps: int = 100,
) -> ClassifierTraining:
    return ClassifierTraining(
        data or images(device),
        Terms(
            model,
            constraints or (NoConstraint(),),
            loss,
            setting,
            seed,
            Training(steps=steps, batch_size=8, augment=augment),
            Evaluation(samples=30, gradient_samples=4),
            selection="accuracy/validation" if validation else "cross_entropy/train",
            device=device,
        ),
        train_size=train_size,
        validation=validation,
        scalar=scalar,
    )
