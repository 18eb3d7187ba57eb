import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcat_core.data.aggregation import aggregate_spatial
from hcat_core.errors import DataError
from hcat_core.interfaces import ModalityTable


def chunked(table: ModalityTable, size: int):
    for start in range(0, len(table.ids), size):
        part = slice(start, start + size)
        yield ModalityTable(
            table.ids[part],
            table.values[part],
            None if table.weights is None else table.weights[part],
            None if table.quality is None else table.quality[part],
        )


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    rows=st.integers(1, 60),
    patients=st.integers(1, 8),
    chunk=st.integers(1, 25),
    gaps=st.booleans(),
)
def test_a_stream_in_any_order_and_any_chunks_is_the_weighted_mean_and_variance(
    seed, rows, patients, chunk, gaps
):
    rng = np.random.default_rng(seed)
    owner = rng.integers(0, patients, rows)
    values = (rng.standard_normal((rows, 3)) + 100).astype(np.float32)
    if gaps:
        values[rng.random((rows, 3)) < 0.3] = np.nan
        values[0, 0] = np.inf
    weights = rng.integers(0, 5, rows).astype(float)
    ids = np.array([f"p{o}" for o in owner], dtype=object)
    found = aggregate_spatial(chunked(ModalityTable(ids, values, weights), chunk), "file")
    assert found.n_rows_read == rows
    assert found.n_cells_not_measured == (~np.isfinite(values)).sum()
    for row, patient in enumerate(found.ids):
        mine = ids == patient
        w = np.where(np.isfinite(values[mine]), weights[mine][:, None], 0)
        v = np.where(np.isfinite(values[mine]), values[mine], 0).astype(float)
        known = w.sum(axis=0) > 0
        assert (found.measured[row] == known).all()
        assert (found.mean[row][~known] == 0).all()
        mean = (w * v).sum(axis=0) / np.maximum(w.sum(axis=0), 1e-9)
        np.testing.assert_allclose(found.mean[row][known], mean[known], rtol=1e-6)
        if found.variance is not None:
            variance = (w * (v - mean) ** 2).sum(axis=0) / np.maximum(w.sum(axis=0), 1e-9)
            np.testing.assert_allclose(found.variance[row][known], variance[known], atol=1e-4)
        assert found.n_rows[row] == (weights[mine] > 0).sum()


def test_many_patches_weigh_more_than_few():
    table = ModalityTable(np.array(["a", "a"]), np.array([[0.0], [10.0]]), np.array([3.0, 1.0]))
    assert aggregate_spatial([table], "file").mean[0, 0] == 2.5


def test_quality_is_averaged_clipped_and_one_where_the_file_has_no_number():
    table = ModalityTable(np.array(["a", "a", "b"]), np.ones((3, 1)), quality=np.array([0.2, 1e300, np.nan]))
    np.testing.assert_allclose(aggregate_spatial([table], "file").quality, [0.6, 1.0])


def test_one_row_a_patient_keeps_no_variance():
    table = ModalityTable(np.array(["a", "b"]), np.array([[1.0, np.nan], [2.0, 3.0]]))
    found = aggregate_spatial([table], "file")
    assert found.variance is None
    assert found.measured.tolist() == [[True, False], [True, True]]
    assert found.mean.tolist() == [[1.0, 0.0], [2.0, 3.0]]


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (ModalityTable(np.array(["a", ""], dtype=object), np.ones((2, 1))), "row 1"),
        (ModalityTable(np.array(["a", "b"]), np.ones((2, 1)), np.array([1.0, -2.0])), r"row 1 \(counted from 0\) has weight"),
        (ModalityTable(np.array(["7", "007"]), np.ones((2, 1))), "'7' and '007'"),
        (ModalityTable(np.array(["a"]), np.ones((2, 1))), "one id per row"),
        (ModalityTable(np.zeros(0, dtype=object), np.ones((0, 1))), "holds no rows"),
    ],
)
def test_what_cannot_be_aggregated_is_refused_with_file_and_row(table, says):
    with pytest.raises(DataError, match=says) as error:
        aggregate_spatial([table], "spatial.h5")
    assert str(error.value).startswith("spatial.h5:")


