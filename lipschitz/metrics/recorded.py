"""Descriptions of recorded values that no metric measures: critics, layers, Lipschitz bounds, losses, timing."""

from lipschitz.metrics.description import Description
from lipschitz.metrics.recorded_robustness import ROBUSTNESS

CRITICS = (
    Description(
        name="cosine",
        title="Cosine to the optimal gradient",
        better="higher",
        unit="",
        source="Korotin et al. 2022, arXiv:2206.07767, section 4",
        summary="Mean cosine of the gradients of critic and optimal potential, over samples of P.",
    ),
    Description(
        name="l2",
        title="Squared gradient error",
        better="lower",
        unit="",
        source="Korotin et al. 2022, arXiv:2206.07767, section 4",
        summary="Mean squared distance of the gradients of critic and optimal potential, over samples of P.",
    ),
    Description(
        name="w1_dual",
        title="W1 by the critic",
        better=None,
        unit="",
        source="Arjovsky et al. 2017, arXiv:1701.07875, eq. 2",
        summary="Dual value: mean of the critic over P less that over Q, as it is, not divided by any constant.",
    ),
    Description(
        name="w1_error",
        title="Relative error of W1",
        better=None,
        unit="",
        source="",
        summary="Distance of the dual value from the true W1, relative to that.",
    ),
    Description(
        name="w1_over_lower",
        title="W1 by the critic over the lower bound on Lip(D)",
        better=None,
        unit="",
        source="",
        summary="Dual value over the steepest slope found: certifies nothing, as the critic may be steeper.",
    ),
    Description(
        name="w1_over_upper",
        title="W1 by the critic over the upper bound on Lip(D)",
        better="higher",
        unit="",
        source="",
        summary="Dual value over the certified bound of the critic: never above W1 but by the noise of sampling.",
    ),
    Description(
        name="cosine_float32",
        title="Cosine, as published",
        better="higher",
        unit="",
        source="Korotin et al. 2022, arXiv:2206.07767, and its published code",
        summary="Cosine with the optimal gradient as the published code rounds it: zero near a centre of a funnel.",
    ),
    Description(
        name="l2_float32",
        title="Squared gradient error, as published",
        better="lower",
        unit="",
        source="Korotin et al. 2022, arXiv:2206.07767, and its published code",
        summary="Squared gradient error against the optimal gradient as the published code rounds it.",
    ),
    Description(
        name="w1_independent",
        title="W1 by the critic, as published",
        better=None,
        unit="",
        source="Korotin et al. 2022, arXiv:2206.07767, and its published code",
        summary="Dual value over independent draws of P and Q, which is noisier than over the optimal plan.",
    ),
    Description(
        name="d_star_error",
        title="Error of the optimal discriminator",
        better="lower",
        unit="",
        source="Goodfellow et al. 2014, arXiv:1406.2661, Prop. 1",
        summary="Mean distance of sigmoid(D) from p / (p + q), at points of both distributions.",
    ),
    Description(
        name="log_ratio_error",
        title="Error of the log density ratio",
        better="lower",
        unit="nat",
        source="Goodfellow et al. 2014, arXiv:1406.2661, Prop. 1",
        summary="Mean distance of D from log p/q, at points of both distributions.",
    ),
    Description(
        name="log_ratio_gradient_error",
        title="Error of the log ratio's gradient",
        better="lower",
        unit="",
        source="Miyato et al. 2018, arXiv:1802.05957, eq. 4",
        summary="Mean squared distance of the gradients of D and of log p/q, over the mean square of the latter.",
    ),
)


CLASSIFIERS = (
    Description(
        name="accuracy",
        title="Accuracy",
        better="higher",
        unit="",
        source="",
        summary="Share of the images after the slash (train, validation, test) whose largest logit is their class's.",
    ),
    Description(
        name="cross_entropy",
        title="Cross-entropy",
        better="lower",
        unit="nat",
        source="",
        summary="Mean cross-entropy of the softmax of the logits on the images after the slash.",
    ),
)


LAYERS = (
    Description(
        name="sigma_reshaped",
        title="σ of the reshaped kernel",
        better=None,
        unit="",
        source="Miyato et al. 2018, arXiv:1802.05957, section 4",
        summary="Largest singular value of a layer's weight as a matrix; of a convolution, not the operator norm.",
    ),
    Description(
        name="sigma_operator",
        title="σ of the true operator",
        better=None,
        unit="",
        source="Sedghi et al. 2019, arXiv:1805.10408, for why the two differ",
        summary="Largest singular value of the linear map that a layer applies, at its true input size and padding.",
    ),
    Description(
        name="sigma_upper",
        title="Certified bound on σ of the true operator",
        better=None,
        unit="",
        source="Delattre et al. 2023, arXiv:2305.16173, Algorithm 2",
        summary="Upper bound on the largest singular value of the linear map that a layer applies, never below it.",
    ),
    Description(
        name="effective_rank",
        title="Effective rank of the reshaped kernel",
        better=None,
        unit="",
        source="Roy and Vetterli 2007, The effective rank: a measure of effective dimensionality, EUSIPCO",
        summary="Exponential of the entropy of a layer's singular values, normalised to sum to one.",
    ),
)


