"""An index that was made in many small steps."""

import numpy as np
import pytest

import landmarkzoo as lz
from landmarkzoo.index import adding_descriptors


def test_more_shards_than_files_that_a_process_may_open(tmp_path, monkeypatch):
    resource = pytest.importorskip("resource")
    monkeypatch.setattr("landmarkzoo.index.add_job.SHARD_ROWS", 1)
    monkeypatch.setattr(adding_descriptors, "rows_that_fit", lambda *_: 1)
    vectors = np.random.default_rng(0).normal(size=(150, 4)).astype(np.float32)
    given = lz.Descriptors([str(row) for row in range(150)], vectors)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, limits[1]))
    try:
        index = lz.Index.create(tmp_path / "index")
        index.add(given)
        assert len(list((tmp_path / "index" / "shards").iterdir())) == 150
        again = lz.Index.open(tmp_path / "index")
        assert again.ids == given.ids
        assert (again.vectors == vectors).all()
        assert again.search(vectors[7], 1).ids[0, 0] == "7"
        again.compact()
        assert (lz.Index.open(tmp_path / "index").vectors == vectors).all()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
