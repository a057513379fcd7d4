"""Gradient checkpointing: the same gradients from fewer kept activations, in every architecture."""

import pytest
import torch

import landmarkzoo as lz

CNN, SWIN = "test_efficientnet", "swin_tiny_patch4_window7_224"
MODELS = {
    "DOLG": (lambda: lz.DOLG("tf_efficientnet_lite0", hidden_dim=8, dilations=(1,)), 64),
    "DOLG-resnet": (lambda: lz.DOLG("resnet10t", hidden_dim=8, dilations=(1,)), 64),
    "DOLG-swin": (lambda: lz.DOLG(SWIN, hidden_dim=8, dilations=(1,)), 224),
    "Global-efficientnet": (lambda: lz.GlobalDescriptor(CNN), 64),
    "Global-resnet": (lambda: lz.GlobalDescriptor("resnet10t"), 64),
    "Global-convnext": (lambda: lz.GlobalDescriptor("test_convnext"), 64),
    "Global-vit": (lambda: lz.GlobalDescriptor("test_vit", pool="cls"), 64),
    "Hybrid": (lambda: lz.HybridSwin(CNN, SWIN, image_size=224, cnn_level=4), 224),
    "Hybrid-avg": (lambda: lz.HybridSwin(CNN, SWIN, image_size=224, cnn_level=4, aggregation="avg"), 224),
}


def gradients_and_kept_bytes(model, images):
    """Gradients by name, and the bytes of activations that wait for the backward pass."""
    kept = {}
    parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    torch.manual_seed(1)  # stochastic depth: the same for both, and again when a block is computed again
    model.zero_grad()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = model(images).square().sum()
    total = sum(kept.values())
    loss.backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}, total


@pytest.mark.parametrize("name", MODELS)
def test_same_gradients_from_fewer_activations(name):
    make, size = MODELS[name]
    model = make().train()
    images = torch.randn(2, 3, size, size)
    expected, all_bytes = gradients_and_kept_bytes(model, images)
    model.set_grad_checkpointing()
    found, fewer_bytes = gradients_and_kept_bytes(model, images)
    assert expected.keys() == found.keys()
    for parameter, gradient in expected.items():
        torch.testing.assert_close(found[parameter], gradient, rtol=1e-5, atol=1e-5)
    assert fewer_bytes < 0.8 * all_bytes
    model.set_grad_checkpointing(False)
    assert gradients_and_kept_bytes(model, images)[1] == all_bytes


def test_both_parts_of_a_hybrid_keep_less():
    make, size = MODELS["Hybrid"]
    model, images = make().train(), torch.randn(2, 3, size, size)
    totals = []
    for cnn, swin in ((False, False), (True, False), (False, True), (True, True)):
        model.cnn.set_grad_checkpointing(cnn)
        model.grad_checkpointing = swin
        totals.append(gradients_and_kept_bytes(model, images)[1])
    assert totals[0] > max(totals[1:3])
    assert min(totals[1:3]) > totals[3]
    model.cnn.set_grad_checkpointing(False)
    model.set_grad_checkpointing()
    assert gradients_and_kept_bytes(model, images)[1] == totals[3]


def test_it_does_not_touch_inference():
    model = lz.GlobalDescriptor(CNN).eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        plain = model(images)
        model.set_grad_checkpointing()
        assert torch.equal(model(images), plain)
    descriptors = lz.embed(model, images, progress=False)  # under inference mode
    assert descriptors.vectors.shape == (2, 512)


def test_a_backbone_that_cannot():
    model = lz.GlobalDescriptor("dla34", neck="none")
    with pytest.raises(ValueError, match="DLA cannot do gradient checkpointing: use a smaller batch"):
        model.set_grad_checkpointing()
    model.set_grad_checkpointing(False)
