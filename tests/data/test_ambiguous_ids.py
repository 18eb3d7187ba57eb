"""Ids of which two patients' may have become one in the file: floating-point, booleans, shortened numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hcat_core.data.aggregation import aggregate_spatial
from hcat_core.data.patient_ids import IdNormaliser, normalize_pid, refuse_ambiguous
from hcat_core.errors import DataError
from hcat_core.reading import ModalityTable

EXACT = {"float16": 2**11, "float32": 2**24, "float64": 2**53}


def ids_of(ids):
    return aggregate_spatial([ModalityTable(ids, np.ones((len(ids), 1)))], "a.h5").ids


@pytest.mark.parametrize("dtype", list(EXACT))
@pytest.mark.parametrize("order", ["<", ">"])
def test_floats_beyond_what_their_type_holds_are_refused_with_their_row(dtype, order):
    kind = np.dtype(dtype).newbyteorder(order)
    small = np.array([0, 1, EXACT[dtype] - 1]).astype(kind)
    assert ids_of(small) == ("0", "1", str(EXACT[dtype] - 1))
    large = np.array([0, EXACT[dtype], EXACT[dtype] + 1]).astype(kind)
    with pytest.raises(DataError, match=rf"a\.h5: row 1 .counted from 0.: patient ids .*{dtype}.*whole numbers or as"):
        ids_of(large)
    with pytest.raises(DataError, match=f"{EXACT[dtype]:,}"):
        IdNormaliser("a.h5").normalize(-large)


@given(st.sampled_from(list(EXACT)), st.integers(0, 2**60))
def test_no_two_neighbours_become_one(dtype, number):
    pair = np.array([number, number + 1], np.float64 if number > 60000 and dtype == "float16" else dtype)
    try:
        refuse_ambiguous(pair, "a.h5")
    except DataError:
        return
    assert pair.tolist() == [number, number + 1]


@pytest.mark.parametrize("one", [np.float32(2**24), 2.0**53, np.float16(2048), np.float64(2**60)])
def test_a_single_float_among_text_is_refused_too(one):
    with pytest.raises(DataError, match="row 1 .*: patient ids are stored as float"):
        ids_of(np.array(["a", one], dtype=object))


def test_whole_numbers_are_ids_of_any_size():
    assert ids_of(np.array([2**53, 2**53 + 1])) == (str(2**53), str(2**53 + 1))
    assert ids_of(np.array([2**64 - 1, 2**64 - 2], np.uint64)) == (str(2**64 - 1), str(2**64 - 2))


@pytest.mark.parametrize(
    "ids",
    [
        np.array([1, True], dtype=object),
        np.array([True, 1], dtype=object),
        np.array(["a", np.bool_(True)], dtype=object),
        np.array([True, False]),
        np.array([{"a": 1}, "x"], dtype=object),
        np.array(["x", ["a"], ["b"]], dtype=object),
    ],
)
def test_what_cannot_be_told_apart_is_no_id(ids):
    with pytest.raises(DataError, match=r"a\.h5: row \d .counted from 0.: .* is not a patient id"):
        ids_of(ids)


@pytest.mark.parametrize("bad", [np.nan, np.inf, b"", "", "  ", None, b"\x00\x00", 1.5])
def test_nothing_is_no_id(bad):
    with pytest.raises(DataError, match=r"a\.h5: row 1 .counted from 0.: .*is not a patient id"):
        ids_of(np.array(["a", bad], dtype=object))


@pytest.mark.parametrize("shortened", ["1.23457E+11", "1,23E+11", "1E+08", "1.2e+10"])
def test_a_number_that_a_spreadsheet_shortened_is_refused(shortened):
    with pytest.raises(DataError, match="row 1 .counted from 0.: .* a spreadsheet shortened"):
        ids_of(np.array(["a", shortened], dtype=object))


@pytest.mark.parametrize("name", ["1E5", "E+11", "A1.2E+11", "12E+3x", "1.23E-11"])
def test_names_that_look_a_little_like_it_are_ids(name):
    assert normalize_pid(name) == name
    assert ids_of(np.array(["a", name], dtype=object)) == ("a", name)
