"""The loss as plainly as it can be said: loops and scalars, in float64, autograd for gradients."""

import math

import torch


def explicit_losses(x, weight, labels, margins, sub_centers, scale, *, smoothing=0.0, class_weights=None):
    """Loss of each sample (B,), float64."""
    classes = len(weight) // sub_centers
    x, weight = x.double(), weight.double()
    weights = [1.0] * classes if class_weights is None else [float(w) for w in class_weights]
    losses = []
    for b in range(len(x)):
        logits = []
        for c in range(classes):
            cosines = [
                torch.dot(x[b], w) / (torch.dot(x[b], x[b]).sqrt() * torch.dot(w, w).sqrt())
                for w in weight[c * sub_centers : (c + 1) * sub_centers]
            ]
            cosine = max(cosines, key=lambda c: c.item())
            if c == labels[b]:
                m = float(margins[c])
                sine = (1 - cosine * cosine).sqrt()
                if cosine.item() > math.cos(math.pi - m):
                    cosine = cosine * math.cos(m) - sine * math.sin(m)
                else:
                    cosine = cosine - math.sin(math.pi - m) * m
            logits.append(scale * cosine)
        log_sum = torch.stack(logits).logsumexp(0)
        on_target = (1 - smoothing) * weights[int(labels[b])] * (log_sum - logits[int(labels[b])])
        spread = sum(w * (log_sum - z) for w, z in zip(weights, logits)) * smoothing / classes
        losses.append(on_target + spread)
    return torch.stack(losses)
