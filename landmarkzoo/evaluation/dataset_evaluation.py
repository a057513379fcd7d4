"""``lz.evaluate``: a model or its descriptors on a data set, by the data set's own protocol.

A protocol is a function of a data set and of ``embed_fn``, which gives the descriptors of the photos that the
protocol asks for: the data set itself, or its queries and its index. Each protocol is in a file of its own
and registers itself with ``evaluate_dataset`` under the type of its data set. So data sets know no
metrics, and metrics know no data sets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import singledispatch
from typing import Any, TypeAlias

from torch import nn

from landmarkzoo.embedding import embed
from landmarkzoo.evaluation.evaluation_result import Evaluation
from landmarkzoo.photos.dataset_items import ids_of
from landmarkzoo.retrieval import Descriptors

#: From photos (a map-style ``Dataset`` with ``ids``, or a ``Subset`` of one) to a descriptor each, in order.
EmbedFn: TypeAlias = Callable[[Any], Descriptors]


def evaluate(
    model_or_descriptors: nn.Module | Descriptors,
    dataset: Any,
    *,
    resamples: int = 1000,
    seed: int = 0,
    **embed_options: Any,
) -> Evaluation:
    """Evaluate on a data set: its own metrics with protocol, confidence interval and the value of each query.

    - ``ImageFolder``: each photo is searched among all others; mAP@100, recall@100 and hit rate@1. A photo
      whose landmark has no other photo is not used as a query; the protocol counts such photos.
    - ``RenderedLandmarks``: its query photos among its index photos (mAP@100, recall@100, hit rate@1) and by
      the vote of its train photos (GAP). Half of the scenes without landmark are queries, half are in the
      index.
    - ``RevisitedOxford``, ``RevisitedParis``
      ([Radenovic et al. 2018](https://arxiv.org/abs/1803.11285)): mAP and mP@1, 5, 10 for easy, medium and
      hard.
    - ``GLDv2(root, "index")`` ([Weyand et al. 2020](https://arxiv.org/abs/2004.01804)): the retrieval
      competition, mAP@100. ``GLDv2(root, "test")``: the recognition competition by the vote of the photos of
      GLDv2c, GAP. Both need the published solutions.

    Args:
        model_or_descriptors: A model, which embeds the photos first; or Descriptors of all photos of the data
            set (queries and index where it has both), in any order. Descriptors of other photos are ignored.
        dataset: One of these, or any data set whose type is registered with
            ``landmarkzoo.evaluation.evaluate_dataset``.
        resamples: Resamples of the bootstrap over queries.
        seed: Its seed.
        **embed_options: What ``landmarkzoo.embed`` takes, such as ``batch_size`` or ``num_workers``; for
            a model only. To keep the descriptors, call ``embed`` first and evaluate its result.

    Raises:
        TypeError: If the first argument is neither a model nor Descriptors, no protocol is registered for the
            data set, or an option does not fit.
        ValueError: If a photo of the data set has no descriptor, or there is nothing to evaluate.

    Examples:
        >>> photos = lz.rendered.RenderedLandmarks(3, 4, 2, image_size=32)
        >>> colors = lz.Descriptors(photos.ids, [np.asarray(photo).mean((0, 1)) for photo, _ in photos])
        >>> lz.evaluate(colors, photos).metrics
        ['mAP@100', 'recall@100', 'hit rate@1', 'GAP']
    """
    if evaluate_dataset.dispatch(type(dataset)) is evaluate_dataset.dispatch(object):
        raise _no_protocol(dataset)  # now, not after hours of embedding
    embed_fn = _embed_fn(model_or_descriptors, embed_options)
    return evaluate_dataset(dataset, embed_fn, resamples=resamples, seed=seed)


def _embed_fn(model_or_descriptors: nn.Module | Descriptors, embed_options: dict[str, Any]) -> EmbedFn:
    if isinstance(model_or_descriptors, Descriptors):
        if embed_options:
            names = ", ".join(embed_options)
            raise TypeError(f"{names}: for a model only; Descriptors are embedded already")
        descriptors = model_or_descriptors
        return lambda photos: align_to_ids(ids_of(photos), descriptors)
    if not isinstance(model_or_descriptors, nn.Module):
        raise TypeError(
            f"evaluate takes a model or Descriptors, got {type(model_or_descriptors).__name__}; "
            "lz.Descriptors(dataset.ids, vectors) gives vectors their ids"
        )
    if "out" in embed_options:
        raise TypeError(
            "evaluate does not write descriptors: call lz.embed(model, dataset, out=...), then evaluate them"
        )
    model = model_or_descriptors
    return lambda photos: align_to_ids(ids_of(photos), embed(model, photos, **embed_options))


def align_to_ids(ids: Sequence[str], descriptors: Descriptors) -> Descriptors:
    """One descriptor for each id, in the order of the ids; descriptors of other ids are left out.

    Args:
        ids: Ids of a data set.
        descriptors: Descriptors in any order.

    Raises:
        ValueError: If an id has no descriptor, or more than one.

    Examples:
        >>> align_to_ids(["a", "b"], lz.Descriptors(["c", "b", "a"], np.eye(3))).ids
        ['a', 'b']
    """
    rows = {id_: row for row, id_ in enumerate(descriptors.ids)}
    wanted = dict.fromkeys(ids)
    missing = [id_ for id_ in wanted if id_ not in rows]
    if missing:
        reason = dict(descriptors.skipped).get(missing[0])
        why = f" (skipped: {reason})" if reason is not None else ""
        looks = f"; ids of the descriptors look like {descriptors.ids[0]!r}" if len(descriptors) else ""
        raise ValueError(
            f"{len(missing)} of {len(wanted)} photos of the data set have no descriptor, the first is "
            f"{missing[0]!r}{why}{looks}"
        )
    if len(rows) < len(descriptors):
        seen = set[str]()
        for id_ in descriptors.ids:
            if id_ in seen and id_ in wanted:
                raise ValueError(f"the photo {id_!r} has more than one descriptor: which one counts?")
            seen.add(id_)
    return descriptors[[rows[id_] for id_ in ids]]


@singledispatch
def evaluate_dataset(dataset: Any, embed_fn: EmbedFn, *, resamples: int, seed: int) -> Evaluation:
    """Evaluate by the protocol that is registered for the type of the data set.

    This is a ``functools.singledispatch`` function. Register a protocol for a data set of your own, and
    ``lz.evaluate`` takes it.

    Args:
        dataset: The data set.
        embed_fn: From photos, a map-style ``Dataset`` with ``ids`` or a ``Subset`` of one, to one descriptor
            each, in their order.
        resamples: Resamples of the bootstrap.
        seed: Its seed.

    Raises:
        TypeError: If no protocol is registered for the type.

    Examples:
        >>> class Holiday:
        ...     ids, landmarks = ["1.jpg", "2.jpg", "3.jpg"], [0, 1, 0]
        >>> @lz.evaluation.evaluate_dataset.register(Holiday)
        ... def holiday_protocol(dataset, embed_fn, **bootstrap):
        ...     return lz.evaluation.evaluate_leave_one_out(embed_fn(dataset), dataset.landmarks, **bootstrap)
        >>> lz.evaluate(lz.Descriptors(Holiday.ids, np.eye(3)), Holiday())["hit rate@1"]
        0.5
    """
    raise _no_protocol(dataset)


def _no_protocol(dataset: Any) -> TypeError:
    known = sorted(kind.__name__ for kind in evaluate_dataset.registry if kind is not object)
    return TypeError(
        f"no protocol for {type(dataset).__name__}; there are protocols for {', '.join(known)}. "
        "lz.datasets.ImageFolder(folder) reads a folder with one folder per landmark, and "
        "lz.evaluation.evaluate_dataset.register(type) adds a protocol of your own"
    )
