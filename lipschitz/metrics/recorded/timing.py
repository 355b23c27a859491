"""Values of the timing pass: time of a step, memory, throughput."""

from lipschitz.metrics.description import Description

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
        summary="What a run adds during the timing pass, data aside: its peak on CUDA, to the largest RSS on the CPU.",
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
