"""Weights of others from a file that is here: what the model then is, says and keeps."""

import logging
from dataclasses import replace

import pytest
import torch
from foreign_resnets import distance, gem, normalised, randomize, torchvision_trunk
from torch import nn
from torch.nn import functional as F

import landmarkzoo as lz
from landmarkzoo.hub import model_card
from landmarkzoo.hub.published_files import WeightsFile
from landmarkzoo.models import registry

PHOTOS = torch.rand(2, 3, 75, 64, generator=torch.Generator().manual_seed(0))
ENTRY = lz.ModelCfg(
    "GlobalDescriptor",
    {"backbone": "resnet18", "neck": "fc", "embedding_dim": 16, "normalize_pooled": True},
    input_size=(3, 96, 96),
    resize="longest",
    scales=(1.0, 0.5),
    scale_resize="bilinear",
    embedding_dim=16,
    weights=WeightsFile("cirtorch", url="http://127.0.0.1:9/moved.pth"),
    training_data="Twelve photos",
    license="CC-BY-NC-4.0",
    scores=(lz.Score("mAP", 0.5, "Twelve photos, as published (not re-run)"),),
    paper="Doe 2020, arXiv 2001.00001",
)


def network(seed=0):
    """GeM with whitening, under the names of cirtorch."""
    torch.manual_seed(seed)
    net = nn.Module()
    net.features = torchvision_trunk(18)
    net.pool = nn.Module()
    net.pool.p = nn.Parameter(torch.tensor([2.8]))
    net.whiten = nn.Linear(512, 16)
    return randomize(net, seed)


@torch.no_grad()
def their_descriptors(net):
    pooled = F.normalize(gem(net.features(normalised(PHOTOS)), net.pool.p, 1e-6), dim=1)
    return F.normalize(net.whiten(pooled), dim=1)


@torch.no_grad()
def our_descriptors(model):
    return model.eval()(normalised(PHOTOS))


@pytest.fixture(scope="module")
def net():
    return network()


@pytest.fixture
def file(net, tmp_path):
    path = tmp_path / "somewhere.pth"
    torch.save({"meta": {"dim": 16}, "state_dict": net.state_dict()}, path)
    return path


@pytest.fixture(autouse=True)
def entry():
    registry._MODELS["tiny"] = {"first": ENTRY, "second": replace(ENTRY, license=None)}


def test_a_file_that_is_here_needs_no_network(net, file):
    model = lz.create_model("tiny.first", weights_file=file)
    assert model.training
    assert distance(our_descriptors(model), their_descriptors(net)) < 1e-5
    assert model.cfg == replace(ENTRY, name="tiny.first", args=model.cfg.args)
    half = lz.create_model("tiny", weights_file=str(file), dtype=torch.bfloat16)
    assert half.dtype == torch.bfloat16
    assert half.cfg.name == "tiny.first"
    assert list(file.parent.iterdir()) == [file]  # nothing is kept beside a file of the user


def test_a_saved_model_says_what_its_weights_are(net, file, tmp_path):
    lz.create_model("tiny.first", weights_file=file).save_pretrained(tmp_path / "saved")
    model = lz.create_model(tmp_path / "saved")
    assert distance(our_descriptors(model), their_descriptors(net)) < 1e-5
    assert model.cfg == replace(ENTRY, name="tiny.first", args=model.cfg.args)
    card = model_card(model.cfg, "org/repo")
    for text in (
        "license: cc-by-nc-4.0\n",
        "where it is called `tiny.first`",
        "| Views of a photo | scales 1, 0.5; the mean of their unit vectors |",
        "| Weights from | http://127.0.0.1:9/moved.pth, in the layout cirtorch |",
        "| mAP | 0.5 | Twelve photos, as published (not re-run) |",
        "Twelve photos",
        "[arXiv 2001.00001]",
    ):
        assert text in card
    assert "for the authors' weights, not for these" not in card


def test_random_weights_claim_nothing():
    for name in ("tiny", "tiny.first", "tiny.second"):
        cfg = lz.create_model(name).cfg
        assert (cfg.name, cfg.weights, cfg.license, cfg.training_data) == ("tiny", None, None, None)
        assert [score.of_paper for score in cfg.scores] == [True]
        assert (cfg.scales, cfg.resize, cfg.paper) == (ENTRY.scales, "longest", ENTRY.paper)


