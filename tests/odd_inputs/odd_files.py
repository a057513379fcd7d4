"""Makes files that are odd in one way, in the working folder."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

IDS = [f"{place}/{n}.png" for place in ("bridge", "tower") for n in range(3)]
ROWS = "".join(f"{id_},{id_.split('/')[0]}\n" for id_ in IDS)


def write(name, content):
    """Makes a file."""

    def make():
        data = content() if callable(content) else content
        Path(name).write_bytes(data if isinstance(data, bytes) else data.encode())

    return make


def as_bytes(value):
    return np.frombuffer(json.dumps(value).encode(), np.uint8)


def stored(metadata=None, name="odd.st", **tensors):
    """Makes a descriptors file, in which some tensors and fields are others."""

    def make():
        right = {"vectors": np.eye(6, 8, dtype=np.float32), "ids": as_bytes(IDS), "skipped": as_bytes([])}
        fields = {"format": "landmarkzoo.descriptors.v1", "provenance": "{}", **(metadata or {})}
        arrays = {key: value for key, value in {**right, **tensors}.items() if value is not None}
        save_file(arrays, name, {key: value for key, value in fields.items() if value is not None})

    return make


def header(text, behind=b""):
    data = text if isinstance(text, bytes) else text.encode()
    return write("odd.st", len(data).to_bytes(8, "little") + data + behind)


def csv(text):
    return write("odd.csv", text)


def tampered(change):
    """Makes a copy of the model, in which something is other."""

    def make():
        shutil.copytree(Path("model").resolve(), "odd")
        change(Path("odd"))

    return make


def config(**values):
    def change(folder):
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return tampered(change)


def weights(change):
    def rewrite(folder):
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})

    return tampered(rewrite)


def text(name, content):
    data = content if isinstance(content, bytes) else content.encode()
    return tampered(lambda folder: (folder / name).write_bytes(data))


def instead(name, make_it):
    """Makes a copy of the model with something else where a file was."""

    def change(folder):
        (folder / name).unlink()
        make_it(folder / name)

    return tampered(change)


def every(tensors, value):
    for name, tensor in tensors.items():
        if tensor.dtype.kind == "f":
            tensors[name] = np.full_like(tensor, value)


class Evil:
    def __reduce__(self):
        return os.system, ("touch evil",)
