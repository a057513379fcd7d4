"""Every Python example of README and docs runs as it stands."""

import re
from pathlib import Path

import pytest

import landmarkzoo as lz
from landmarkzoo.reports.models_table import models_table

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = [page for page in PAGES if "```python" in page.read_text(encoding="utf-8")]


@pytest.fixture
def with_photos(tmp_path, monkeypatch):
    data = lz.datasets.RenderedLandmarks(4, 6, 1, image_size=96)
    (tmp_path / "photos").mkdir()
    for row, id_ in enumerate(data.ids[:-1]):
        data[row].save(tmp_path / "photos" / f"{id_.replace('/', '_')}.jpg")
        (tmp_path / "landmarks" / id_).parent.mkdir(parents=True, exist_ok=True)
        data[row].save(tmp_path / "landmarks" / f"{id_}.jpg")
    data[0].save(tmp_path / "query.jpg")
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("with_photos")
@pytest.mark.parametrize("page", EXAMPLES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_python_examples_run(page, capsys):
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    exec(compile("\n".join(blocks), str(page), "exec"), {})
    assert "Error" not in capsys.readouterr().out


def test_there_are_examples():
    assert len(EXAMPLES) >= 5


def test_commands_of_the_docs_exist():
    from landmarkzoo.cli import COMMANDS

    names = {command.__name__.rpartition(".")[2].removesuffix("_command") for command in COMMANDS}
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert set(re.findall(r"^landmarkzoo (\w+)", text, re.MULTILINE)) <= names
    assert names == {"models", "embed", "search", "demo"}


def test_docs_table_of_models_is_that_of_the_registry():
    page = (ROOT / "docs" / "zoo.md").read_text(encoding="utf-8")
    assert page == models_table(), "python -m landmarkzoo.reports.models_table > docs/zoo.md"


def test_nothing_pretends_that_landmark_weights_are_published():
    assert all(lz.get_model_cfg(name).weights is None for name in lz.list_models())
    for page in (ROOT / "README.md", ROOT / "docs" / "index.md", ROOT / "docs" / "zoo.md"):
        assert "No landmark weights are published yet" in page.read_text(encoding="utf-8")
