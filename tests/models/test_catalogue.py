"""The catalogue's arrays, from columns with everything that may be missing in them."""

import datetime as dt
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nightreel.models.catalogue import catalogue_in, catalogue_of

ITEMS = pa.table({
    "title": ["Heat (1995)", "Heat (1995) again", None, "Solaris (1972) ", "Ran (1985)"],
    "genres": [["Crime", "Drama", "Drama"], None, [], ["Drama", None], ["War"]],
    "published_at": pa.array([None, None, None, None, dt.datetime(2001, 1, 1, 12)], pa.timestamp("us")),
})  # fmt: skip
VECTORS = np.eye(5, dtype=np.float32)


def test_years_come_from_the_date_and_else_from_the_title() -> None:
    years = catalogue_of(ITEMS, VECTORS).years
    assert years[[0, 3]].tolist() == [1995, 1972] and np.isnan(years[[1, 2]]).all()
    assert abs(years[4] - 2001) < 0.01


def test_genres_are_marked_commonest_first() -> None:
    found = catalogue_of(ITEMS, VECTORS)
    assert found.genres.tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 0], [1, 0, 0], [0, 0, 1]]  # Drama, Crime, War
    np.testing.assert_allclose(np.linalg.norm(found.unit_genres, axis=1), [1, 0, 0, 1, 1], rtol=1e-6)
    assert catalogue_of(ITEMS.drop_columns("genres"), VECTORS).genres.shape == (5, 0)


def test_a_file_gives_what_its_table_gives(tmp_path) -> None:
    pq.write_table(ITEMS, tmp_path / "items.parquet")
    np.save(tmp_path / "vectors.npy", VECTORS)
    read, made = catalogue_in(tmp_path, 0), catalogue_of(ITEMS, VECTORS)
    assert np.array_equal(read.vectors, VECTORS) and read.nearest is None and not len(read.changed)
    assert np.array_equal(read.years, made.years, equal_nan=True) and np.array_equal(read.genres, made.genres)
    assert np.array_equal(read.words().toarray(), made.words().toarray()) and read.words().nnz
    for own in (read, made):  # a catalogue goes to processes that train
        assert np.array_equal(pickle.loads(pickle.dumps(own)).words().toarray(), made.words().toarray())