LIPSCHITZ_BOUNDS = (
    Description(
        name="lipschitz_lower",
        title="Lower bound on Lip(D)",
        better=None,
        unit="",
        source="Scaman and Virmaux 2018, arXiv:1805.10965",
        summary="Largest difference quotient of two points that a search from real and generated samples finds.",
    ),
    Description(
        name="lipschitz_exact",
        title="Exact Lip(D)",
        better=None,
        unit="",
        source="Humayun et al. 2023, arXiv:2302.12828, for the cutting of the plane",
        summary="Largest slope over all linear regions of a piecewise-linear D of one or two inputs, in eval mode.",
    ),
    Description(
        name="lipschitz_upper",
        title="Upper bound on Lip(D)",
        better=None,
        unit="",
        source="Fazlyab et al. 2019, arXiv:1906.04893; Xu and Sivaranjani 2024, arXiv:2404.04375",
        summary="Certified, by semidefinite relaxation of runs of layers; eval mode; ∞ where a part is not Lipschitz.",
    ),
    Description(
        name="lipschitz_upper_product",
        title="Upper bound on Lip(D) by layers",
        better=None,
        unit="",
        source="Szegedy et al. 2013, arXiv:1312.6199, section 4.3",
        summary="Upper bound from the certified bounds of single layers alone, the product bound of the literature.",
    ),
    Description(
        name="lipschitz_ratio",
        title="Upper over lower bound on Lip(D)",
        better=None,
        unit="",
        source="Scaman and Virmaux 2018, arXiv:1805.10965",
        summary="How far the two bounds are apart: the true Lipschitz constant lies between them.",
    ),
    Description(
        name="gradient_norm",
        title="Mean input-gradient norm of D",
        better=None,
        unit="",
        source="Gulrajani et al. 2017, arXiv:1704.00028, section 4",
        summary="Mean norm of the discriminator's input gradient where the samples after the slash lie.",
    ),
    Description(
        name="gradient_norm_max",
        title="Largest input-gradient norm of D",
        better=None,
        unit="",
        source="Gulrajani et al. 2017, arXiv:1704.00028, section 4",
        summary="Largest norm of the discriminator's input gradient where the samples after the slash lie.",
    ),
)


LOSSES = (
    Description(
        name="generator_gradient",
        title="Gradient norm of the generator's loss",
        better=None,
        unit="",
        source="Arjovsky and Bottou 2017, arXiv:1701.04862, section 2.2.1",
        summary="l2 norm by the generator's parameters together, or its mean by generated samples; float64, eval mode.",
    ),
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


TIMING = (
    Description(
        name="ms_discriminator_step",
        title="Time of a discriminator step",
        better="lower",
        unit="ms",
        source="",
        summary="Median time of one discriminator update, synchronised and warm, methods in turn, no run beside it.",
    ),
    Description(
        name="ms_generator_step",
        title="Time of a generator step",
        better="lower",
        unit="ms",
        source="",
        summary="Median time of one generator update, synchronised and warm, methods in turn, no run beside it.",
    ),
    Description(
        name="ms_discriminator_step_uncaptured",
        title="Time of a discriminator step, uncaptured",
        better="lower",
        unit="ms",
        source="",
        summary="Median time of a discriminator update launched kernel by kernel, where training captures what it can.",
    ),
    Description(
        name="ms_iteration",
        title="Time of an iteration",
        better="lower",
        unit="ms",
        source="",
        summary="Median time of n_dis discriminator updates and a generator update, captured as one, no run beside it.",
    ),
    Description(
        name="ms_iteration_uncaptured",
        title="Time of an iteration, uncaptured",
        better="lower",
        unit="ms",
        source="",
        summary="Sum of the median times of its updates, each launched kernel by kernel, no run beside it.",
    ),
    Description(
        name="peak_memory",
        title="Peak memory",
        better="lower",
        unit="MiB",
        source="",
        summary="Most that a run allocates on CUDA in the timing pass, data aside; not measured on a CPU.",
    ),
    Description(
        name="runs_at_once",
        title="Runs at once",
        better=None,
        unit="",
        source="",
        summary="Fewest runs, taking turns in one worker, that reach nearly the best throughput that was measured.",
    ),
    Description(
        name="throughput",
        title="Throughput of the runs at once",
        better=None,
        unit="iterations/s",
        source="",
        summary="Iterations that these runs make together; it is of the device, and no method's cost.",
    ),
)


RECORDED = (*CRITICS, *CLASSIFIERS, *ROBUSTNESS, *LAYERS, *LIPSCHITZ_BOUNDS, *LOSSES, *TIMING)