def test_a_file_with_another_hash_is_loaded_and_claims_nothing(net, file, caplog):
    for digits, cfg_name in (("0123456789", "tiny"), (None, "tiny.first")):
        weights = replace(ENTRY.weights, sha256=digits)
        registry._MODELS["tiny"] = {"first": replace(ENTRY, weights=weights)}
        caplog.clear()
        model = lz.create_model("tiny.first", weights_file=file)
        assert distance(our_descriptors(model), their_descriptors(net)) < 1e-5
        assert model.cfg.name == cfg_name
        assert ("not the file that was published as tiny.first" in caplog.text) == (digits is not None)
        assert lz.convert_checkpoint(file, "tiny.first")[0].cfg.name == cfg_name


def test_conversion_of_a_name_without_its_tag_claims_nothing(file):
    assert lz.convert_checkpoint(file, "tiny")[0].cfg.license is None
    assert lz.convert_checkpoint(file, "tiny.first")[0].cfg.license == "CC-BY-NC-4.0"


def test_arguments_of_the_user(file):
    model = lz.create_model("tiny.first", weights_file=file, normalize_pooled=False)
    assert model.cfg.scores == ()
    assert not model.neck.normalize_input
    same = lz.create_model("tiny.first", weights_file=file, normalize_map=False, pool="gem")
    assert same.cfg.scores == ENTRY.scores  # that is what it is anyway


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "local-dir:x",
            {},
            r"weights_file is for a name of lz.list_models\(\), and 'local-dir:x' is a saved",
        ),
        ("tiny", {"cache_dir": "x"}, r"cache_dir is for the Hub, .* not for 'weights_file=...'"),
        ("megaloc", {}, "this is a checkpoint of a GlobalDescriptor, but 'megaloc' is a SALAD"),
        ("cosplace_resnet18", {}, "the layout 'cirtorch', but those of 'cosplace_resnet18.*layout 'places'"),
        ("gem_resnet50", {}, "this checkpoint has backbone='resnet18'"),
        ("ours", {}, "saved by landmarkzoo, hf-hub:org/repo: give a copy of them as 'local-dir:path'"),
    ],
)
def test_what_weights_file_is_not_for(file, name, options, message):
    lz.register_model("ours", replace(ENTRY, weights="org/repo"))
    with pytest.raises(ValueError, match=message):
        lz.create_model(name, weights_file=file, **options)
    with pytest.raises(FileNotFoundError, match=r"there is no checkpoint nowhere\.pth"):
        lz.create_model("tiny", weights_file="nowhere.pth")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.to_sparse(), r"dense and have numbers; .*: whiten\.weight"),
        (lambda t: t.to("meta"), r"dense and have numbers; .*: whiten\.weight"),
        (lambda t: t * torch.nan, r"has NaN or infinity in whiten\.weight: it is damaged"),
        (lambda t: t.double() * 1e300, r"has NaN or infinity in whiten\.weight: it is damaged"),
    ],
)
def test_weights_that_are_no_weights(net, tmp_path, change, message):
    state = net.state_dict()
    state["whiten.weight"] = change(state["whiten.weight"])
    torch.save(state, tmp_path / "odd.pth")
    with pytest.raises(ValueError, match=message):
        lz.create_model("tiny", weights_file=tmp_path / "odd.pth")


def test_names_without_weights_say_what_works():
    with pytest.raises(
        ValueError, match=r"v0\.0\.1-alpha of https://github\.com/ChristofHenkel.*head='model_h"
    ):
        lz.create_model("dolg_efficientnet_b5.gldv2x", pretrained=True)
    for call in (lambda name: lz.create_model(name, pretrained=True), lz.load_head):
        with pytest.raises(ValueError, match="no landmark weights of 'efficientnet_b3' can be loaded by"):
            call("efficientnet_b3")


def test_a_moved_address_says_what_to_do(tmp_path, caplog):
    with pytest.raises(ConnectionError, match=r'lz\.create_model\("tiny\.first", weights_file="path"\)'):
        lz.create_model("tiny", pretrained=True, cache_dir=tmp_path / "cache")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
