"""The authors' ONNX release of the paper's own model, converted: what it answers beside what theirs printed.

    python benchmarks/check_onnx_release.py model_headless.onnx model_head.onnx class2name.csv [PHOTO ...]

The files are in the release v0.0.1-alpha of github.com/ChristofHenkel/kaggle-landmark-2021-1st-place, the
table and the photo 023145233aeabdc0.jpg in its folder inference/imgs. Where onnxruntime is installed, the
descriptors of the two models are compared as well. Exit code 0: all answers are the right ones.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import torch

import landmarkzoo as lz

NAME = "dolg_efficientnet_b5.gldv2x"
PHOTO = "023145233aeabdc0"


@dataclass(frozen=True)
class Answer:
    """What a model says of one input: a class and its confidence, softmax over cosines without a scale."""

    what: str
    label: int
    confidence: float | None
    name: str | None = None

    def agrees(self, other: "Answer") -> bool:
        """Whether the class is the same; confidences of 81,313 classes in float16 differ by some 1%."""
        if self.confidence is None or other.confidence is None:
            return self.label == other.label
        return self.label == other.label and abs(self.confidence / other.confidence - 1) < 0.02


# Printed by inference/kaggle_model_inferenz.ipynb of their repository at 1ddd3f6, in TensorRT with float16.
KNOWN = (
    Answer("features of ones", 26606, 1.8529143e-05),
    Answer("image of ones", 50843, 1.5119517e-05),
    Answer(f"photo {PHOTO}", 445, None, "Kopaonik"),
)


def answers(
    model: torch.nn.Module, head: lz.losses.Head, names: Sequence[str], photos: Sequence[Path] = ()
) -> list[Answer]:
    """What a converted model and its head say of the inputs of ``KNOWN``, and of photos."""
    with torch.inference_mode():
        features = {
            "features of ones": torch.ones(1, model.embedding_dim),
            "image of ones": model.eval()(torch.ones(1, 3, 768, 768)),
        }
        for photo in photos:
            features[f"photo {photo.stem}"] = torch.from_numpy(
                lz.embed(model, [photo], progress=False).vectors
            )
        found = []
        for what, descriptor in features.items():
            confidence, label = head.cosine(descriptor).softmax(dim=1)[0].max(dim=0)
            found.append(Answer(what, int(label), float(confidence), names[int(label)]))
    return found


def distance_to_onnxruntime(model: torch.nn.Module, path: Path) -> float:
    """Distance of unit descriptors of one image, by our model and by onnxruntime."""
    import onnxruntime

    content = _with_explicit_padding(path).SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    shape = [side if isinstance(side, int) else 768 for side in session.get_inputs()[0].shape]
    image = torch.randn(1, *shape[1:], generator=torch.Generator().manual_seed(0))
    theirs = session.run(None, {session.get_inputs()[0].name: image.numpy()})[0][0]
    with torch.inference_mode():
        ours = model.eval()(image)[0].numpy()
    return float(np.linalg.norm(ours / np.linalg.norm(ours) - theirs / np.linalg.norm(theirs)))


def _with_explicit_padding(path: Path) -> onnx.ModelProto:
    """Padding "same" of dilated convolutions, which onnxruntime does not run, in numbers."""
    model = onnx.load(path)
    for node in model.graph.node:
        values = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
        if node.op_type == "Conv" and values.get("auto_pad") == b"SAME_UPPER" and values["strides"] == [1, 1]:
            pads = [
                d * (k - 1) // 2 for d, k in zip(values["dilations"], values["kernel_shape"], strict=True)
            ]
            kept = [attribute for attribute in node.attribute if attribute.name != "auto_pad"]
            del node.attribute[:]
            node.attribute.extend([*kept, onnx.helper.make_attribute("pads", pads * 2)])
    return model


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("headless", type=Path)
    parser.add_argument("head", type=Path)
    parser.add_argument("class_names", type=Path)
    parser.add_argument("photos", type=Path, nargs="*")
    parser.add_argument("--name", default=NAME, help=f"the registered model, default: {NAME}")
    arguments = parser.parse_args()
    model, head = lz.convert_checkpoint(arguments.headless, arguments.name, head=arguments.head)
    names = lz.hub.read_class_names(arguments.class_names)
    known = {answer.what: answer for answer in KNOWN}
    print("| input | expected | found | |\n|---|---|---|---|")
    right = True
    for found in answers(model, head, names, arguments.photos):
        expected = known.get(found.what)
        agrees = expected is None or expected.agrees(found)
        right &= agrees
        verdict = "" if expected is None else "agrees" if agrees else "differs"
        print(f"| {found.what} | {_text(expected)} | {_text(found)} | {verdict} |")
    if find_spec("onnxruntime") is not None:
        distance = distance_to_onnxruntime(model, arguments.headless)
        right &= distance < 1e-4
        print(f"distance of unit descriptors from onnxruntime's: {distance:.1e}")
    return 0 if right else 1


def _text(answer: Answer | None) -> str:
    if answer is None:
        return ""
    confidence = "" if answer.confidence is None else f", {answer.confidence:.4e}"
    return f"{answer.label}{confidence}{f', {answer.name}' if answer.name else ''}"


if __name__ == "__main__":
    sys.exit(main())
