"""Values recorded of training losses."""

from lipschitz.metrics.description import Description

LOSSES = (
    Description(
        name="loss",
        title="Loss",
        better=None,
        unit="",
        source="",
        summary="Training loss of the network after the slash, its constraint's penalty left out.",
    ),
    Description(
        name="loss_mean",
        title="Loss, mean of the last 50 updates",
        better=None,
        unit="",
        source="",
        summary="Mean over its last 50 updates of the loss of the network after the slash; of all where it had fewer.",
    ),
)
