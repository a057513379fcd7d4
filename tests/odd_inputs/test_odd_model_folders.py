"""Model folders and checkpoints of every odd kind."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from odd_cases import Command, params
from odd_files import config, every, instead, tampered, text, weights

MODEL = "embed photos --model local-dir:odd --out x.st"

FOLDERS = [
    Command(
        "model is a file",
        "embed photos --model local-dir:index.st --out x.st",
        "'local-dir:index.st' is a file: give its folder, 'local-dir:.'",
    ),
    Command(
        "model is a photo folder",
        "embed photos --model local-dir:photos --out x.st",
        "no config.json in photos: model.save_pretrained writes it",
    ),
    Command(
        "config of no bytes",
        MODEL,
        "odd/config.json is damaged: Expecting value: line 1 column 1",
        make=text("config.json", ""),
    ),
    Command(
        "config with BOM",
        MODEL,
        "odd/config.json is damaged: Unexpected UTF-8 BOM (decode",
        make=tampered(lambda f: (f / "config.json").write_text("\ufeff" + (f / "config.json").read_text())),
    ),
    Command(
        "config in UTF-16",
        MODEL,
        "odd/config.json is damaged: 'utf-8' codec can't decode byte",
        make=tampered(
            lambda f: (f / "config.json").write_bytes((f / "config.json").read_text().encode("utf-16"))
        ),
    ),
    Command(
        "config that is null",
        MODEL,
        "odd/config.json is no config.json of a model: it holds a",
        make=text("config.json", "null"),
    ),
    Command(
        "config nested without end",
        MODEL,
        "odd/config.json is damaged: maximum recursion depth exceeded",
        make=text("config.json", '{"a":' * 99_999),
    ),
    Command(
        "config of megabytes",
        MODEL,
        "odd/config.json has 2000000 bytes, which no config.json of",
        make=text("config.json", " " * 2_000_000),
    ),
    Command(
        "config is a folder",
        MODEL,
        "no config.json in odd: model.save_pretrained writes it",
        make=instead("config.json", Path.mkdir),
    ),
    Command(
        "config is a pipe",
        MODEL,
        "no config.json in odd: model.save_pretrained writes it",
        make=instead("config.json", os.mkfifo),
    ),
    Command(
        "config leads to itself",
        MODEL,
        "no config.json in odd: model.save_pretrained writes it",
        make=instead("config.json", lambda p: p.symlink_to(p.name)),
    ),
    Command(
        "weights are a pipe",
        MODEL,
        "no model.safetensors in odd; only safetensors are read",
        make=instead("model.safetensors", os.mkfifo),
    ),
    Command(
        "weights are a folder",
        MODEL,
        "no model.safetensors in odd; only safetensors are read",
        make=instead("model.safetensors", Path.mkdir),
    ),
    Command(
        "weights are descriptors",
        MODEL,
        "odd/model.safetensors does not fit its config.json:",
        make=instead("model.safetensors", lambda p: shutil.copy("index.st", p)),
    ),
    Command(
        "weights of NaN",
        MODEL,
        "the model gives NaN or infinite values for the photo",
        make=weights(lambda t: every(t, np.nan)),
    ),
    Command(
        "weights of infinity",
        MODEL,
        "the model gives NaN or infinite values for the photo",
        make=weights(lambda t: every(t, np.inf)),
    ),
    Command(
        "weights of zeros",
        MODEL,
        out="6 photos, 8",
        writes=("x.st",),
        warns="warning: the model gives only zeros for 6 of 6",
        make=weights(lambda t: every(t, 0)),
    ),
    Command(
        "weights too large",
        MODEL,
        "the model gives NaN or infinite values for the photo",
        make=weights(lambda t: every(t, 1e30)),
    ),
    Command(
        "weights in float64",
        MODEL,
        out="6 photos",
        writes=("x.st",),
        make=weights(
            lambda t: t.update({k: v.astype(np.float64) for k, v in t.items() if v.dtype.kind == "f"})
        ),
    ),
    Command(
        "weights of integers",
        MODEL,
        "odd/model.safetensors does not fit its config.json:",
        make=weights(lambda t: t.update({k: v.astype(np.int8) for k, v in t.items()})),
    ),
    Command(
        "one weight more",
        MODEL,
        "odd/model.safetensors does not fit its config.json: more is",
        make=weights(lambda t: t.update(more=np.ones(3))),
    ),
    Command(
        "one weight less",
        MODEL,
        "odd/model.safetensors does not fit its config.json:",
        make=weights(lambda t: t.pop(next(iter(t)))),
    ),
    Command(
        "weights transposed",
        MODEL,
        "odd/model.safetensors does not fit its config.json:",
        make=weights(lambda t: t.update({k: np.ascontiguousarray(v.T) for k, v in t.items()})),
    ),
    Command(
        "architecture unknown",
        MODEL,
        "odd: the architecture 'os.system' is not registered; there",
        make=config(architecture="os.system"),
    ),
    Command(
        "architecture in lower case",
        MODEL,
        "odd: the architecture 'globaldescriptor' is not registered;",
        make=config(architecture="globaldescriptor"),
    ),
    Command(
        "architecture that is a list",
        MODEL,
        "odd/config.json is damaged or of a newer landmarkzoo:",
        make=config(architecture=["GlobalDescriptor"]),
    ),
    Command(
        "args that are a list",
        MODEL,
        "odd/config.json is damaged or of a newer landmarkzoo: args",
        make=config(args=[1]),
    ),
    Command(
        "args that are empty",
        MODEL,
        "odd: the model that its config.json describes cannot be built",
        make=config(args={}),
    ),
    Command(
        "args that build it",
        MODEL,
        "odd: GlobalDescriptor has no argument 'pretrained_backbone'.",
        make=config(args={"backbone": "test_efficientnet", "pretrained_backbone": True}),
    ),
    Command(
        "backbone of the hub",
        MODEL,
        "odd: the model that its config.json describes cannot be built",
        make=config(args={"backbone": "hf-hub:evil/model"}),
    ),
    Command(
        "backbone of a folder",
        MODEL,
        "odd: the model that its config.json describes cannot be built",
        make=config(args={"backbone": "local-dir:/etc"}),
    ),
    Command(
        "backbone that is empty",
        MODEL,
        "odd: the model that its config.json describes cannot be built",
        make=config(args={"backbone": ""}),
    ),
    Command(
        "backbone that is a number",
        MODEL,
        "odd: the model that its config.json describes cannot be built",
        make=config(args={"backbone": 5}),
    ),
    Command(
        "backbone with arguments",
        MODEL,
        "odd: the model that its config.json describes cannot be built",
        make=config(args={"backbone": "test_efficientnet", "backbone_args": {"checkpoint_path": "evil.pth"}}),
    ),
    Command(
        "pool that is a list",
        MODEL,
        "odd: the model that its config.json describes cannot be built",
        make=config(args={"backbone": "test_efficientnet", "pool": ["gem"]}),
    ),
    Command(
        "embedding_dim of true",
        MODEL,
        "odd/config.json is damaged or of a newer landmarkzoo:",
        make=config(embedding_dim=True),
    ),
    Command(
        "embedding_dim of another size",
        MODEL,
        "odd/config.json is damaged: its embedding_dim is 9, but its",
        make=config(embedding_dim=9),
    ),
    Command(
        "embedding_dim of 8.0",
        MODEL,
        "odd/config.json is damaged or of a newer landmarkzoo:",
        make=config(embedding_dim=8.0),
    ),
    Command(
        "input_size of one channel",
        MODEL,
        "odd/config.json is damaged or of a newer landmarkzoo:",
        make=config(input_size=[1, 32, 32]),
    ),
    Command(
        "input_size of two",
        MODEL,
        "odd/config.json is damaged or of a newer landmarkzoo:",
        make=config(input_size=[3, 32]),
    ),
    Command(
        "input_size of text",
        MODEL,
        "odd/config.json is damaged or of a newer landmarkzoo:",
        make=config(input_size=["3", "32", "32"]),
    ),
    Command(
        "input_size of one pixel",
        MODEL,
        "its input_size is (3, 1, 1), which its model does not",
        make=config(input_size=[3, 1, 1]),
    ),
    Command(
        "std of zero",
        MODEL,
        "odd/config.json is damaged or of a newer landmarkzoo: std",
        make=config(std=[1, 1, 0]),
    ),
    Command(
        "std that overflows",
        MODEL,
        "the model gives NaN or infinite values for the photo",
        make=config(std=[1e-300] * 3),
    ),
    Command(
        "mean of NaN",
        MODEL,
        "odd/config.json is damaged: NaN is no value that it can hold",
        make=tampered(
            lambda f: (f / "config.json").write_text((f / "config.json").read_text().replace("0.485", "NaN"))
        ),
    ),
    Command(
        "mean of 1e999",
        MODEL,
        "odd/config.json is damaged or of a newer landmarkzoo: mean",
        make=tampered(
            lambda f: (f / "config.json").write_text(
                (f / "config.json").read_text().replace("0.485", "1e999")
            )
        ),
    ),
    Command(
        "mean of 5000 digits",
        MODEL,
        "odd/config.json is damaged: Exceeds the limit (4300 digits)",
        make=tampered(
            lambda f: (f / "config.json").write_text(
                (f / "config.json").read_text().replace("0.485", "9" * 5000)
            )
        ),
    ),
    Command(
        "interpolation in capitals",
        MODEL,
        "odd/config.json is damaged or of a newer landmarkzoo:",
        make=config(interpolation="BICUBIC"),
    ),
    Command(
        "resize by crop",
        MODEL,
        "odd/config.json is damaged or of a newer landmarkzoo: resize",
        make=config(resize="crop"),
    ),
    Command(
        "a field more",
        MODEL,
        "odd/config.json is damaged or of a newer landmarkzoo:",
        make=config(surprise=1),
    ),
    Command(
        "scores of text",
        MODEL,
        "odd/config.json is damaged or of a newer landmarkzoo: scores",
        make=config(scores="good"),
    ),
    Command(
        "format of the next version",
        MODEL,
        "odd/config.json has the format 'landmarkzoo.model.v2',",
        make=config(format="landmarkzoo.model.v2"),
    ),
    Command(
        "format that is a list",
        MODEL,
        "odd/config.json has the format ['landmarkzoo.model.v1'],",
        make=config(format=["landmarkzoo.model.v1"]),
    ),
    Command("name with a line break", MODEL, out="6 photos", writes=("x.st",), make=config(name="a\nb")),
    Command(
        "two keys of one name",
        MODEL,
        "odd/config.json is damaged: its embedding_dim is 9, but its",
        make=tampered(
            lambda f: (f / "config.json").write_text(
                (f / "config.json").read_text().rstrip()[:-1] + ', "embedding_dim": 9}'
            )
        ),
    ),
]


@pytest.mark.parametrize("case", params(FOLDERS))
def test_odd_folder(case, world, capsys):
    case.check(world, capsys)
