"""Weights of others by the name of their entry: downloaded, converted once, kept beside the download."""

import io
import json
import logging
from dataclasses import replace

import hub_client
import pytest
import torch
from file_server import file_server
from foreign_resnets import distance, gem, randomize, torchvision_trunk
from hub_server import Repo
from reference_iccv_dolg import forward, random_state
from torch import nn
from torch.nn import functional as F

import landmarkzoo as lz
from landmarkzoo.hub.published_files import WeightsFile
from landmarkzoo.models import published_models, registry

PHOTOS = torch.rand(2, 3, 75, 64, generator=torch.Generator().manual_seed(0))
ARGS = {"backbone": "resnet18", "neck": "fc", "embedding_dim": 16, "normalize_map": True}
CONVERTED = "tiny.first.landmarkzoo-1"


def network(seed):
    """A net of CosPlace under its names, and its file."""
    torch.manual_seed(seed)
    net = nn.Module()
    net.backbone = torchvision_trunk(18)
    pool = nn.Module()
    pool.p = nn.Parameter(torch.tensor([3.7]))
    net.aggregation = nn.ModuleList([nn.Identity(), pool, nn.Identity(), nn.Linear(512, 16)])
    file = io.BytesIO()
    torch.save(randomize(net, seed).state_dict(), file)
    return net, file.getvalue()


NET, BODY = network(1)


@torch.no_grad()
def their_descriptors(net, photos=PHOTOS):
    pooled = gem(F.normalize(net.backbone(photos), dim=1), net.aggregation[1].p, 1e-6)
    return net.aggregation[3](pooled)


@torch.no_grad()
def gap(model, net=NET):
    return distance(model.eval()(PHOTOS), their_descriptors(net))


def register(weights, **changes):
    fields = {"input_size": (3, 96, 96), "resize": "none", "embedding_dim": 16, "license": "MIT"}
    cfg = lz.ModelCfg("GlobalDescriptor", ARGS, weights=weights, **{**fields, **changes})
    registry._MODELS["tiny"] = {"first": cfg, "second": cfg}
    return cfg


@pytest.fixture
def web():
    with file_server() as server:
        server.serve("/net.pth", BODY)
        register(WeightsFile("places", url=server.url + "/net.pth"))
        yield server


@pytest.fixture
def load(web, tmp_path):
    return lambda name="tiny", **options: lz.create_model(
        name, pretrained=True, **{"cache_dir": tmp_path / "cache", **options}
    )


@pytest.fixture
def conversions(caplog):
    """How often a checkpoint was read and converted so far."""
    caplog.set_level(logging.INFO, logger="landmarkzoo.models.checkpoint_conversion")
    return lambda: len([r for r in caplog.records if r.name == "landmarkzoo.models.checkpoint_conversion"])


def test_the_second_start_reads_no_foreign_file(web, load, conversions, tmp_path):
    for options in ({}, {}, {"local_files_only": True}):
        model = load(**options)
        assert gap(model) < 1e-5
        assert model.cfg == replace(registry._MODELS["tiny"]["first"], name="tiny.first", args=model.cfg.args)
    assert conversions() == len(web.requests) == 1
    folder = tmp_path / "cache" / CONVERTED
    names = sorted(file.name for file in folder.iterdir())
    assert names == ["config.json", "model.safetensors", "source.json"]
    assert gap(lz.create_model(folder)) < 1e-5
    assert gap(load("tiny.second")) < 1e-5  # the same file by another name
    assert (conversions(), len(web.requests)) == (2, 1)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "source.json"])
@pytest.mark.parametrize("damage", ["missing", "cut", "changed"])
def test_a_damaged_copy_is_made_again(load, conversions, tmp_path, file, damage):
    load()
    path = tmp_path / "cache" / CONVERTED / file
    whole = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    if damage == "changed":  # a file that is right in itself, with other values
        middle = whole.index(b"false") if b"false" in whole else len(whole) // 2
        path.write_bytes(whole[:middle] + b"true " + whole[middle + 5 :])
    assert gap(load()) < 1e-5
    assert path.read_bytes() == whole
    assert conversions() == 2


def test_another_download_is_converted_again(web, load, conversions, tmp_path):
    load()
    other, body = network(2)
    web.serve("/net.pth", body)
    (tmp_path / "cache" / "net.pth.source.json").unlink()  # the user trusts the new one
    (tmp_path / "cache" / "net.pth").unlink()
    model = load()
    assert gap(model, other) < 1e-5
    assert gap(model) > 1e-3
    assert conversions() == 2


def test_another_entry_or_converter_converts_again(web, load, conversions, monkeypatch, tmp_path):
    load()
    weights = registry._MODELS["tiny"]["first"].weights
    register(weights, license="CC0-1.0", scores=(lz.Score("mAP", 0.5, "as published"),))
    assert load().cfg.license == "CC0-1.0"  # what an entry says needs no conversion
    assert conversions() == 1
    cfg = registry._MODELS["tiny"]["first"]
    registry._MODELS["tiny"] = {"first": replace(cfg, args={**cfg.args, "pool_args": {"eps": 1e-5}})}
    assert load().global_pool.eps == 1e-5
    assert conversions() == 2
    monkeypatch.setattr(published_models, "_CONVERTER", 2)
    load()
    assert conversions() == 3
    assert (tmp_path / "cache" / "tiny.first.landmarkzoo-2").is_dir()


