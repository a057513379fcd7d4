"""Put weights that ``benchmarks/rendered_weights.py`` has trained into the package.

    python benchmarks/package_weights.py RUN [--out FOLDER]

RUN is its folder, beside which ``RUN.scores.json`` lies. Written are the weights in float16, the entry of the
zoo (``config.json``) and the model card, all of them or none, the same files from the same RUN. How far
descriptors of the stored weights are from those of RUN is measured, on rendered photos that were not trained
on, and said in the card. The pages of the docs read the entry:

    python docs/zoo_page.py > docs/zoo.md; python docs/which_model_page.py
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rendered_weights import SETTINGS, record_file

import landmarkzoo as lz
from landmarkzoo._utils.atomic_writing import write_together
from landmarkzoo.hub.model_cards import CARD_FILE, model_card
from landmarkzoo.hub.model_files import WEIGHTS_FILE, model_writers
from landmarkzoo.losses.head_files import CLASSES_FILE, HEAD_FILE
from landmarkzoo.models.packaged_weights import FOLDER, PACKAGE

NAME = "efficientnet_lite0_gem.rendered"
TRAINED = "trained on rendered photos"  # the row of the record whose scores the entry states
LARGEST = 10_000_000  # bytes that everybody downloads who installs the package
LEAST_COSINE = 0.999
PARTS = {"mAP@100": "search", "k-reciprocal": "k-reciprocal", "GAP": "recognition with rejection"}
TRAINING_DATA = "landmarks rendered by landmarkzoo.rendered, from ImageNet weights; no other photo"
LIMITS = """\
- It was trained on drawings, whose surfaces, light and surroundings are simpler than those of photos.
  Where a download is possible, try weights that were trained on photos of landmarks as well.
- It knows how invented landmarks look from several sides, and none that exists: it has no head.
- It is small, 4 million weights, and reads 384 px: what only small details tell is lost."""


def entry(run: Path, record: Mapping[str, Any]) -> lz.ModelCfg:
    """The entry of the zoo."""
    cfg = lz.create_model(run).cfg
    photos = record["photos"]
    protocol = (
        f"landmarks not trained on, {record['settings']['test_size']} px, with the mirror image, measured by "
        f"us, {record['machine'].partition(',')[0]}"
    )
    scores = []
    for metric, value in record["scores"].get(TRAINED, {}).items():
        found = "{recognized} photos" if metric == "GAP" else "{queries} queries in {index} photos"
        part = f"{PARTS[metric]} of {found.format(**photos)}"
        name = "GAP" if metric == "GAP" else "mAP@100"
        scores.append(lz.Score(name, value, f"real photos, {part}, {protocol}"))
    return replace(
        cfg,
        name=NAME,
        weights=f"{PACKAGE}{NAME}",
        training_data=TRAINING_DATA,
        license="Apache-2.0",
        scores=tuple(scores),
    )


def stored_weights(model: lz.models.DescriptorModel) -> lz.models.DescriptorModel:
    """The model as it comes back from float16."""
    for name, tensor in model.half().state_dict().items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise ValueError(f"{name} has numbers that float16 does not hold")
    return model


def cosines(run: Path, landmarks: int) -> np.ndarray:
    """Cosine (N,) of the descriptors by the stored weights and by those of the training."""
    drawn = lz.rendered.RenderedLandmarks(landmarks, 4, 0, image_size=288, seed=20_000)
    photos = [np.asarray(drawn[row][0]) for row in range(len(drawn))]
    models = [lz.create_model(run), stored_weights(lz.create_model(run)).float()]
    first, second = (
        np.asarray(lz.embed(model, photos, precision="float32", progress=False).vectors, dtype=np.float64)
        for model in models
    )
    return (first * second).sum(axis=1)


def card(cfg: lz.ModelCfg, record: Mapping[str, Any], parameters: int, cosine: np.ndarray) -> str:
    """The model card."""
    text = model_card(cfg, NAME, parameters=parameters).rstrip("\n")
    by_name = f'lz.create_model("hf-hub:{NAME}")', f'lz.create_model("{NAME}", pretrained=True)'
    assert by_name[0] in text
    limits = f"## What it is bad at\n\n{LIMITS}"
    parts = [text.replace(*by_name), _training(record), _compared(record), _stored(cosine), limits]
    return "\n\n".join(parts) + "\n"


def _training(record: Mapping[str, Any]) -> str:
    settings, versions = record["settings"], record["versions"]
    options = " ".join(f"--{name.replace('_', '-')} {settings[name]}" for name in SETTINGS)
    minutes, peak = "not counted", "not counted"
    if record["minutes"] is not None:
        minutes, peak = f"{record['minutes']:.0f}", f"{record['peak_gib']} GiB"
    return f"""## How it was trained

