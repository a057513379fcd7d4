import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import Subset

import landmarkzoo as lz
from landmarkzoo.embedding.fingerprints import weights_fingerprint


def test_provenance_tells_models_weights_and_transforms_apart(tiny_model, photo_folder):
    d = lz.embed(tiny_model, photo_folder / "1.png", progress=False)
    assert set(d.provenance) == {"model", "weights", "transform", "image_size", "precision"}
    assert (d.provenance["image_size"], d.provenance["precision"]) == ("64 x 64", "float32")
    again = lz.embed(tiny_model, photo_folder / "2.png", progress=False)
    assert again.provenance == d.provenance
    other = lz.create_model("efficientnet_lite0_gem", neck="none")
    random = lz.embed(other, photo_folder / "1.png", progress=False)
    assert random.provenance["weights"] != d.provenance["weights"]
    with pytest.raises(ValueError, match="embed both with one model"):
        lz.search(random, d)


def test_fingerprint_is_that_of_weights_and_arguments_only():
    model = lz.create_model("dolg_efficientnet_lite0", hidden_dim=8)
    twin = lz.create_model("dolg_efficientnet_lite0", hidden_dim=8)
    twin.load_state_dict(model.state_dict())
    assert weights_fingerprint(twin) == weights_fingerprint(model)
    twin.spatial_attention.score.extra_repr = lambda: "what another version of torch may print"
    assert weights_fingerprint(twin) == weights_fingerprint(model)
    reference = lz.create_model("dolg_efficientnet_lite0", hidden_dim=8, projection="reference")
    reference.load_state_dict(model.state_dict())
    assert weights_fingerprint(reference) != weights_fingerprint(model)
    assert weights_fingerprint(torch.compile(model)) == weights_fingerprint(model)


def test_the_class_of_a_model_counts_in_its_fingerprint():
    class MaxPooled(lz.GlobalDescriptor):
        def forward_pooled(self, images):
            return self.forward_features(images).amax((2, 3))

    one = lz.GlobalDescriptor("test_efficientnet", pool="avg", neck="none")
    other = MaxPooled("test_efficientnet", pool="avg", neck="none")
    other.load_state_dict(one.state_dict())
    images = torch.randn(3, 3, 64, 64)
    embedded = [lz.embed(model, images, progress=False) for model in (one, other)]
    with pytest.raises(ValueError, match=r"from MaxPooled .*: embed both with one model"):
        lz.search(*embedded, k=1)


def test_the_fingerprint_sees_what_a_module_was_made_with():
    class Top(nn.Module):
        def __init__(self, k):
            super().__init__()
            self.k, self.calls, self.checkpointing = k, 0, False

        def forward(self, x):
            self.calls += 1
            return x.flatten(2).topk(self.k, dim=2).values.mean(dim=2)

    def model_of(k):
        torch.manual_seed(0)
        return lz.GlobalDescriptor("test_resnet", pool=Top(k), neck="none")

    model = model_of(1)
    assert weights_fingerprint(model) == weights_fingerprint(model_of(1))
    assert weights_fingerprint(model) != weights_fingerprint(model_of(2))
    before = weights_fingerprint(model)
    model.eval()(torch.zeros(2, 3, 64, 64))
    model.global_pool.checkpointing = True
    assert model.global_pool.calls > 0
    assert weights_fingerprint(model) == before  # counters and switches are no part of it


def test_all_that_changes_a_descriptor_stands_in_the_provenance(tiny_model, photo_folder):
    def origin(photos, **options):
        return lz.embed(tiny_model, photos, progress=False, **options).provenance

    plain = origin(photo_folder)
    assert {"views", "boxes", "ids"}.isdisjoint(plain)
    small = origin(photo_folder, transform=lz.create_transform(tiny_model, image_size=(32, 48)))
    assert small["image_size"] == "32 x 48"
    assert small["transform"] != plain["transform"]
    assert origin(photo_folder, precision="bfloat16")["precision"] == "bfloat16"
    boxes = [(0, 0, 20, 20)] * 2 + [None] * 9
    assert origin(photo_folder, boxes=boxes)["boxes"] == "2 of 11 photos"
    assert "boxes" not in origin(photo_folder, boxes=[None] * 11)
    assert origin(photo_folder, flip=True)["views"] == "scales (1.0,), flip True"
    in_memory = origin([Image.new("RGB", (8, 8))])
    assert in_memory["ids"] == "running numbers"
    assert {**plain, "ids": "running numbers"} == in_memory


def test_transforms_of_ones_own_have_no_addresses(tiny_model, photo_folder):
    def named(image):
        return torch.zeros(3, 64, 64)

    texts = [
        lz.embed(tiny_model, photo_folder, transform=transform, progress=False).provenance
        for transform in (named, lambda image: torch.zeros(3, 64, 64))
    ]
    assert texts[0]["transform"].startswith("<function test_transforms_of")
    assert not any("0x" in text["transform"] or "image_size" in text for text in texts)
    training = lz.create_transform(tiny_model, training=True)
    augmented = lz.embed(tiny_model, photo_folder, transform=training, progress=False)
    assert "image_size" not in augmented.provenance


def test_one_id_stands_for_one_photo(tiny_model, photo_folder):
    path = photo_folder / "1.png"
    with pytest.raises(ValueError, match=r"two photos have the id '.*1\.png', at 0 and 2: .*dict\.fromkeys"):
        lz.embed(tiny_model, [path, photo_folder / "2.png", path])
    whole = lz.rendered.RenderedLandmarks(2, 4, 0, image_size=32)
    with pytest.raises(ValueError, match="at 1 and 2"):
        lz.embed(tiny_model, Subset(whole, [0, 1, 1]))


@pytest.mark.filterwarnings("ignore:.*quantiz:DeprecationWarning", "ignore:.*quantize_per_tensor:UserWarning")
def test_quantised_models_have_fingerprints():
    model = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, 4))
    one, same = (torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}) for _ in range(2))
    assert weights_fingerprint(one) == weights_fingerprint(same)
    with torch.no_grad():
        model[2].bias += 1
    other = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear})
    assert weights_fingerprint(one) != weights_fingerprint(other)
    assert len(lz.embed(one, torch.rand(2, 3, 4, 4), progress=False)) == 2
