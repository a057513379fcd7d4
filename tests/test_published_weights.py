"""The check of all published weights: here on our own server, with -m network on those of the authors."""

import pickle
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from hub.file_server import file_server
from PIL import Image
from torch import nn

import landmarkzoo as lz
from landmarkzoo.hub.published_files import WeightsFile
from landmarkzoo.models import registry

FOLDER = Path(__file__).parents[1] / "benchmarks"
NAME, TAG = "cosplace_resnet18", "sf_xl_32"


class Hostile:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture(scope="module")
def bench():
    sys.path.insert(0, str(FOLDER))
    try:
        return runpy.run_path(str(FOLDER / "published_weights.py"))
    finally:
        sys.path.remove(str(FOLDER))


@pytest.mark.network
@pytest.mark.parametrize("name", lz.list_models(pretrained=True))
def test_the_authors_weights_load(bench, name):
    """Downloads what is not cached. A failure says what is wrong, with the address."""
    line = bench["check"](name)
    print(" | ".join(line.cells()))
    assert line.problem is None
    known = getattr(lz.get_model_cfg(name).weights, "known", None)
    assert line.sha256.startswith((known and known.sha256) or "")


@pytest.fixture(scope="module")
def foreign(tmp_path_factory) -> Path:
    """A file as CosPlace writes it, with random weights: Sequential keys, GeM's p, a Linear."""
    torch.manual_seed(0)
    backbone = nn.Sequential(*list(torchvision.models.resnet18().children())[:-2])
    state = {f"backbone.{name}": tensor for name, tensor in backbone.state_dict().items()}
    state["aggregation.1.p"] = torch.tensor([3.0])
    linear = nn.Linear(512, 32)
    state |= {"aggregation.3.weight": linear.weight.detach(), "aggregation.3.bias": linear.bias.detach()}
    path = tmp_path_factory.mktemp("foreign") / "ResNet18_32_cosplace.pth"
    torch.save(state, path)
    return path


@pytest.fixture(autouse=True)
def entry(request, monkeypatch):
    """The entry for small images, with scores; the addresses of the others are as they are."""
    if "network" not in request.keywords:
        scores = (
            lz.metrics.Score("mAP", 0.678, "ROxford5k, medium, as published"),
            lz.metrics.Score("mAP", 0.417, "ROxford5k, hard, as published"),
        )
        changes = {"resize": "squash", "input_size": (3, 64, 64), "license": None, "scores": scores}
        cfg = replace(lz.get_model_cfg(f"{NAME}.{TAG}"), name=None, **changes)
        monkeypatch.setitem(registry._MODELS[NAME], TAG, cfg)


@pytest.fixture
def served(foreign, monkeypatch):
    """The entry, with an address on a server of our own."""
    with file_server() as web:
        url = web.serve("/v1.0/ResNet18_32_cosplace.pth", foreign.read_bytes())
        cfg = replace(registry._MODELS[NAME][TAG], weights=WeightsFile("places", url=url))
        monkeypatch.setitem(registry._MODELS[NAME], TAG, cfg)
        yield web


def photos(number=2):
    values = np.random.default_rng(0).integers(0, 255, (number, 96, 128, 3), dtype=np.uint8)
    return list(values)


def test_a_download_becomes_a_line(bench, served, foreign, tmp_path, capsys):
    out, arguments = tmp_path / "table.md", ["--yes", "--cache", str(tmp_path / "cache")]
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, photo in enumerate(photos()):
        Image.fromarray(photo).save(folder / f"{number}.png")
    code = bench["main"]([f"{NAME}.{TAG}", *arguments, "--photos", str(folder), "--out", str(out)])
    said = capsys.readouterr()
    assert code == 0, said
    size = foreign.stat().st_size
    assert f"{NAME}.{TAG}: size unknown, licence not stated, {served.url}/v1.0/" in said.out
    assert said.err.count("no licence is stated") == 1
    *_, head, _, row = out.read_text().splitlines()
    cells = dict(zip((c.strip() for c in head.split("|")), (c.strip() for c in row.split("|"))))
    assert cells["weights"] == f"{NAME}.{TAG}"
    assert cells["descriptor"] == "32"
    assert cells["bytes"] == f"{size:,}"
    assert cells["SHA-256"] == f"`{bench['sha256'](foreign)}`"
    assert cells["result"] == "loaded"
    assert cells["ROxford M / H"] == "-"


