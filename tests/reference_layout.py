"""State dicts as the authors' code has them, made from models of this package, module by module."""

import timm
import torch
from torch.nn.modules.batchnorm import _BatchNorm

import landmarkzoo as lz


def randomize(model):
    """No two tensors of a kind are alike, so that none can be taken for another."""
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            tensor.mul_(1 + 0.2 * torch.rand(tensor.shape))
            if not name.endswith(("running_var", "global_pool.p")):
                tensor.add_(0.02 * torch.randn(tensor.shape))
        elif name.endswith("num_batches_tracked"):
            tensor.fill_(torch.randint(1, 1000, ()).item())
    return model.eval()


@torch.no_grad()
def calibrate(model, images):
    """Batch norms get the statistics of these images: else a random network hardly sees what goes in."""
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    for norm in norms:
        norm.momentum = 1.0
    model.train()(images)
    for norm in norms:
        norm.momentum = 0.1
    return model.eval()


def _add(state, prefix, module):
    for name, tensor in module.state_dict().items():
        state[f"{prefix}.{name}"] = tensor.clone()


def dolg_state_dict(model, head=None):
    state = {}
    _add(state, "backbone", model.backbone)
    for number, branch in enumerate(model.multi_atrous.branches):
        _add(state, f"mam.d{number}", branch)
    _add(state, "mam.conv1", model.multi_atrous.project)
    _add(state, "attention2d.conv1", model.spatial_attention.project)
    _add(state, "attention2d.bn", model.spatial_attention.norm)
    _add(state, "attention2d.conv2", model.spatial_attention.score)
    _add(state, "conv_g", model.global_project)
    _add(state, "bn_g", model.global_norm)
    _add(state, "global_pool", model.global_pool)
    _add(state, "neck", model.neck)
    if head is not None:
        _add(state, "head", head)
    return state


def hybrid_state_dict(model, head=None):
    """With what the authors' code keeps beside: the rest of the CNN, derived buffers, a GeM."""
    state = {}
    whole_cnn = timm.create_model(model.cfg.args["cnn"], features_only=True)
    _add(state, "backbone.patch_embed.backbone", whole_cnn)
    _add(state, "backbone.patch_embed.backbone", model.cnn)
    _add(state, "backbone.patch_embed.proj", model.project)
    for i, stage in enumerate(model.transformer.layers):
        for j, block in enumerate(stage.blocks):
            prefix = f"backbone.layers.{i}.blocks.{j}"
            _add(state, prefix, block)
            state[f"{prefix}.attn.relative_position_index"] = block.attn.relative_position_index.clone()
            if block.attn_mask is not None:
                state[f"{prefix}.attn_mask"] = block.attn_mask.clone()
        if i > 0:
            _add(state, f"backbone.layers.{i - 1}.downsample", stage.downsample)
    _add(state, "backbone.norm", model.transformer.norm)
    _add(state, "neck", model.neck)
    state["global_pool.p"] = torch.full((1,), 3.0)
    if head is not None:
        _add(state, "head", head)
    return state


def reference_state_dict(model, head=None):
    return (dolg_state_dict if isinstance(model, lz.DOLG) else hybrid_state_dict)(model, head)
