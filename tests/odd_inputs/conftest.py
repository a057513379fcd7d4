"""A small world for odd inputs: photos of two landmarks, their index, queries, labels, and a tiny model."""

import shutil

import numpy as np
import pytest
from odd_cases import contents
from PIL import Image

import landmarkzoo as lz

IDS = [f"{place}/{n}.png" for place in ("bridge", "tower") for n in range(3)]


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    """A saved model with a head: random weights, 32 px. Nobody may write to it."""
    folder = tmp_path_factory.mktemp("tiny") / "model"
    backbone = "test_efficientnet"
    model = lz.GlobalDescriptor(backbone, neck="fc-bn", embedding_dim=8)
    head = lz.SubCenterArcFaceDynamic(8, 2, margins=0.3)
    model.save_pretrained(folder, head, class_names=["bridge", "tower"])
    config = folder / "config.json"
    config.write_text(config.read_text().replace("160", "32"))
    before = contents(folder)
    yield folder
    assert contents(folder) == before


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """The world that each case gets a copy of."""
    folder = tmp_path_factory.mktemp("template")
    random = np.random.default_rng(0)
    for id_ in IDS:
        path = folder / "photos" / id_
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(random.integers(0, 255, (3, 4, 3), dtype=np.uint8))
        coarse.resize((40, 30)).save(path)
    vectors = random.standard_normal((6, 8)).astype(np.float32)
    lz.Descriptors(IDS, vectors).save(folder / "index.st")
    lz.Descriptors(IDS[:2], vectors[:2] + 0.1).save(folder / "query.st")
    lz.Whitening.fit(random.standard_normal((40, 8)), dim=4).save(folder / "white.st")
    (folder / "labels.csv").write_text("id,label\n" + "".join(f"{i},{i.split('/')[0]}\n" for i in IDS))
    return folder


@pytest.fixture
def world(tmp_path, template, tiny_folder, monkeypatch):
    """A folder to work in, which is the working directory."""
    folder = tmp_path / "world"
    shutil.copytree(template, folder)
    (folder / "model").symlink_to(tiny_folder)
    monkeypatch.chdir(folder)
    return folder
