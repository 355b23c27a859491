"""The words of the report about the task classification."""

from lipschitz.tasks.wording import Wording

WORDING = Wording(
    lead="The same classifier, the same images in the same order, the same seeds: "
    "only the Lipschitz constraint changes.",
    network="Classifier",
    floor="class frequencies",
    meaning="“Class frequencies” is what a classifier reaches that knows how frequent the classes are, and never looks "
    "at an image. D is the classifier, the map from an image to all logits; Lip(D) is that of this map.",
    real="test images",
    fake="generated",
    timed=("ms_discriminator_step",),
    places={"real": "test images"},
    axes_reach_floor=False,
    shares_tables=False,
    judged_places=("test",),
    replaced=(
        ("real and generated samples", "test images"),
        ("discriminator", "classifier"),
        ("Discriminator", "Classifier"),
    ),
)
