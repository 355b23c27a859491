"""Descriptions of recorded values that no metric measures, in the order of tables.

- critics: of critics with known optimal transport. layers: σ of each layer. losses: of training.
- lipschitz_bounds: of the whole discriminator. timing: of the timing pass.
"""

from lipschitz.metrics.recorded.critics import CRITICS
from lipschitz.metrics.recorded.layers import LAYERS
from lipschitz.metrics.recorded.lipschitz_bounds import LIPSCHITZ_BOUNDS
from lipschitz.metrics.recorded.losses import LOSSES
from lipschitz.metrics.recorded.timing import TIMING

RECORDED = (*CRITICS, *LAYERS, *LIPSCHITZ_BOUNDS, *LOSSES, *TIMING)