def test_an_argument_that_an_entry_has_no_more_is_gone(load, conversions):
    cfg = registry._MODELS["tiny"]["first"]
    registry._MODELS["tiny"] = {"first": replace(cfg, args={**cfg.args, "normalize_pooled": True})}
    assert load().neck.normalize_input
    registry._MODELS["tiny"] = {"first": cfg}
    assert gap(load()) < 1e-5
    assert conversions() == 2


def test_arguments_of_the_user_act_on_the_conversion(load, conversions):
    load()
    for times in (2, 3):
        model = load(normalize_pooled=True)
        assert model.neck.normalize_input
        assert conversions() == times
    assert gap(load()) < 1e-5
    assert conversions() == 3  # what is kept is the entry
    with pytest.raises(ValueError, match=r"has embedding_dim=16, but 'tiny\.first' has embedding_dim=8"):
        load(embedding_dim=8)


def test_a_copy_that_cannot_be_kept(load, conversions, tmp_path, caplog):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / CONVERTED).write_text("a file in the way")
    assert gap(load()) < 1e-5
    assert "tiny.first is converted, but that cannot be kept for the next time: cannot write" in caplog.text
    assert gap(load()) < 1e-5
    assert conversions() > 1


def test_a_file_of_another_model_is_refused_and_nothing_is_kept(web, load, tmp_path):
    file = io.BytesIO()
    torch.save({"fc.weight": torch.zeros(2, 2)}, file)
    web.serve("/net.pth", file.getvalue())
    with pytest.raises(ValueError, match="this is not a checkpoint of a GlobalDescriptor in a known layout"):
        load()
    assert not (tmp_path / "cache" / CONVERTED).exists()


def test_weights_without_a_head(web, load, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"weights of 'tiny\.first' have no head: none was published"):
        lz.load_head("tiny", cache_dir=tmp_path / "cache")
    assert not web.requests  # a layout that never has a head is not downloaded to look for one
    state = random_state(50)
    del state["desc_cls.weight"]
    file = io.BytesIO()
    torch.save({"model_state": state, "cfg": "MODEL:"}, file)
    weights = WeightsFile("iccv_dolg", url=web.serve("/r50.pt", file.getvalue()))
    registry._MODELS["tiny"] = {"first": replace(lz.get_model_cfg("dolg_resnet50"), weights=weights)}
    with pytest.raises(FileNotFoundError, match=r"weights of 'tiny\.first' have no head: there is none in"):
        lz.load_head("tiny", cache_dir=tmp_path / "cache")


def test_the_head_comes_by_the_same_name(web, load, conversions, tmp_path):
    state = random_state(50)
    file = io.BytesIO()
    torch.save({"model_state": state, "cfg": "MODEL:"}, file)
    weights = WeightsFile("iccv_dolg", url=web.serve("/r50.pt", file.getvalue()))
    registry._MODELS["tiny"] = {"first": replace(lz.get_model_cfg("dolg_resnet50"), weights=weights)}
    head, class_names = lz.load_head("tiny", cache_dir=tmp_path / "cache")
    assert (head.num_classes, head.sub_centers, class_names) == (7, 1, None)
    model = load().eval()
    assert (conversions(), len(web.requests)) == (1, 1)
    photos = torch.randn(2, 3, 97, 131)
    with torch.no_grad():
        theirs = F.normalize(forward(state, photos.flip(1)))
        assert distance(model(photos), theirs) < 1e-5
        cosine = head.eval().cosine(model(photos))
        torch.testing.assert_close(
            cosine, theirs @ F.normalize(state["desc_cls.weight"]).T, atol=1e-5, rtol=0
        )
    assert len(model.cfg.scores) == 4  # nothing was changed, so they apply
    model.save_pretrained(tmp_path / "mine", head)
    assert lz.load_head(tmp_path / "mine")[0].num_classes == 7


def test_from_a_repository_of_the_hub(call, server, cache):
    server.reset()
    server.repos["others/net"] = Repo()
    commit = server.repos["others/net"].commit({"net.pth": BODY})
    revision = server.repos["others/net"].refs["main"] if commit is None else commit
    weights = WeightsFile("places", repo="others/net", file="net.pth", revision=revision)
    cfg = register(weights)
    for requests in (True, False):
        server.requests.clear()
        loaded = call(hub_client.load_entry, cfg, cache_dir=cache)
        assert bool(server.requests) == requests
        photos = torch.linspace(-1, 1, 2 * 3 * 32 * 32).view(2, 3, 32, 32)  # those of hub_client
        assert distance(torch.from_numpy(loaded.output), their_descriptors(NET, photos)) < 1e-5
        assert loaded.cfg.name == "tiny.first"
    (folder,) = cache.rglob(CONVERTED)
    assert folder.parent.name == revision  # beside the download, which the Hub's tools remove together
    assert json.loads((folder / "config.json").read_text())["weights"]["repo"] == "others/net"
