"""``lz.evaluate``: a model or its descriptors on a data set, by the data set's own protocol.

A protocol is a function of a data set and of ``describe``, which gives the descriptors of the photos that the
protocol asks for: the data set itself, or its queries and its index. It is registered by type with
:func:`evaluate_dataset`. So data sets know no metrics, and metrics no data sets.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from typing import Any, TypeAlias

from torch import nn

from landmarkzoo.datasets import ImageFolder
from landmarkzoo.embedding import embed
from landmarkzoo.evaluation.evaluation_result import Evaluation
from landmarkzoo.evaluation.id_alignment import align_to_ids
from landmarkzoo.evaluation.leave_one_out import evaluate_leave_one_out
from landmarkzoo.retrieval import Descriptors

Describe: TypeAlias = Callable[[Any], Descriptors]


def evaluate(
    model_or_descriptors: nn.Module | Descriptors,
    dataset: Any,
    *,
    resamples: int = 1000,
    seed: int = 0,
    **embed_options: Any,
) -> Evaluation:
    """Evaluate on a data set: its own metrics, with protocol, confidence interval and values a query.

    - ``ImageFolder``: each photo against all others, its own row taken out; mAP@100, recall@100 and hit
      rate@1. Photos whose landmark has no other photo do not search; the protocol says how many.
    - ``RenderedLandmarks``: its query photos among its index photos (mAP@100, recall@100, hit rate@1) and by
      the vote of its train photos (GAP). Every other scene without landmark is a query, the rest is in the
      index.
    - ``RevisitedOxford``, ``RevisitedParis``: mAP and mP@1, 5, 10 of easy, medium and hard.
    - ``GLDv2(root, "index")``: the retrieval competition, mAP@100; ``GLDv2(root, "test")``: recognition by
      the vote of GLDv2c's photos, GAP. Both need the solutions.

    Args:
        model_or_descriptors: A model, which embeds the photos first; or Descriptors with the ids of the data
            set (of a data set with several parts, of all of them), in any order; those of other ids are not
            read.
        dataset: One of these, or any data set whose type is registered with
            :func:`landmarkzoo.evaluation.evaluate_dataset`.
        resamples: Resamples of the bootstrap over queries.
        seed: Its seed.
        **embed_options: What :func:`landmarkzoo.embed` takes, such as ``batch_size`` or ``num_workers``; for
            a model only. To keep the descriptors, embed first and evaluate them.

    Raises:
        TypeError: If there is no model and no Descriptors, the data set has no protocol, or an option does
            not fit.
        ValueError: If photos of the data set have no descriptor, or it has nothing to evaluate.

    Examples:
        >>> photos = lz.rendered.RenderedLandmarks(3, 4, 2, image_size=32)
        >>> colors = lz.Descriptors(photos.ids, [np.asarray(photo).mean((0, 1)) for photo, _ in photos])
        >>> lz.evaluate(colors, photos).metrics
        ['mAP@100', 'recall@100', 'hit rate@1', 'GAP']
    """
    if evaluate_dataset.dispatch(type(dataset)) is evaluate_dataset.dispatch(object):
        raise _no_protocol(dataset)  # now, not after hours of embedding
    describe = _describe(model_or_descriptors, embed_options)
    return evaluate_dataset(dataset, describe, resamples=resamples, seed=seed)


def _describe(model_or_descriptors: nn.Module | Descriptors, embed_options: dict[str, Any]) -> Describe:
    if isinstance(model_or_descriptors, Descriptors):
        if embed_options:
            raise TypeError(f"{', '.join(embed_options)}: for a model only, descriptors are embedded already")
        descriptors = model_or_descriptors
        return lambda photos: align_to_ids(photos.ids, descriptors)
    if not isinstance(model_or_descriptors, nn.Module):
        raise TypeError(
            f"evaluate takes a model or Descriptors, got {type(model_or_descriptors).__name__}; "
            "lz.Descriptors(dataset.ids, vectors) gives vectors their ids"
        )
    if "out" in embed_options:
        raise TypeError(
            "evaluate writes no descriptors: lz.embed(model, dataset, out=...), then evaluate them"
        )
    model = model_or_descriptors
    return lambda photos: align_to_ids(photos.ids, embed(model, photos, **embed_options))


@singledispatch
def evaluate_dataset(dataset: Any, describe: Describe, *, resamples: int, seed: int) -> Evaluation:
    """The protocol of a data set: one function a type, chosen by :func:`functools.singledispatch`.

    A data set of your own becomes one that ``lz.evaluate`` takes by
    ``@lz.evaluation.evaluate_dataset.register(MyDataset)`` on a function of these arguments.

    Args:
        dataset: The data set.
        describe: From photos, a map-style ``Dataset`` with ``ids``, to one descriptor each, in their order.
        resamples: Resamples of the bootstrap.
        seed: Its seed.

    Raises:
        TypeError: If no protocol is registered for the type.
    """
    raise _no_protocol(dataset)


def _no_protocol(dataset: Any) -> TypeError:
    known = [kind.__name__ for kind in evaluate_dataset.registry if kind is not object]
    return TypeError(
        f"no protocol for {type(dataset).__name__}, there is one for {', '.join(known)}; "
        "lz.datasets.ImageFolder(folder) takes one folder a landmark, and "
        "lz.evaluation.evaluate_dataset.register(type) adds a protocol of your own"
    )


@evaluate_dataset.register(ImageFolder)
def _image_folder(dataset: ImageFolder, describe: Describe, *, resamples: int, seed: int) -> Evaluation:
    data = f"folder of {len(dataset)} photos of {len(dataset.classes)} landmarks"
    return evaluate_leave_one_out(
        describe(dataset), dataset.targets, data=data, resamples=resamples, seed=seed
    )
