"""``lz.evaluate``: a model or its descriptors on a data set, by the data set's own protocol.

A protocol is a function of a data set and of ``embed_fn``, which gives the descriptors of the photos that the
protocol asks for: the data set itself, or its queries and its index. A protocol that knows what to do without
some photos allows that they were skipped. Each protocol is in a file of its own
and registers itself with ``evaluate_dataset`` under the type of its data set. So data sets know no
metrics, and metrics know no data sets.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from typing import Any, Protocol

import numpy as np
from torch import nn

from landmarkzoo._utils.checks import IntArray
from landmarkzoo._utils.unicode_names import ByName
from landmarkzoo.embedding import embed
from landmarkzoo.evaluation.evaluation_result import Evaluation
from landmarkzoo.photos.dataset_items import ids_of
from landmarkzoo.retrieval import Descriptors
from landmarkzoo.retrieval.descriptors import HasDescriptors, descriptors_of


class EmbedFn(Protocol):
    """From photos, a map-style ``Dataset`` with ``ids`` or a ``Subset`` of one, to their descriptors."""

    def __call__(self, photos: Any, *, allow_skipped: bool = False) -> Descriptors:
        """A descriptor of each photo, in their order.

        Args:
            photos: The photos.
            allow_skipped: Leave out photos that were skipped as they could not be read; the result lists them
                in ``skipped``, and ``rows_with_descriptor`` tells which photos are left. Otherwise they are
                an error.

        Raises:
            ValueError: If a photo has no descriptor.
        """


def evaluate(
    model_or_descriptors: nn.Module | Descriptors | HasDescriptors,
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

    Photos that could not be read and were skipped (``on_error="skip"``, or ``Descriptors.skipped``) are left
    out of a folder, as if they were not there. In the competitions of GLDv2 they count: a skipped query finds
    nothing, a skipped index photo is never found, only train photos may be missing. In both cases the
    protocol says how many there are. All other protocols need every photo.

    Args:
        model_or_descriptors: A model, which embeds the photos first; or Descriptors of all photos of the data
            set (queries and index where it has both), in any order. They go by the ids: whether the photos
            have changed since is not checked. Descriptors of other photos are ignored.
        dataset: One of these, or any data set whose type is registered with
            ``landmarkzoo.evaluation.evaluate_dataset``.
        resamples: Resamples of the bootstrap over queries.
        seed: Its seed.
        **embed_options: What ``landmarkzoo.embed`` takes, such as ``batch_size`` or ``num_workers``; for
            a model only. To keep the descriptors, call ``embed`` first and evaluate its result.

    Raises:
        TypeError: If the first argument is neither a model nor Descriptors, no protocol is registered for the
            data set, or an option does not fit.
        ValueError: If a photo of the data set has no descriptor and was not skipped, a skipped photo cannot
            be missing, or there is nothing to evaluate.

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


def _embed_fn(
    model_or_descriptors: nn.Module | Descriptors | HasDescriptors, embed_options: dict[str, Any]
) -> EmbedFn:
    if not isinstance(model_or_descriptors, nn.Module):
        model_or_descriptors = descriptors_of(model_or_descriptors)
    if isinstance(model_or_descriptors, Descriptors):
        if embed_options:
            names = ", ".join(embed_options)
            raise TypeError(f"{names}: for a model only; Descriptors are embedded already")
    elif not isinstance(model_or_descriptors, nn.Module):
        raise TypeError(
            f"evaluate takes a model or Descriptors, got {type(model_or_descriptors).__name__}; "
            "lz.Descriptors(dataset.ids, vectors) gives vectors their ids"
        )
    if "out" in embed_options:
        raise TypeError(
            "evaluate does not write descriptors: call lz.embed(model, dataset, out=...), then evaluate them"
        )

    def embed_fn(photos: Any, *, allow_skipped: bool = False) -> Descriptors:
        given = model_or_descriptors
        descriptors = given if isinstance(given, Descriptors) else embed(given, photos, **embed_options)
        return align_to_ids(ids_of(photos), descriptors, allow_skipped=allow_skipped)

    return embed_fn


def align_to_ids(ids: Sequence[str], descriptors: Descriptors, *, allow_skipped: bool = False) -> Descriptors:
    """One descriptor for each id, in the order of the ids; descriptors of other ids are left out.

    Args:
        ids: Ids of a data set.
        descriptors: Descriptors in any order. An id may stand there in its other Unicode form.
        allow_skipped: Leave out ids that ``descriptors.skipped`` lists.

    Returns:
        Descriptors with the ids of the data set, and with those of its photos that are left out as
        ``skipped``.

    Raises:
        ValueError: If an id has no descriptor, or more than one.

    Examples:
        >>> align_to_ids(["a", "b"], lz.Descriptors(["c", "b", "a"], np.eye(3))).ids
        ['a', 'b']
    """
    row_of = {id_: row for row, id_ in enumerate(descriptors.ids)}
    spelled = _spelled(ids, ByName(row_of))
    reasons = ByName(dict(descriptors.skipped))
    missing = [id_ for id_ in spelled if spelled[id_] is None]
    skipped = [(id_, reasons[id_]) for id_ in missing if id_ in reasons]
    if len(missing) > (len(skipped) if allow_skipped else 0):
        raise _without_descriptor(missing, len(spelled), reasons, descriptors, allow_skipped)
    if len(row_of) < len(descriptors):
        wanted, seen = set(spelled.values()), set[str]()
        for id_ in descriptors.ids:
            if id_ in seen and id_ in wanted:
                raise ValueError(f"the photo {id_!r} has more than one descriptor: which one counts?")
            seen.add(id_)
    found = [id_ for id_ in ids if spelled[id_] is not None]
    rows = [row_of[name] for id_ in found if (name := spelled[id_]) is not None]
    return Descriptors(found, descriptors.vectors[rows], skipped, descriptors.provenance)


def rows_with_descriptor(ids: Sequence[str], aligned: Descriptors) -> IntArray:
    """Rows of the photos that ``align_to_ids(ids, ..., allow_skipped=True)`` has descriptors of.

    Examples:
        >>> some = lz.Descriptors(["a", "c"], np.eye(2), [("b", "cannot be decoded")])
        >>> rows_with_descriptor(["a", "b", "c"], some)
        array([0, 2])
    """
    skipped = dict(aligned.skipped)
    return np.array([row for row, id_ in enumerate(ids) if id_ not in skipped], dtype=np.int64)


def _spelled(ids: Sequence[str], names: ByName[int]) -> dict[str, str | None]:
    """How each id is spelled among the names, ``None`` if it is not there. No name is used for two ids."""
    wanted = dict.fromkeys(ids)
    spelled: dict[str, str | None] = {}
    for id_ in wanted:
        name = names.spelled(id_)
        spelled[id_] = None if name != id_ and name in wanted else name
    return spelled


def _without_descriptor(
    missing: list[str], count: int, reasons: ByName[str], descriptors: Descriptors, allow_skipped: bool
) -> ValueError:
    """The error of photos without descriptor; the first that was not skipped, if that is what is wrong."""
    skipped = [id_ for id_ in missing if id_ in reasons]
    if len(skipped) == len(missing):
        return ValueError(
            f"{len(missing)} of {count} photos of the data set were skipped, the first is {missing[0]!r} "
            f"({reasons[missing[0]]}): this protocol counts every photo, so repair them and embed them again"
        )
    if allow_skipped:
        missing = [id_ for id_ in missing if id_ not in reasons]
    first = missing[0]
    why = f" (skipped: {reasons[first]})" if first in reasons else ""
    looks = f"; ids of the descriptors look like {descriptors.ids[0]!r}" if len(descriptors) else ""
    return ValueError(
        f"{len(missing)} of {count} photos of the data set have no descriptor, the first is "
        f"{first!r}{why}{looks}"
    )


@singledispatch
def evaluate_dataset(dataset: Any, embed_fn: EmbedFn, *, resamples: int, seed: int) -> Evaluation:
    """Evaluate by the protocol that is registered for the type of the data set.

    This is a ``functools.singledispatch`` function. Register a protocol for a data set of your own, and
    ``lz.evaluate`` takes it.

    Args:
        dataset: The data set.
        embed_fn: From photos, a map-style ``Dataset`` with ``ids`` or a ``Subset`` of one, to one descriptor
            each, in their order. With ``allow_skipped=True`` photos that were skipped are left out and
            listed in ``skipped``.
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
