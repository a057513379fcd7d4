"""From photos to classes: as embed and the loop give them, and with a fine-tuned model from its folder."""

import numpy as np
import pytest
import torch
from PIL import Image

import landmarkzoo as lz
from landmarkzoo.embedding import embed


@pytest.fixture(scope="module")
def head():
    torch.manual_seed(0)
    return lz.SubCenterArcFaceDynamic(1280, 20)


def test_photos_are_embedded_as_embed_does(tiny_model, head, photo_folder):
    (photo_folder / "bad.jpg").write_bytes(b"")
    options = {"flip": True, "scales": (1, 1.5), "on_error": "skip", "batch_size": 4, "progress": False}
    d = embed(tiny_model, photo_folder, **options)
    p = lz.classify(tiny_model, head, photo_folder, **options)
    again = lz.classify(tiny_model, head, d)
    assert p.ids == d.ids == again.ids
    assert p.skipped == d.skipped == again.skipped == [("bad.jpg", "the file is empty")]
    np.testing.assert_array_equal(p.labels, again.labels)
    np.testing.assert_array_equal(p.scores, again.scores)
    with pytest.raises(lz.PhotoError, match="bad"):
        lz.classify(tiny_model, head, photo_folder, progress=False)


def test_one_photo_arrays_and_boxes(tiny_model, head, photo_folder):
    path = photo_folder / "0.png"
    one = lz.classify(tiny_model, head, path, progress=False)
    assert (one.ids, one.labels.shape) == ([str(path)], (1, 5))
    image = Image.open(path).convert("RGB")
    in_memory = lz.classify(tiny_model, head, [image, np.asarray(image)], progress=False)
    assert in_memory.ids == ["0", "1"]
    np.testing.assert_allclose(in_memory.scores, np.repeat(one.scores, 2, axis=0), atol=1e-6)
    cropped = lz.classify(tiny_model, head, [path], boxes=[(0, 0, 40, 40)], progress=False)
    by_hand = lz.classify(tiny_model, head, [image.crop((0, 0, 40, 40))], progress=False)
    np.testing.assert_array_equal(cropped.scores, by_hand.scores)


def test_sizes_are_compared_before_photos_are_read(tiny_model):
    with pytest.raises(ValueError, match="the model has embedding_dim 1280, the head 8: take the head"):
        lz.classify(tiny_model, lz.losses.CosFace(8, 3), "nowhere")


def test_descriptors_of_another_model_or_whitened_ones(tiny_model, head, photo_folder):
    d = embed(tiny_model, photo_folder, progress=False)
    with pytest.raises(ValueError, match=r"come from GlobalDescriptor \(weights \w+\), the model has"):
        lz.classify(lz.GlobalDescriptor("tf_efficientnet_lite0", neck="none"), head, d)
    white = lz.Whitening.fit(d, dim=4).apply(d)
    with pytest.raises(ValueError, match="the descriptors are whitened by"):
        lz.classify(None, lz.losses.CosFace(4, 3), white)
    bare = lz.Descriptors(white.ids, white.vectors)
    assert len(lz.classify(None, lz.losses.CosFace(4, 3), bare)) == 11


def test_a_trained_model_from_its_folder(tmp_path):
    """Landmarks that were rendered; centers that are class means, where lz.finetune starts."""
    views, landmarks = 8, 5
    data = lz.rendered.RenderedLandmarks(landmarks, views, 0, image_size=128)
    is_known = np.arange(len(data)) % views < 6
    known, unseen = ([data[row][0] for row in np.flatnonzero(rows)] for rows in (is_known, ~is_known))
    labels = data.targets[is_known]

    model = lz.create_model("efficientnet_lite0_gem", pretrained_backbone=True, neck="none")
    vectors = lz.embed(model, known, progress=False).vectors
    head = lz.SubCenterArcFaceDynamic(model.embedding_dim, landmarks, margins=0.3, sub_centers=2)
    means = torch.stack([torch.from_numpy(vectors[labels == c].mean(axis=0)) for c in range(landmarks)])
    with torch.no_grad():
        head.weight[::2], head.weight[1::2] = means, -means
    quoted = [name.replace(" ", "%20") for name in data.classes]
    model.save_pretrained(tmp_path / "model", head, class_names=quoted)

    model = lz.create_model(f"local-dir:{tmp_path / 'model'}")
    head, class_names = lz.load_head(f"local-dir:{tmp_path / 'model'}")
    p = lz.classify(model, head, unseen, class_names=class_names, k=2, progress=False)
    assert (p.labels[:, 0] == data.targets[~is_known]).mean() >= 0.8  # by chance 0.2
    assert p.names[:, 0].tolist() == [data.classes[c] for c in p.labels[:, 0]]
