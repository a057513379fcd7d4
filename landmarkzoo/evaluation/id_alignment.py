"""Descriptors that a user brings, in the order of a data set."""

from __future__ import annotations

from collections.abc import Sequence

from landmarkzoo.retrieval import Descriptors


def align_to_ids(ids: Sequence[str], descriptors: Descriptors) -> Descriptors:
    """One descriptor for each id, in their order; descriptors of other ids are left out.

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