def test_the_row_of_a_bad_id_is_the_row_of_the_file_not_of_the_chunk():
    first = ModalityTable(np.array(["a"] * 5), np.ones((5, 1)))
    second = ModalityTable(np.array(["b", "b", "  "], dtype=object), np.ones((3, 1)))
    with pytest.raises(DataError, match="row 7"):
        aggregate_spatial([first, second], "file")


def test_a_patients_embedding_has_no_part_in_anothers_not_even_in_the_last_bit():
    rng = np.random.default_rng(0)
    ids = np.repeat(["a", "b", "c"], 7)
    values = rng.standard_normal((21, 5)).astype(np.float32)
    others = values.copy()
    others[ids != "b"] = others[ids != "b"] * 10 + 3
    one = aggregate_spatial([ModalityTable(ids, values)], "file")
    two = aggregate_spatial([ModalityTable(ids, others)], "file")
    assert np.array_equal(one.mean[1], two.mean[1])
    assert not np.array_equal(one.mean[0], two.mean[0])


def test_rows_that_stand_for_several_are_counted_as_such():
    ids = np.array(["a", "a", "b", "c"])
    table = ModalityTable(ids, np.ones((4, 1)), np.array([1, 0, 1, 1]), n_rows=np.array([5, 7, 0, 2]))
    found = aggregate_spatial([table], "file")
    assert found.n_rows.tolist() == [5, 0, 2]


@pytest.mark.parametrize("count", [-1, 0.5, np.nan, 2.0**31])
def test_a_count_of_rows_that_is_none_is_refused_with_its_row(count):
    table = ModalityTable(np.array(["a", "b"]), np.ones((2, 1)), n_rows=np.array([1, count]))
    with pytest.raises(DataError, match=r"file: row 1 \(counted from 0\) has the count"):
        aggregate_spatial([table], "file")


@pytest.mark.parametrize("rows_each", [1, 4])  # of a patient
def test_rows_are_done_with_when_the_next_are_asked_for(rows_each):
    """A reader can yield views of memory to which it then writes the next rows."""
    rng = np.random.default_rng(0)
    ids = np.repeat([f"p{number}" for number in range(8)], rows_each)
    values = rng.standard_normal((len(ids), 3)).astype(np.float32)
    values[1, 1] = np.nan

    def lending():
        memory = np.empty((5, 3), np.float32)
        for table in chunked(ModalityTable(ids, values), 5):
            part = memory[: len(table.ids)]
            part[:] = table.values
            yield ModalityTable(table.ids, part)
            part[:] = 7

    found, expected = (
        aggregate_spatial(stream, "file") for stream in (lending(), chunked(ModalityTable(ids, values), 5))
    )
    np.testing.assert_array_equal(found.mean, expected.mean)
    np.testing.assert_array_equal(found.measured, expected.measured)
    assert found.n_cells_not_measured == 1


def test_the_readers_own_rows_stay_as_they_are():
    ids, values = (
        np.array(["a", "a", "b", "b"]),
        np.array([[1, np.nan], [2, 3], [4, 5], [6, 7]], np.float32),
    )
    kept = values.copy()
    aggregate_spatial([ModalityTable(ids, values)], "file")
    np.testing.assert_array_equal(values, kept)


def test_rows_whose_features_change_their_order_are_refused():
    def tables(*names):
        for place, features in enumerate(names):
            yield ModalityTable(np.array([f"p{place}"], dtype=object), np.ones((1, 2)), features=features)

    assert aggregate_spatial(tables(("a", "b"), (), ("a", "b")), "f").features == ("a", "b")
    with pytest.raises(DataError, match="f: from row 1 .* on .* b stands where the rows before have a"):
        aggregate_spatial(tables(("a", "b"), ("b", "a")), "f")