```sh
python benchmarks/rendered_weights.py OUT --photos PHOTOS {options}
```

`lz.finetune` on {settings["landmarks"]:,} landmarks, {settings["views"]} views of each, that
`lz.rendered.RenderedLandmarks` drew from the seed {settings["seed"]} with a longer side of
{settings["image_size"]} px; {settings["epochs"]} epochs with crops of {settings["crop"]} px.

| | |
| --- | --- |
| Machine and date | {record["machine"]} |
| Minutes, drawing included | {minutes} |
| Peak memory of the process that trains | {peak} |
| Versions | {", ".join(f"{name} {version}" for name, version in versions.items())} |

It started from `tf_efficientnet_lite0.in1k`, trained on ImageNet by its authors, Apache-2.0. No photo was
added to that: each was drawn, so nobody else has rights in it, and none of the landmarks exists."""


def _compared(record: Mapping[str, Any]) -> str:
    if not record["scores"]:
        return "## Compared\n\nNothing was measured on real photos."
    rows = "\n".join(
        f"| {name} | {' | '.join(f'{values[metric]:.3f}' for metric in PARTS)} |"
        for name, values in record["scores"].items()
    )
    return f"""## Compared

On real photos, none of which was trained on: mAP@100 of search alone and re-ranked by k-reciprocal neighbors,
GAP of recognition with rejection. Settings were chosen on other photos, those that fill the index and vote
here among them, and never on the queries. `ImageNet` is the pooled map of the backbone, `whitened` its neck
as a whitening that was learned from rendered photos.

| weights | {" | ".join(PARTS)} |
|{" --- |" * (1 + len(PARTS))}
{rows}"""


def _stored(cosine: np.ndarray) -> str:
    return f"""## How it is stored

In float16; it is loaded as float32. On {len(cosine)} rendered photos that it was not trained on the cosine
between the descriptors of the stored weights and of those of the training is {cosine.mean():.6f} on average,
{cosine.min():.6f} at least. The scores are those of the weights of the training."""


def package(run: Path, out: Path, landmarks: int = 16) -> np.ndarray:
    """Write the folder; the cosines."""
    record = json.loads(record_file(run).read_text(encoding="utf-8"))
    cfg, cosine = entry(run, record), cosines(run, landmarks)
    if cosine.min() < LEAST_COSINE:
        raise ValueError(f"float16 changes descriptors too much: a cosine of {cosine.min():.5f}")
    model = stored_weights(lz.create_model(run))
    text = card(cfg, record, sum(parameter.numel() for parameter in model.parameters()), cosine)
    writers = model_writers(model, cfg)

    def write_weights(path: Path) -> None:
        writers[WEIGHTS_FILE](path)
        if path.stat().st_size > LARGEST:
            raise ValueError(f"the weights have {path.stat().st_size:,} bytes, {LARGEST:,} at most go in")

    write_together(
        out,
        {**writers, WEIGHTS_FILE: write_weights, CARD_FILE: lambda path: path.write_text(text, "utf-8")},
        remove=(HEAD_FILE, CLASSES_FILE),
    )
    return cosine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of the training")
    parser.add_argument("--out", type=Path, default=FOLDER / NAME, help="default: its place in the package")
    options = parser.parse_args()
    torch.manual_seed(0)
    cosine = package(options.run, options.out)
    size = (options.out / WEIGHTS_FILE).stat().st_size
    print(f"{options.out}: {size / 1e6:.1f} MB, cosine to float32 at least {cosine.min():.6f}")


if __name__ == "__main__":
    main()
