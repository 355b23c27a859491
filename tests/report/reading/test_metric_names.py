import pytest

from lipschitz.report.reading.metric_names import MetricName, base, better, heading, parse_metric


@pytest.mark.parametrize(
    ("name", "parts", "recorded"),
    [
        ("w1", ("w1", "", ""), "w1"),
        ("fid/sngan", ("fid", "sngan", ""), "fid/sngan"),
        ("fid/sngan/average [protocol 2]", ("fid", "sngan/average", "protocol 2"), "fid/sngan/average"),
        ("w1 [protocol not known]", ("w1", "", "protocol not known"), "w1"),
        ("kid/modern(n_real=8000)", ("kid", "modern(n_real=8000)", ""), "kid/modern(n_real=8000)"),
    ],
)
def test_a_name_has_a_base_a_place_and_a_variant(name: str, parts: tuple[str, str, str], recorded: str) -> None:
    parsed = parse_metric(name)
    assert parsed == MetricName(*parts)
    assert (parsed.full, parsed.recorded, base(name)) == (name, recorded, parts[0])
    assert parsed.base + parsed.qualifier == name


def test_a_heading_has_the_title_the_qualifier_and_an_arrow() -> None:
    assert heading("fid/sngan [protocol 2]") == "FID/sngan [protocol 2] ↓"
    assert heading("inception_score/sngan") == "Inception Score/sngan ↑"
    assert heading("high_quality") == "High-quality samples (share) ↑"
    assert heading("my_own/place") == "my_own/place"


def test_an_unknown_metric_has_no_good_direction() -> None:
    assert (better("w1"), better("modes"), better("w1_dual"), better("my_own")) == ("lower", "higher", None, None)
