import pytest
import torch
from torch import nn

import landmarkzoo as lz
from landmarkzoo.embedding.provenance import provenance_of, weights_fingerprint


def test_provenance_tells_models_weights_and_transforms_apart(tiny_model, photo_folder):
    d = lz.embed(tiny_model, photo_folder / "1.png", progress=False)
    assert set(d.provenance) == {"model", "weights", "transform"}
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
    compiled = torch.compile(model)
    assert provenance_of(compiled, None) == provenance_of(model, None)


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
