"""The Markdown table of ``speed.py`` for one device: rates, correctness, step times, packs and workers."""

from collections.abc import Iterable, Mapping
from typing import Any

from result_files import markdown_table, provenance_lines

MISSING = "not measured"
TIMES = ("method", "precision", "width", "step", "uncaptured, ms", "captured, ms", "uncaptured / captured")
TIMES += ("captured, x none", "uncaptured, x none", "GFLOP", "TFLOP/s", "of the matrix rate")
PARTS = {"ms_discriminator_step": "discriminator", "ms_generator_step": "generator", "ms_iteration": "iteration"}


def device_table(result: Mapping[str, Any]) -> str:
    """Return all that was measured on one device as Markdown, with its provenance."""
    workload, origin = result["workload"], result["provenance"]
    lines = [
        f"# Speed on {origin['device'].partition(';')[0]}",
        "",
        f"SN-GAN's standard CNN, images 3x{workload['size']}x{workload['size']}, batch {workload['batch_size']}, hinge "
        "loss, setting C. An iteration is a discriminator step, which draws and generates its batch, and a generator "
        "step. Methods take turns, alone on the device. Values are medians; their distribution-free 95 % intervals are "
        "in the JSON file. Uncaptured: launched call by call. Captured: ten calls in a CUDA graph. On a GPU ten calls "
        "are timed at once in both cases. GFLOP count convolutions and matrix products. The matrix rate is that of one "
        "large product in the same precision on the same device. It is no upper limit: convolutions of other shapes "
        "may run faster.",
        "",
        "## Matrix products",
        "",
        *markdown_table(("precision", "TFLOP/s"), *_rates(result)),
        "",
        "## Correctness",
        "",
        "Largest relative distance of a tensor of either network from the same run alone, launched call by call. The "
        "run takes turns with another run: launched call by call, then captured with one stream for each run.",
        "",
        *markdown_table(("method", "in turns with another run", "captured"), *_checks(result)),
        "",
        "## Steps",
        "",
        *markdown_table(TIMES, *_times(result)),
        "",
        "## Several at once",
        "",
        *_packs_and_workers(result["cells"]),
        "",
        *provenance_lines(origin),
    ]
    return "\n".join(lines)


def _rates(result: Mapping[str, Any]) -> list[tuple[str, ...]]:
    asked = [key for key in result["planned"] if key.startswith("rate/")]
    return [(key.partition("/")[2], _shown(result["cells"].get(key), "{:.3g}")) for key in asked]


def _checks(result: Mapping[str, Any]) -> list[tuple[str, ...]]:
    cells = result["cells"]
    methods = [key.partition("/")[2] for key in result["planned"] if key.startswith("turns/")]
    on_cuda = any(key.startswith("captured/") for key in result["planned"])
    captured = [_shown(cells.get(f"captured/{m}"), "{:.1e}") if on_cuda else "no graphs on a CPU" for m in methods]
    return [(m, _shown(cells.get(f"turns/{m}"), "{:.1e}"), c) for m, c in zip(methods, captured, strict=True)]


def _times(result: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    cells = result["cells"]
    for key in (key for key in result["planned"] if key.startswith("times/")):
        _, precision, width, method = key.split("/")
        value = cells.get(key)
        if not isinstance(value, dict) or "launched" not in value:
            yield (method, precision, width, _shown(value, ""), *["-"] * (len(TIMES) - 4))
            continue
        rate, none = cells.get(f"rate/{precision}"), cells.get(f"times/{precision}/{width}/none", {})
        for part, step in PARTS.items():
            launched, captured = (median_ms(value, how, part) for how in ("launched", "captured"))
            gflop = value["gflop"][part]
            best = captured or launched
            tflops = gflop / best if best else None
            yield (
                method,
                precision,
                width,
                step,
                _number(launched),
                _number(captured),
                _number(launched / captured if launched and captured else None, "{:.2f}"),
                *(
                    _number(ms / base if ms and (base := median_ms(none, how, part)) else None, "{:.3f}")
                    for how, ms in (("captured", captured), ("launched", launched))
                ),
                _number(gflop),
                _number(tflops),
                _number(100 * tflops / rate if tflops and isinstance(rate, float) else None, "{:.0f} %"),
            )


def _packs_and_workers(cells: Mapping[str, Any]) -> list[str]:
    """Return the tables of packs and of workers, or a line if neither was measured."""
    packs = [
        (*key.split("/")[1:], str(pack["runs"]), f"{pack['iterations_per_second']:.4g}", f"{pack['memory']:.0f}")
        for key, value in cells.items()
        if key.startswith("packs/") and isinstance(value, list)
        for pack in value
    ]
    workers = [
        (
            key.partition("/")[2],
            str(value["workers"]),
            f"{value['alone']['median']:.4g}",
            f"{value['together']['median']:.4g}",
            f"{value['ratio']['median']:.3f} ({value['ratio']['low']:.3f} – {value['ratio']['high']:.3f})",
        )
        for key, value in cells.items()
        if key.startswith("workers/") and "ratio" in value
    ]
    lines = []
    if packs:
        heads = ("precision", "width", "method", "runs at once", "iterations/s of all", "MiB")
        lines += [
            "Captured runs that take turns in one process, with one stream for each run.",
            "",
            *markdown_table(heads, *packs),
        ]
    if workers:
        heads = ("training", "workers", "iterations/s of one", "of all", "ratio (95 % interval)")
        lines += ["Workers of one thread, each with another run.", "", *markdown_table(heads, *workers)]
    return lines or [MISSING.capitalize() + "."]


def median_ms(value: Any, how: str, part: str) -> float | None:
    """Return the median milliseconds of ``part``, ``launched`` or ``captured``, or None if it was not measured."""
    if not isinstance(value, dict) or how not in value:
        return None
    return float(value[how][part]["median"])


def _shown(value: Any, pattern: str) -> str:
    if value is None:
        return MISSING
    if isinstance(value, float):
        return pattern.format(value)
    return f"failed: {value['failed']}" if isinstance(value, dict) else f"not captured: {value}"


def _number(value: float | None, pattern: str = "{:.4g}") -> str:
    return "-" if value is None else pattern.format(value)
