"""Every Python example of README and docs runs as it stands."""

import json
import pickle
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from reference_layout import reference_state_dict

import landmarkzoo as lz

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = [page for page in PAGES if "```python" in page.read_text(encoding="utf-8")]

# What users copy into programs of their own passes mypy --strict.
TYPED = ["README.md", "docs/index.md", "docs/guide/extending.md"]

PACKAGED = ["efficientnet_lite0_gem.rendered"]  # the landmark weights that are ours


@pytest.fixture
def with_files(tmp_path, monkeypatch, page):
    monkeypatch.chdir(tmp_path)
    data = lz.rendered.RenderedLandmarks(4, 6, 1, image_size=96)
    (tmp_path / "photos").mkdir()
    for row, id_ in enumerate(data.ids[:-1]):
        data[row][0].save(tmp_path / "photos" / f"{id_.replace('/', '_')}.jpg")
        (tmp_path / "landmarks" / id_).parent.mkdir(parents=True, exist_ok=True)
        data[row][0].save(tmp_path / "landmarks" / f"{id_}.jpg")
    data[0][0].save(tmp_path / "query.jpg")
    code = code_of(page)
    if "local-dir:my-model" in code and "save_pretrained" not in code and "lz.finetune" not in code:
        model = lz.create_model("efficientnet_lite0_gem", embedding_dim=8)
        model.save_pretrained("my-model", lz.losses.CosFace(8, 2), class_names=["Taj Mahal", "Charminar"])
    if "checkpoint.pth" in page.read_text(encoding="utf-8"):
        source = lz.create_model("dolg_efficientnet_b5", projection="reference")
        state = reference_state_dict(source, lz.SubCenterArcFaceDynamic(512, 4))
        torch.save({"model": {name: tensor.half() for name, tensor in state.items()}}, "checkpoint.pth")


GLDV2 = {
    "train.csv": "id,url,landmark_id\n0a1a,,5\n0a1b,,5\n0a1c,,9\n",
    "train_clean.csv": "landmark_id,images\n5,0a1a\n9,0a1c\n",
    "train_label_to_category.csv": "landmark_id,category\n5,Category:Dom\n9,Category:Burg\n",
    "index.csv": "id\n77ab\nfe01\n",
    "recognition_solution_v2.1.csv": "id,landmarks,Usage\n1f2e,5,Public\n1f2f,,Private\n",
    "retrieval_solution_v2.1.csv": "id,images,Usage\n1f2e,77ab,Public\n1f2f,None,Ignored\n",
}


@pytest.fixture
def with_data_sets(with_files, tmp_path):
    (tmp_path / "gldv2").mkdir()
    for name, content in GLDV2.items():
        (tmp_path / "gldv2" / name).write_text(content)
    photos = sorted(path.name for path in (tmp_path / "photos").iterdir())
    (tmp_path / "photos.csv").write_text("path,label\n" + "".join(f"photos/{name},a\n" for name in photos))
    truth = {"bbx": [0, 0, 40, 30], "easy": [0], "hard": [], "junk": []}
    content = {"imlist": ["b"], "qimlist": ["a"], "gnd": [truth]}
    (tmp_path / "roxford5k" / "jpg").mkdir(parents=True)
    (tmp_path / "roxford5k" / "gnd_roxford5k.pkl").write_bytes(pickle.dumps(content))
    for name, photo in zip("ab", photos):
        shutil.copy(tmp_path / "photos" / photo, tmp_path / "roxford5k" / "jpg" / f"{name}.jpg")


def code_of(page, language="python"):
    blocks = re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    return "\n".join(blocks)


@pytest.mark.usefixtures("with_data_sets")
@pytest.mark.parametrize("page", EXAMPLES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_python_examples_run(page, capsys):
    for package in ("faiss", "milvus_lite"):  # of the extra dev
        if package.partition("_")[0] in code_of(page).lower():
            pytest.importorskip(package)
    exec(compile(code_of(page), str(page), "exec"), {})
    assert "Error" not in capsys.readouterr().out


@pytest.mark.slow  # mypy comes with the extra dev
@pytest.mark.parametrize("page", TYPED)
def test_python_examples_have_the_right_types(page, tmp_path):
    pytest.importorskip("mypy", reason="pip install mypy")
    (tmp_path / "example.py").write_text(code_of(ROOT / page))
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", str(ROOT / "pyproject.toml")]
    run = subprocess.run([*command, str(tmp_path / "example.py")], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_own_parts_take_less_than_thirty_lines():
    page = (ROOT / "docs" / "guide" / "extending.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) > 5
    assert max(len(block.splitlines()) for block in blocks) < 30


def test_there_are_examples():
    assert len(EXAMPLES) >= 5


def test_the_docs_use_every_command_and_no_other():
    from landmarkzoo.cli import COMMANDS

    text = "\n".join(code_of(page, "sh") for page in PAGES)
    assert set(re.findall(r"^(?:.*&& )?landmarkzoo (\w+)", text, re.MULTILINE)) == set(COMMANDS)


@pytest.mark.slow
def test_docs_table_of_models_is_that_of_the_registry():
    script = runpy.run_path(str(ROOT / "docs" / "zoo_page.py"))
    page = (ROOT / "docs" / "zoo.md").read_text(encoding="utf-8")
    assert page == script["zoo_page"](), "python docs/zoo_page.py > docs/zoo.md"


def test_docs_table_to_choose_a_model_from_is_that_of_the_registry():
    script = runpy.run_path(str(ROOT / "docs" / "which_model_page.py"))
    page = (ROOT / "docs" / "guide" / "which-model.md").read_text(encoding="utf-8")
    assert page == script["page"](page), "python docs/which_model_page.py"
    rows = re.findall(r"^\| `([^`]+)` .* \| (yes|not yet) \|$", page, re.MULTILINE)
    assert [name for name, _ in rows] == list(script["MODELS"])
    assert [n for n, loaded in rows if loaded == "yes" and n in lz.list_models(pretrained=True)] == PACKAGED
    families = {name.partition("_resnet")[0] for name in lz.list_models(pretrained=True)}
    assert families <= {name.partition("_resnet")[0] for name, _ in rows}
    measured = json.loads((ROOT / "docs" / "model_cost.json").read_text(encoding="utf-8"))["models"]
    assert set(measured) <= set(script["MODELS"])


def test_the_page_to_choose_a_model_from_names_models_that_exist():
    page = (ROOT / "docs" / "guide" / "which-model.md").read_text(encoding="utf-8")
    names = re.findall(r"`([a-z]\w+_\w+(?:\.\w+)?|megaloc)`", page)
    assert [name for name in names if not lz.is_model(name)] == []
    assert len(names) > 20


def test_the_zoo_says_what_was_not_loaded_by_us():
    page = (ROOT / "docs" / "zoo.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.endswith("| not yet loaded by us |")]
    listed = []
    for row in rows:
        first, *others = re.findall(r"`([^`]+)`", row.split("|")[1])
        listed += [first, *(first.partition(".")[0] + tag for tag in others)]
    assert sorted([*listed, *PACKAGED]) == lz.list_models(pretrained=True)
    (ours,) = (line for line in page.splitlines() if line.endswith("| yes, ours |"))
    assert ours.startswith(f"| `{PACKAGED[0]}` | none, 8 MB in the package | Apache-2.0 | 512 | ")


def test_docs_plan_for_internet_scale_is_that_of_its_script():
    script = runpy.run_path(str(ROOT / "docs" / "scale_page.py"))
    page = (ROOT / "docs" / "guide" / "scale.md").read_text(encoding="utf-8")
    assert page == script["page"](page), "python docs/scale_page.py"