@pytest.mark.parametrize("name", ["efficientnet_lite0_gem", "efficientnet_lite0_gem.rendered"])
def test_what_lies_in_the_package_is_a_line_without_a_question(bench, tmp_path, capsys, name):
    out = tmp_path / "table.md"
    assert bench["main"]([name, "--cache", str(tmp_path / "cache"), "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert "licence" not in said.out + said.err  # nothing is downloaded, so nothing is asked
    cells = [cell.strip() for cell in out.read_text().splitlines()[-1].split("|")]
    assert (cells[1], cells[2], cells[-2]) == (name, "512", "loaded")
    assert 0.2 < float(cells[7]) <= 1
    assert not (tmp_path / "cache").exists()


def test_a_pickle_that_runs_code_is_a_line_too(bench, served, foreign, tmp_path):
    """The whole way of the file: download, conversion, and nothing of it runs."""
    trace = tmp_path / "ran"
    state = torch.load(foreign, weights_only=True) | {"meta": Hostile(trace)}
    torch.save(state, tmp_path / "hostile.pth")
    served.files["/v1.0/ResNet18_32_cosplace.pth"].body = (tmp_path / "hostile.pth").read_bytes()
    line = bench["check"](f"{NAME}.{TAG}", cache_dir=tmp_path / "cache")
    assert line.problem.startswith("FAILED, ValueError: ")
    assert "code in a checkpoint could do anything" in line.problem
    assert not trace.exists()
    function, arguments = Hostile(trace).__reduce__()  # what a pickle with code calls
    function(*arguments)
    assert trace.exists()  # it was hostile indeed


def test_a_failed_download_is_an_honest_line(bench, served, tmp_path, capsys):
    served.files.clear()
    out = tmp_path / "table.md"
    code = bench["main"]([f"{NAME}.{TAG}", "--yes", "--cache", str(tmp_path / "cache"), "--out", str(out)])
    assert code == 1
    row = out.read_text().splitlines()[-1]
    assert "| FAILED, FileNotFoundError: " in row
    assert "there is no such file (404 Not Found): it may have moved; if you have the file" in row
    assert "loaded" not in row


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], "landmarkzoo has no model 'nonsense'"),
        (["gem_resnet50.nonsense"], "there are no weights with the tag 'nonsense'"),
        (["dolg_efficientnet_b5"], "can be loaded; see --onnx DIR for dolg_efficientnet_b5.gldv2x"),
        (["efficientnet_b5_gem"], "no landmark weights of efficientnet_b5_gem can be loaded"),
        ([f"{NAME}.{TAG}", "--weights-file", "nowhere.pth"], "--weights-file: there is no file nowhere.pth"),
        ([f"{NAME}.{TAG}", "--photos", "nowhere"], "--photos: there is no folder nowhere"),
        ([f"{NAME}.{TAG}", "--out", "nowhere/table.md"], "--out: there is no folder "),
        ([f"{NAME}.{TAG}", "--roxford", "."], "gnd_roxford5k.pkl"),
    ],
)
def test_wrong_input_is_one_line_before_any_download(
    bench, served, tmp_path, monkeypatch, capsys, arguments, message
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        bench["main"]([*arguments, "--yes", "--cache", str(tmp_path / "cache")])
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not served.requests


def test_nobody_says_yes(bench, served, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", (tmp_path / "empty").open("w+"))
    assert bench["main"]([f"{NAME}.{TAG}", "--cache", str(tmp_path / "cache")]) == 1
    assert "nothing is downloaded" in capsys.readouterr().out
    assert not (tmp_path / "cache").exists()
    assert all(asked.status != 200 for asked in served.requests)


def test_a_file_of_ones_own(bench, foreign):
    line = bench["check"](f"{NAME}.{TAG}", weights_file=foreign, photos=photos())
    assert line.problem is None
    assert (line.descriptor, line.size) == (32, foreign.stat().st_size)
    assert line.rendered is None
    text = bench["table"]([line, bench["Line"]("a.b", problem="FAILED, a | b")])
    assert text.splitlines()[-1] == "| a.b | - | - | - | - | - | - | - | - | FAILED, a / b |"


def test_descriptors_that_cannot_be_right(bench, foreign, tmp_path):
    state = torch.load(foreign, weights_only=True)
    state["aggregation.3.weight"][0, 0] = float("nan")
    torch.save(state, tmp_path / "nan.pth")
    line = bench["check"](f"{NAME}.{TAG}", weights_file=tmp_path / "nan.pth", photos=photos())
    assert line.problem.startswith("FAILED, ")


def test_the_published_score_stands_beside_ours(bench, foreign, tmp_path):
    (tmp_path / "jpg").mkdir()
    names = [f"photo_{number}" for number in range(4)]
    for name, photo in zip(names, photos(4)):
        Image.fromarray(photo).save(tmp_path / "jpg" / f"{name}.jpg", quality=95)
    whole = [0.0, 0.0, 128.0, 96.0]
    truth = [{"bbx": whole, "easy": [row], "hard": [1 - row], "junk": []} for row in range(2)]
    content = {"imlist": names, "qimlist": names[:2], "gnd": truth}
    (tmp_path / "gnd_roxford5k.pkl").write_bytes(pickle.dumps(content))
    data = lz.evaluate(
        lz.create_model(f"{NAME}.{TAG}", weights_file=foreign), lz.datasets.RevisitedOxford(tmp_path)
    )
    line = bench["check"](
        f"{NAME}.{TAG}", weights_file=foreign, photos=photos(), revisited={"ROxford5k": tmp_path}
    )
    assert line.problem is None
    medium, hard = (f"{100 * data[metric]:.1f}" for metric in ("medium mAP", "hard mAP"))
    assert line.revisited == {"ROxford5k": f"{medium} (67.8) / {hard} (41.7)"}


def test_what_the_notebook_printed(bench):
    head = lz.SubCenterArcFaceDynamic(512, 4, margins=0.3)

    class Same(nn.Module):
        def forward(self, images):
            return torch.ones(1, 512)

    (first, same), (second, _) = bench["known_answers"](Same(), head)
    assert first.endswith("the authors' class 26606, 1.853e-05")
    assert second.endswith("the authors' class 50843, 1.512e-05")
    assert not same
