"""All landmark weights that can be loaded by name: the check for a machine with a network.

    python benchmarks/published_weights.py gem_resnet50.gl18 megaloc --out table.md
    python benchmarks/published_weights.py --yes --roxford DIR --rparis DIR --out table.md
    python benchmarks/published_weights.py gem_resnet50.gl18 --weights-file gl18-tl-resnet50-gem-w-83fdc30.pth

Without names it takes all of ``lz.list_models(pretrained=True)``. It shows size and licence, asks, downloads,
loads and embeds the photos of a folder, or rendered landmarks. With the folder of Revisited Oxford or Paris
the table has our mAP and, in brackets, the published one, medium / hard. ``--onnx DIR`` holds the release of
the authors of the paper, ``model_headless.onnx`` and ``model_head.onnx``: what their notebook printed is
compared. What lies in the package needs no network. A line whose download or check failed says so; the exit
code is then 1.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import torch
from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
from measuring import machine

import landmarkzoo as lz
from landmarkzoo.models.packaged_weights import packaged_folder
from landmarkzoo.models.registry import pretrained_cfg

ONNX = "dolg_efficientnet_b5.gldv2x"
COLUMNS = (
    "weights | descriptor | bytes | SHA-256 | load, s | photo, s | rendered mAP@100 | ROxford M / H | "
    "RParis M / H | result"
)
SETS = {"ROxford5k": lz.datasets.RevisitedOxford, "RParis6k": lz.datasets.RevisitedParis}


@dataclass
class Line:
    """What is known of one file of weights."""

    name: str
    descriptor: int | None = None
    size: int | None = None
    sha256: str | None = None
    load: float | None = None
    photo: float | None = None
    rendered: float | None = None
    revisited: dict[str, str] = field(default_factory=dict)
    problem: str | None = None

    def cells(self) -> list[str]:
        numbers = [_shown(value, "{:.1f}") for value in (self.load, self.photo)]
        scores = [self.revisited.get(name, "-") for name in SETS]
        sha256 = f"`{self.sha256}`" if self.sha256 else "-"
        size = [_shown(self.descriptor, "{}"), _shown(self.size, "{:,}"), sha256]
        result = self.problem or "loaded"
        return [self.name, *size, *numbers, _shown(self.rendered, "{:.3f}"), *scores, result]


def table(lines: Sequence[Line], device: str = "cpu") -> str:
    """Lines as a Markdown table, with the machine and the date."""
    rows = [COLUMNS, " | ".join("---" for _ in COLUMNS.split("|"))]
    rows += [" | ".join(cell.replace("|", "/") for cell in line.cells()) for line in lines]
    return "\n".join([f"{machine()}, {device}", "", *(f"| {row} |" for row in rows)]) + "\n"


def check(
    name: str,
    *,
    photos: Any = None,
    weights_file: str | Path | None = None,
    cache_dir: str | Path | None = None,
    revisited: Mapping[str, str | Path] | None = None,
    device: str = "cpu",
    batch_size: int = 4,
) -> Line:
    """Load the weights of a name, and see what they give; nothing is raised.

    Args:
        name: Of ``lz.list_models(pretrained=True)``.
        photos: What ``lz.embed`` takes; ``None``: rendered landmarks, and the mAP on them.
        weights_file: Instead of downloading.
        cache_dir: Where downloads are kept.
        revisited: ``"ROxford5k"`` or ``"RParis6k"`` -> folder of the data set.
        device: Where to run.
        batch_size: Photos a forward pass.
    """
    line = Line(name)
    try:
        start = time.perf_counter()
        weights = pretrained_cfg(name).weights
        source: dict[str, Any] = {"weights_file": weights_file} if weights_file else {"pretrained": True}
        if not weights_file and packaged_folder(weights) is None:
            source["cache_dir"] = cache_dir
        model = lz.create_model(name, device=device, **source)
        line.load = time.perf_counter() - start
        path = Path(weights_file) if weights_file else file_of(weights, cache_dir)
        if path is not None:
            line.size, line.sha256 = path.stat().st_size, sha256(path)
        see(line, model, photos, batch_size)
        for data, root in (revisited or {}).items():
            line.revisited[data] = beside_published(model, data, root, batch_size)
    except Exception as error:  # the line says what failed, the others are checked nevertheless
        line.problem = f"FAILED, {type(error).__name__}: {' '.join(str(error).split())}"
    return line


def see(line: Line, model: Any, photos: Any, batch_size: int) -> None:
    """Embed, and check what must hold of every descriptor."""
    source = lz.rendered.RenderedLandmarks(6, 4, 4, image_size=320) if photos is None else photos
    start = time.perf_counter()
    found = lz.embed(model, source, batch_size=batch_size, progress=False)
    line.photo = (time.perf_counter() - start) / max(1, len(found))
    vectors = np.asarray(found.vectors, dtype=np.float64)
    line.descriptor = vectors.shape[1]
    registered = lz.get_model_cfg(line.name).embedding_dim
    if line.descriptor != registered:
        raise ValueError(f"descriptors have {line.descriptor} numbers, {registered} are registered")
    if not np.isfinite(vectors).all() or abs(np.linalg.norm(vectors, axis=1) - 1).max() > 1e-3:
        raise ValueError("descriptors are not finite, or not of length 1")
    if photos is None:
        line.rendered = lz.evaluate(found, source)["mAP@100"]


def beside_published(model: Any, data: str, root: str | Path, batch_size: int) -> str:
    """Our mAP and, in brackets, the published one, medium / hard, in per cent."""
    ours = lz.evaluate(model, SETS[data](root), batch_size=batch_size)
    shown = []
    for setup in ("medium", "hard"):
        start = f"{data}, {setup}"
        theirs = [s.value for s in model.cfg.scores if s.metric == "mAP" and s.protocol.startswith(start)]
        published = f" ({100 * theirs[0]:.1f})" if theirs else ""
        shown.append(f"{100 * ours[f'{setup} mAP']:.1f}{published}")
    return " / ".join(shown)


def file_of(weights: Any, cache_dir: str | Path | None) -> Path | None:
    """The file in the package, or in the cache."""
    if (packaged := packaged_folder(weights)) is not None:
        return packaged / "model.safetensors"
    if weights.repo is not None:
        path = try_to_load_from_cache(
            weights.repo, weights.file, cache_dir=cache_dir, revision=weights.revision
        )
        return Path(path) if isinstance(path, str) else None
    folder = Path(cache_dir or Path(torch.hub.get_dir()) / "checkpoints")
    path = folder / Path(urlsplit(weights.url).path).name
    return path if path.is_file() else None


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def size_of(weights: Any) -> int | None:
    """Bytes of the download: as published, or as the server says."""
    if weights.size is not None:
        return int(weights.size)
    try:
        if weights.repo is not None:
            url = hf_hub_url(weights.repo, weights.file, revision=weights.revision)
            return get_hf_file_metadata(url, timeout=5).size
        request = urllib.request.Request(weights.url, method="HEAD", headers={"User-Agent": "landmarkzoo"})
        with urllib.request.urlopen(request, timeout=5) as answer:
            return int(answer.headers["Content-Length"])
    except Exception:  # it is only shown; the download says what is wrong
        return None


def known_answers(model: Any, head: Any) -> list[tuple[str, bool]]:
    """What the authors' notebook printed in TensorRT float16, beside what we get, and whether it is the same.

    Their head is a softmax over unscaled cosines, so each of 81,313 classes gets about 1.2e-5.
    """
    ones = torch.ones(1, 512), torch.ones(1, 3, 768, 768)
    with torch.inference_mode():
        inputs: list[tuple[str, Callable[[], torch.Tensor], int, float]] = [
            ("all-ones features", lambda: ones[0], 26606, 1.8529143e-05),
            ("all-ones image", lambda: model.eval()(ones[1]), 50843, 1.5119517e-05),
        ]
        lines = []
        for what, features, label, confidence in inputs:
            scores = torch.softmax(head.cosine(features()), dim=1)[0]
            ours, value = int(scores.argmax()), float(scores.max())
            same = ours == label and abs(value / confidence - 1) < 0.01  # theirs is float16
            lines.append(
                (f"{what}: class {ours}, {value:.4g}; the authors' class {label}, {confidence:.4g}", same)
            )
    return lines


def check_onnx(folder: Path, out: Callable[[str], None]) -> Line:
    """The release of the authors of the paper, which has to be downloaded by hand."""
    line = Line(ONNX)
    try:
        start = time.perf_counter()
        path = folder / "model_headless.onnx"
        model, head = lz.convert_checkpoint(path, ONNX, head=folder / "model_head.onnx")
        line.load = time.perf_counter() - start
        line.size, line.sha256 = path.stat().st_size, sha256(path)
        see(line, model, None, 4)
        answers = known_answers(model, head)
        for said, same in answers:
            out(f"{'same' if same else 'DIFFERENT'}: {said}")
        if not all(same for _, same in answers):
            line.problem = "FAILED, not what the authors' notebook printed"
    except Exception as error:
        line.problem = f"FAILED, {type(error).__name__}: {' '.join(str(error).split())}"
    return line


def agreed(names: Sequence[str], yes: bool) -> bool:
    """Show what would be downloaded, and ask."""
    total, cfgs = 0, [cfg for cfg in map(pretrained_cfg, names) if packaged_folder(cfg.weights) is None]
    for cfg in cfgs:
        size = size_of(cfg.weights)
        total += size or 0
        shown = "size unknown" if size is None else f"{size:,} bytes"
        print(f"{cfg.name}: {shown}, licence {cfg.license or 'not stated'}, {cfg.weights.address}")
    if yes or not cfgs:
        return True
    try:
        return input(f"Download these {len(cfgs)}, {total:,} bytes or more? [y/N] ").strip().lower() == "y"
    except EOFError:
        return False


def revisited(a: argparse.Namespace) -> dict[str, str]:
    return {data: root for data, root in zip(SETS, (a.roxford, a.rparis)) if root}


def wrong_input(a: argparse.Namespace, names: Sequence[str]) -> str | None:
    """What is wrong with the arguments, if anything is."""
    for option in ("photos", "roxford", "rparis", "onnx"):
        if (folder := getattr(a, option)) and not Path(folder).is_dir():
            return f"--{option}: there is no folder {folder}"
    for data, root in revisited(a).items():
        try:
            SETS[data](root)
        except (OSError, ValueError) as error:
            return " ".join(str(error).split())
    if a.weights_file and not Path(a.weights_file).is_file():
        return f"--weights-file: there is no file {a.weights_file}"
    if a.out and not Path(a.out).absolute().parent.is_dir():
        return f"--out: there is no folder {Path(a.out).absolute().parent}"
    for name in names:
        try:
            lz.get_model_cfg(name)
        except ValueError as error:
            return str(error)
        if not (a.weights_file or lz.list_models(name, pretrained=True)):
            by_hand = f"; see --onnx DIR for {ONNX}" if name.partition(".")[0] in ONNX else ""
            return f"no landmark weights of {name} can be loaded{by_hand}"
    return None


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all that there are")
    parser.add_argument("--photos", metavar="DIR", help="default: rendered landmarks")
    parser.add_argument(
        "--weights-file", metavar="FILE", help="for one name: this file, nothing is downloaded"
    )
    parser.add_argument("--cache", metavar="DIR", help="default: those of the Hub and of torch.hub")
    parser.add_argument("--roxford", metavar="DIR", help="folder of Revisited Oxford")
    parser.add_argument("--rparis", metavar="DIR", help="folder of Revisited Paris")
    parser.add_argument("--onnx", metavar="DIR", help="model_headless.onnx and model_head.onnx")
    parser.add_argument("--device", default="cpu", help="such as cuda, default: cpu")
    parser.add_argument("--batch-size", type=int, default=4, metavar="N", help="default: 4")
    parser.add_argument("--out", metavar="FILE", help="Markdown table to write")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    a = parser.parse_args(arguments)
    names = a.names or ([] if a.onnx else lz.list_models(pretrained=True))
    if a.weights_file and len(names) != 1:
        parser.error("--weights-file is for one NAME")
    if wrong := wrong_input(a, names):  # now, not after gigabytes
        parser.error(wrong)
    if names and not a.weights_file and not agreed(names, a.yes):
        print("nothing is downloaded")
        return 1
    options = {"photos": a.photos, "weights_file": a.weights_file, "cache_dir": a.cache, "device": a.device}
    lines: list[Line] = []

    def add(line: Line) -> None:
        lines.append(line)
        print(" | ".join(line.cells()), flush=True)
        if a.out:  # after each, so that a stop in between loses nothing
            Path(a.out).write_text(table(lines, a.device), encoding="utf-8")

    for name in names:
        add(check(name, revisited=revisited(a), batch_size=a.batch_size, **options))
    if a.onnx:
        add(check_onnx(Path(a.onnx), print))
    return int(any(line.problem for line in lines))


if __name__ == "__main__":
    sys.exit(main())
