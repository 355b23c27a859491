"""Which quantities have a geometric mean: positive ones that span orders of magnitude."""

from functools import cache

from lipschitz.report.reading.metric_names import base

_DISTANCES = (
    *("w1", "w1_classifier", "w1_random", "w1_error"),
    *("fid", "frechet_classifier", "frechet_random", "intra_frechet_classifier"),
    *("l2", "l2_float32"),
    *("d_star_error", "log_ratio_error", "log_ratio_gradient_error"),
)
_LIPSCHITZ_CONSTANTS = (
    *("lipschitz_lower", "lipschitz_exact", "lipschitz_upper", "lipschitz_upper_product", "lipschitz_ratio"),
    *("sigma_reshaped", "sigma_operator", "sigma_upper", "largest_sigma_reshaped", "largest_sigma_operator"),
    *("sigma_product", "spectral_complexity"),
)
_NORMS = ("gradient_norm", "gradient_norm_max", "generator_gradient", "logit_change", "logit_change_max")
GEOMETRIC_METRICS = frozenset((*_DISTANCES, *_LIPSCHITZ_CONSTANTS, *_NORMS))
"""Names of the catalogue, and of the summary. A metric has one mean in every table and figure, whatever its values."""
IN_WORDS = "distances, norms and Lipschitz constants"


@cache
def is_geometric(metric: str) -> bool:
    """Return whether the mean over seeds of a recorded metric is geometric, with the interval of its logarithm."""
    return base(metric) in GEOMETRIC_METRICS
