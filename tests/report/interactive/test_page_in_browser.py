"""The page of a report in a real browser: figures that one explores, tables that sort and filter, no request."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from headless_browser import CUT_ELEMENTS, Opened, headless_browser, opened
from synthetic import METHODS, Plan, write_sweep

from lipschitz.report.style import styles
from lipschitz.report.write import report

ENDS = {("eight_gaussians", "weight_clipping", 1): "diverged"}
LABELS = "Object.values(explorer.charts).map((chart) => chart.data.datasets.map((one) => one.label))"
AXIS = "((chart) => [chart.scales.x.type, [chart.scales.x.options.title.text].flat().join(' ')])(explorer.charts.final)"
OVERVIEW = "details.part table.sortable >> nth=0"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = write_sweep(tmp_path_factory.mktemp("browser"), Plan(pictures=False, ends=ENDS))
    report(made, limit_panels=4)
    return made


@pytest.fixture(scope="module")
def browser(folder: Path) -> Iterator[Any]:
    with headless_browser() as started:
        yield started


@pytest.fixture
def shown(browser: Any, folder: Path) -> Iterator[Opened]:
    with opened(browser, folder / "index.html") as found:
        yield found
        assert found.messages == []
        assert all(address.startswith(("file:", "data:")) for address in found.requests)


def column(page: Any, number: int) -> list[str]:
    return [text.strip() for text in page.locator(f"{OVERVIEW} >> tbody tr td:nth-child({number})").all_inner_texts()]


def wait_for_order(page: Any, first: str) -> None:
    page.wait_for_function(
        "first => document.querySelector('details.part table.sortable').tBodies[0].rows[0].textContent.includes(first)",
        arg=first,
    )


def test_the_page_asks_for_nothing_but_its_own_pictures(shown: Opened, folder: Path) -> None:
    own = folder.resolve().as_uri()
    assert shown.page.locator("#explore").is_visible()
    assert [address for address in shown.requests if not address.startswith(own)] == []
    assert (folder / "index.html").stat().st_size < 3_000_000


def test_the_page_forbids_itself_every_request(browser: Any, folder: Path) -> None:
    with opened(browser, folder / "index.html") as found:
        answer = found.page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')")
        assert answer == "refused"
        assert any("Content Security Policy" in message for message in found.messages)


def test_a_table_sorts_by_number_and_by_name(shown: Opened) -> None:
    page, methods = shown.page, list(METHODS)
    assert column(page, 1) == methods
    page.locator(f"{OVERVIEW} >> thead tr:last-child th:nth-child(4)").click()
    wait_for_order(page, "none")
    assert column(page, 1) == [methods[place] for place in (0, 1, 3, 2, 4)]
    page.locator(f"{OVERVIEW} >> thead tr:last-child th:nth-child(4)").click()
    wait_for_order(page, "spectral_normalization")
    assert column(page, 1) == [methods[place] for place in (4, 2, 3, 1, 0)]
    page.locator(f"{OVERVIEW} >> thead tr:last-child th:nth-child(8)").press("Enter")
    wait_for_order(page, "gradient_penalty")
    assert column(page, 8)[0] == "∞"
    page.locator(f"{OVERVIEW} >> thead tr:last-child th:nth-child(1)").click()
    wait_for_order(page, "weight_clipping")
    assert column(page, 1) == sorted(methods, reverse=True)


def test_the_row_of_real_data_stays_last(shown: Opened) -> None:
    page = shown.page
    quality = page.locator("table.sortable", has=page.locator("tfoot")).first
    assert "real data" in quality.locator("tfoot").text_content()
    assert "real data" not in quality.locator("tbody").text_content()


def test_a_table_shows_the_rows_that_hold_all_words(shown: Opened) -> None:
    page = shown.page
    page.locator("details.part .filter input").first.fill("spectral NORM")
    rows = page.locator(f"{OVERVIEW} >> tbody tr:visible")
    assert rows.count() == 1
    assert page.locator("details.part .filter output").first.inner_text() == "1 of 5 rows"
    page.locator("details.part .filter input").first.fill("")
    assert rows.count() == 5


def test_a_hidden_method_leaves_all_figures(shown: Opened) -> None:
    page = shown.page
    assert all(set(labels) == set(METHODS) for labels in page.evaluate(LABELS))
    page.get_by_role("checkbox", name="weight_clipping").uncheck()
    found = page.evaluate(LABELS)
    assert len(found) == 3
    assert all(set(labels) == set(METHODS) - {"weight_clipping"} for labels in found)
    page.get_by_role("button", name="hide all").click()
    assert page.locator("#explore canvas:visible").count() == 0
    page.get_by_role("button", name="show all").click()
    assert all(set(labels) == set(METHODS) for labels in page.evaluate(LABELS))


def test_metric_scale_data_set_and_axis_are_switched(shown: Opened) -> None:
    page = shown.page
    assert page.evaluate(AXIS) == ["logarithmic", "W1 to held-out data ↓"]
    page.locator("#choose-scale").select_option("linear")
    assert page.evaluate(AXIS)[0] == "linear"
    page.locator("#choose-metric").select_option(label="High-quality samples (share) ↑")
    first = page.evaluate("explorer.charts.final.data.datasets.map((one) => one.mean)")
    assert first == sorted(first, reverse=True)
    page.locator("#choose-along").select_option("seconds")
    assert page.evaluate("explorer.charts.training.scales.x.options.title.text") == "Seconds of training"
    page.locator("#choose-comparison").select_option(label="digits, dcgan(width=16), hinge loss, setting C")
    assert page.evaluate(AXIS)[1] == "Fréchet distance, reference classifier ↓"
    page.locator("#choose-other").select_option("lipschitz_lower")
    assert "ower bound" in str(page.evaluate("explorer.charts.against.scales.x.options.title.text"))


def test_a_mark_shows_its_value_and_marks_the_rows_of_its_method(shown: Opened) -> None:
    page = shown.page
    canvas = page.locator("#figure-final canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    at = page.evaluate("(({x, y}) => ({x, y}))(explorer.charts.final.getDatasetMeta(1).data[0])")
    page.mouse.move(box["x"] + at["x"], box["y"] + at["y"])
    page.wait_for_function("() => explorer.charts.final.tooltip.opacity === 1")
    (text,) = page.evaluate("explorer.charts.final.tooltip.body.flatMap((one) => one.lines)")[:1]
    assert text.startswith("gradient_penalty: 0.1")
    assert text.endswith(", n = 3")
    assert set(page.locator("tr.linked td:first-child").all_text_contents()) == {"gradient_penalty"}
    page.mouse.move(0, 0)
    assert page.locator("tr.linked").count() == 0


def test_a_chosen_row_highlights_its_lines_until_it_is_let_go(shown: Opened) -> None:
    page = shown.page
    colour = "explorer.charts.training.data.datasets.map((one) => [one.label, one.borderColor])"
    looks = {name: style.colour for name, style in styles(METHODS).items()}
    assert dict(page.evaluate(colour)) == looks
    page.locator(f"{OVERVIEW} >> tbody tr", has_text="spectral_regularization").click()
    page.mouse.move(0, 0)
    page.wait_for_function("() => explorer.charts.training.data.datasets[0].borderColor === '#d8d8d8'")
    found = dict(page.evaluate(colour))
    assert found.pop("spectral_regularization") == looks["spectral_regularization"]
    assert set(found.values()) == {"#d8d8d8"}
    page.keyboard.press("Escape")
    page.wait_for_function("() => explorer.charts.training.data.datasets[0].borderColor !== '#d8d8d8'")
    assert dict(page.evaluate(colour)) == looks


def test_a_link_opens_the_folded_part_that_it_leads_to(shown: Opened) -> None:
    page = shown.page
    assert not page.locator("table.facts").last.is_visible()
    page.locator("nav a", has_text="Provenance").click()
    page.locator("table.facts").last.wait_for(state="visible", timeout=3000)


@pytest.mark.parametrize("width", [420, 1400])
def test_nothing_is_cut(browser: Any, folder: Path, width: int) -> None:
    with opened(browser, folder / "index.html", width) as found:
        found.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert found.page.evaluate("document.documentElement.scrollWidth") == width
        assert found.page.evaluate(CUT_ELEMENTS) == []
        assert found.messages == []


def test_on_a_phone_the_text_of_a_figure_keeps_its_size(browser: Any, folder: Path) -> None:
    with opened(browser, folder / "index.html", 420) as found:
        figure = found.page.locator("figure > a.scroll > img").first
        assert figure.evaluate("(one) => one.clientWidth") == int(figure.get_attribute("width")) > 420


def test_without_javascript_the_figures_and_tables_stand(browser: Any, folder: Path) -> None:
    with opened(browser, folder / "index.html", java_script_enabled=False) as found:
        assert not found.page.locator("#explore").is_visible()
        assert found.page.locator("figure img:visible").count() >= 2
        assert found.page.locator("table:visible").count() >= 1
        assert found.page.locator("input").count() == 0
