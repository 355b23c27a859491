"""The page about Python: its blocks run one after the other, and every name of the API is on it."""

import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import lipschitz as lip
from lipschitz.api import sweep

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "python.md").read_text()
SHORT = "[none]\nseeds: [0]\nmodels: [{mlp: {width: 16, depth: 1}}]\nevaluation: {samples: 64}"
ENGINE = Path(__file__).parents[1] / "support" / "in_process_engine.py"


@pytest.mark.usefixtures("brief_brackets")
def test_the_blocks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    # Few steps, in this process; without plots, which have tests of their own.
    few = partial(sweep.sweep, engine=f"{ENGINE}:Untimed", device="cpu", workers=1, limit_steps=4, report=False)
    monkeypatch.setattr(sweep, "sweep", few)
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL):
        short = block.replace("range(200)", "range(20)")
        exec(short.replace("[none, spectral_normalization]", SHORT), names)
    assert names["samples"].shape == (64, 2)
    assert names["measurement"].lower <= names["measurement"].upper * (1 + 1e-9)
    assert list(names["w1"]["constraint"]) == ["real data", "none"]
    assert "torch.Size([64, 2])" in capsys.readouterr().out


@pytest.mark.parametrize("name", [*lip.API, "sweep"])
def test_every_name_is_on_the_page(name: str) -> None:
    assert f"`lip.{name}`" in PAGE


@pytest.mark.parametrize("option", sorted(set(re.findall(r"--[a-z][a-z-]+", PAGE))))
def test_every_option_on_the_page_is_one_of_a_command(option: str) -> None:
    options = (ROOT / "lipschitz" / "cli_networks.py").read_text()
    assert option in options or f"{option.removeprefix('--').replace('-', '_')}: Annotated" in options
