"""The entries of weights that others have published: whole, and each builds."""

import re

import pytest
import torch

import landmarkzoo as lz
from landmarkzoo.hub.convert import LAYOUTS
from landmarkzoo.hub.published_files import WeightsFile

PACKAGED = ["efficientnet_lite0_gem.rendered"]  # ours, see test_packaged_weights.py
NAMES = [name for name in lz.list_models(pretrained=True) if name not in PACKAGED]


def test_all_that_was_agreed_is_there():
    wanted = [f"gem_resnet{depth}.{data}" for depth in (50, 101, 152) for data in ("sfm120k", "gl18")]
    wanted += [
        f"{kind}_resnet{depth}.gldv2" for kind in ("dolg", "cvnet", "superglobal") for depth in (50, 101)
    ]
    sizes = {18: (32, 64, 128, 256, 512), 50: (32, 64, 128, 256, 512, 1024, 2048)}
    sizes |= {101: sizes[50], 152: sizes[50]}
    wanted += [f"cosplace_resnet{depth}.sf_xl_{size}" for depth in sizes for size in sizes[depth]]
    sizes = {18: (256, 512), 50: (128, 256, 512, 2048), 101: (128, 256, 512, 2048)}
    wanted += [f"eigenplaces_resnet{depth}.sf_xl_{size}" for depth in sizes for size in sizes[depth]]
    assert sorted([*wanted, "megaloc"]) == NAMES
    assert sorted([*NAMES, *PACKAGED]) == lz.list_models(pretrained=True)


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_is_whole(name):
    cfg = lz.get_model_cfg(name)
    assert isinstance(cfg.weights, WeightsFile)
    assert cfg.weights.layout in {
        layout.name for layout in LAYOUTS if layout.architecture == cfg.architecture
    }
    assert cfg.name == name
    assert cfg.args["embedding_dim"] == cfg.embedding_dim
    assert cfg.training_data
    assert re.search(r", arXiv \d{4}\.\d{5}$", cfg.paper)
    assert all(0 < score.value < 1 and "as published" in score.protocol for score in cfg.scores)


@pytest.mark.parametrize("name", sorted({name.partition(".")[0] for name in NAMES}))
def test_an_entry_builds(name):
    """Tags of a name differ in numbers only, so one of them is built."""
    cfg = lz.get_model_cfg(name)
    with torch.device("meta"):
        model = lz.create_model(name)
    assert model.embedding_dim == cfg.embedding_dim
    assert cfg.args.items() <= model.cfg.args.items()
    if cfg.resize != "none":
        model.size_rule.check_size(*cfg.input_size[1:])


def test_addresses():
    def address(name):
        return lz.get_model_cfg(name).weights.address

    assert address("gem_resnet152.gl18") == (
        "http://cmp.felk.cvut.cz/cnnimageretrieval/data/networks/gl18/gl18-tl-resnet152-gem-w-21278d5.pth"
    )
    assert address("gem_resnet50") == (
        "http://cmp.felk.cvut.cz/cnnimageretrieval/data/networks/"
        "retrieval-SfM-120k/rSfM120k-tl-resnet50-gem-w-97bf910.pth"
    )
    assert address("cosplace_resnet50") == (
        "https://github.com/gmberton/CosPlace/releases/download/v1.0/ResNet50_512_cosplace.pth"
    )
    assert address("eigenplaces_resnet101.sf_xl_2048") == (
        "https://github.com/gmberton/EigenPlaces/releases/download/v1.0/ResNet101_2048_eigenplaces.pth"
    )
    assert lz.get_model_cfg("gem_resnet101.gl18").weights.known.sha256 == "a4d43db"  # in the file's name
    assert lz.get_model_cfg("dolg_resnet101").weights.size == 353_977_741
    assert address("superglobal_resnet101") == address("cvnet_resnet101")


def test_photos_as_the_authors_tested():
    gem, superglobal = lz.get_model_cfg("gem_resnet50"), lz.get_model_cfg("superglobal_resnet50")
    assert (gem.resize, gem.input_size, gem.combine, gem.scale_resize) == (
        *("longest", (3, 1024, 1024)),
        *("mean", "bilinear"),
    )
    assert [round(scale, 4) for scale in gem.scales] == [1.0, 1.4142, 0.7071]
    assert (superglobal.resize, superglobal.combine) == ("none", "max")
    kinds = {"dolg": "bilinear-rounded", "cvnet": "area", "superglobal": "bilinear-cut"}
    for name, kind in kinds.items():
        assert lz.get_model_cfg(f"{name}_resnet101").scale_resize == kind
    assert lz.get_model_cfg("dolg_resnet50").scales == (0.3535, 0.5, 0.7071, 1.0, 1.4142)
    assert lz.get_model_cfg("megaloc").input_size == (3, 322, 322)


def test_scores_are_those_of_the_pages():
    def scores(name):
        return [score.value for score in lz.get_model_cfg(name).scores]

    assert scores("gem_resnet101.gl18") == [0.673, 0.443, 0.806, 0.615]
    assert scores("dolg_resnet101") == [0.8237, 0.6493, 0.9097, 0.8171]
    assert scores("megaloc") == scores("cvnet_resnet101") == []  # none that we have seen


def test_the_papers_own_weights_are_a_tag_without_an_address():
    cfg = lz.get_model_cfg("dolg_efficientnet_b5.gldv2x")
    assert (cfg.license, cfg.weights, cfg.args["projection"]) == ("MIT", None, "reference")
    assert all(score.of_paper for score in cfg.scores)
    assert lz.get_model_cfg("dolg_efficientnet_b5").name == "dolg_efficientnet_b5"
