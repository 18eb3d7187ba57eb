"""A worker that crashes, hangs or sends nonsense is an error of its file; the next file is read."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from hcat_builtin.readers.hdf5.reader import H5Reader
from hcat_builtin.readers.isolation import reader as isolated_reader
from hcat_builtin.readers.isolation.reader import IsolatedReader, close_workers
from hcat_builtin.readers.isolation.shared_arrays import MEMORY_BYTES
from hcat_core.cli.main import main
from hcat_core.data.aggregation import aggregate_spatial
from hcat_core.errors import DataError

RECIPES = Path(__file__).parents[4] / "recipes"
MISBEHAVING = """
import ctypes, os, resource, signal, time
import h5py, numpy as np
from hcat_builtin.readers.isolation.progress import progress
from hcat_builtin.readers.isolation.shared_arrays import MEMORY_BYTES
from dataclasses import replace
from hcat_builtin.readers.isolation.reader import IsolatedReader
from hcat_core.errors import DataError
from hcat_core.reading import ModalityTable

def piece(first, rows=3):
    return ModalityTable(np.array(["p"] * rows, object), np.full((rows, 2), first, np.float32))

class Misbehaving(IsolatedReader):
    def __init__(self, *, does):
        self.source, self.does = "bad.h5", does
    def read_here(self):
        progress.start_file("bad.h5")
        progress.start_dataset("p1/embedding")
        if self.does.startswith("claim "):
            yield replace(piece(0), patients=eval(self.does[6:]))
            return
        yield piece(0)
        if self.does == "crash":
            ctypes.string_at(0)
        elif self.does == "abort":
            os.abort()
        elif self.does == "out of memory":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.does == "hang in the library":
            ctypes.CDLL(None).sleep(100)
        elif self.does == "allocate":
            np.ones(1 << 40)
        elif self.does == "exit":
            os._exit(7)
        elif self.does == "raise":
            raise AttributeError("no such thing\\x1b[2J")
        elif self.does == "send nonsense":
            for descriptor in range(3, 20):
                try:
                    os.write(descriptor, b"x" * 8)
                except OSError:
                    pass
            time.sleep(100)
        elif self.does == "print":
            print("a word on stdout"); os.write(1, b"and another"); os.write(2, b"and one on stderr")
        elif self.does == "report its limits":
            kinds = (resource.RLIMIT_AS, resource.RLIMIT_CORE, resource.RLIMIT_FSIZE)
            limits = [resource.getrlimit(kind)[0] for kind in kinds]
            raise DataError(f"{' '.join(map(str, limits))} {os.environ['HDF5_PLUGIN_PRELOAD']}")
        elif self.does == "be slow":
            for number in range(8):
                time.sleep(0.5)
                progress.start_dataset(f"p{number}/embedding")
        yield piece(1)
    def read_columns_here(self, names):
        raise KeyError(names[0])
    def describe_here(self):
        return str(len(list(self.read_here())))
"""


@pytest.fixture
def misbehaving(tmp_path, monkeypatch):
    """A reader that misbehaves as requested, in a worker with a limit of two seconds."""
    (tmp_path / "misbehaving.py").write_text(MISBEHAVING)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(isolated_reader, "SECONDS", 2)
    close_workers()
    sys.modules.pop("misbehaving", None)
    import misbehaving

    yield lambda does: misbehaving.Misbehaving(does=does)
    close_workers()


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "good.h5"
    with h5py.File(path, "w") as file:
        file["patient_id"] = np.array([b"a", b"b"])
        file["embedding"] = np.ones((2, 3), np.float32)
        file["label"] = np.array([1, 0])
        file["site"] = np.array([b"north", b"south"])
    return H5Reader(path=path)


def worker_ids():
    return [worker._process.pid for worker in isolated_reader._idle]


@pytest.mark.parametrize(
    ("does", "says"),
    [
        ("crash", "crashed on it (SIGSEGV)"),
        ("abort", "crashed on it (SIGABRT)"),
        ("out of memory", "because memory ran out"),
        ("hang in the library", "no progress for 2 seconds"),
        ("allocate", "more memory than hcat gives"),
        ("exit", "ended with code 7"),
        ("raise", "AttributeError: no such thing\\x1b[2J"),
        ("send nonsense", "worker"),
    ],
)
def test_a_worker_at_fault_is_an_error_that_names_file_and_dataset(misbehaving, good, does, says):
    with pytest.raises(DataError) as error:
        aggregate_spatial(misbehaving(does).read(), "bad.h5")
    assert str(error.value).startswith("bad.h5: p1/embedding: ")
    assert says in str(error.value)
    assert aggregate_spatial(good.read(), good.source).ids == ("a", "b")


def test_what_a_library_prints_reaches_neither_rows_nor_terminal(misbehaving, capfd):
    rows = [table.values[0, 0] for table in misbehaving("print").read()]
    assert rows == [0, 1]
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems enforce some of the limits")
def test_a_worker_has_its_limits_and_loads_no_filter(misbehaving, monkeypatch):
    monkeypatch.setattr(isolated_reader, "MEMORY", 3 << 30)
    monkeypatch.setenv("HDF5_PLUGIN_PRELOAD", "")
    import resource  # there is none on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))  # as a shell that lets programs dump memory
    try:
        with pytest.raises(DataError) as error:
            list(misbehaving("report its limits").read())
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
    memory, core, file_size, preload = str(error.value).split()
    assert (core, file_size, preload) == ("0", "0", "::")
    least = (3 << 30) + MEMORY_BYTES
    assert least <= int(memory) <= least + (1 << 30)  # the modules that the reader imports come on top


def test_slow_is_not_hung(misbehaving):
    """Four seconds in all, under a budget of two without progress."""
    assert len(list(misbehaving("be slow").read())) == 2


def test_columns_have_the_same_safety(misbehaving):
    with pytest.raises(DataError, match=r"bad\.h5: KeyError"):
        misbehaving("nothing").read_columns(["label"])


def test_a_description_too(misbehaving):
    with pytest.raises(DataError, match=r"bad\.h5: p1/embedding: the library that reads it crashed on it"):
        misbehaving("crash").describe()


def test_a_fault_ends_a_command_with_exit_code_3(misbehaving, tmp_path, capsys, monkeypatch):
    """As a user sees it: one line, no traceback, and the run is over in good order."""
    monkeypatch.setattr(H5Reader, "read_here", None)
    monkeypatch.setattr(H5Reader, "read_views", lambda self: misbehaving("crash").read())
    assert main(["inspect", str(RECIPES / "hancock.toml"), "--set", f"cohort.root={tmp_path}"]) == 3
    said = capsys.readouterr().err
    assert said.startswith("hcat: bad.h5: p1/embedding: ")
    assert "Traceback" not in said


def test_one_worker_serves_every_file(good):
    close_workers()
    aggregate_spatial(good.read(), good.source)
    (first,) = worker_ids()
    good.read_columns(["label"])
    with pytest.raises(DataError, match="no column"):
        good.read_columns(["nothing"])
    aggregate_spatial(good.read(), good.source)
    assert worker_ids() == [first]


def test_a_worker_killed_between_files_is_replaced(good):
    aggregate_spatial(good.read(), good.source)
    (killed,) = worker_ids()
    os.kill(killed, signal.SIGKILL)
    time.sleep(0.1)
    assert aggregate_spatial(good.read(), good.source).ids == ("a", "b")
    assert worker_ids() != [killed]


def test_ctrl_c_is_for_the_process_that_asks(good):
    """It reaches the whole group; one that catches it and goes on finds its worker as it was."""
    aggregate_spatial(good.read(), good.source)
    (worker,) = worker_ids()
    os.kill(worker, signal.SIGINT)
    time.sleep(0.1)
    assert aggregate_spatial(good.read(), good.source).ids == ("a", "b")
    assert worker_ids() == [worker]


def test_two_files_may_be_read_side_by_side(good):
    pairs = list(zip(good.read(), good.read(), strict=True))
    assert [first.values.tolist() == second.values.tolist() for first, second in pairs] == [True]


def large(path, rows=40_000, width=64):
    """A file of several pieces, with everything that travels beside the values."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "patient_id", data=[f"p{n // 3}" for n in range(rows)], dtype=h5py.string_dtype()
        )
        file["embedding"] = rng.standard_normal((rows, width), dtype=np.float32)
        file["n_patches"] = rng.integers(1, 9, rows)
        file["quality"] = rng.random(rows)
        file["hcat_n_rows"] = rng.integers(1, 9, rows)
        file["feature_names"] = np.array([f"f{n}" for n in range(width)], "S4")
        file["label"] = rng.integers(0, 2, rows).astype(np.int8)
        file["site"] = np.array([b"north", b"south"])[rng.integers(0, 2, rows)]
    return H5Reader(path=path)


def test_a_worker_reads_what_the_same_reader_reads_in_this_process(tmp_path):
    reader = large(tmp_path / "a.h5")
    here, there = list(reader.read_here()), list(reader.read())
    assert len(there) > 2
    for name in ("ids", "values", "weights", "quality", "n_rows"):
        mine = np.concatenate([getattr(table, name) for table in here])
        its = np.concatenate([getattr(table, name) for table in there])
        assert its.dtype == mine.dtype
        np.testing.assert_array_equal(its, mine)
    assert {table.features for table in there} == {here[0].features}
    mine, its = reader.read_columns_here(["label", "site"]), reader.read_columns(["label", "site"])
    np.testing.assert_array_equal(its.ids, mine.ids)
    for name in ("label", "site"):
        assert its.columns[name].dtype == mine.columns[name].dtype
        np.testing.assert_array_equal(its.columns[name], mine.columns[name])
    assert reader.describe() == reader.describe_here()


def test_rows_that_were_read_do_not_change_later(tmp_path):
    tables = list(large(tmp_path / "a.h5").read())
    assert all(table.values.flags.writeable and table.values.flags.owndata for table in tables)
    assert len({float(table.values[0, 0]) for table in tables}) == len(tables)


@pytest.mark.parametrize("rows", [40_000, 150_000])  # three chunks, of which two are on their way; ten
@pytest.mark.parametrize("how", ["read", "read_views"])
def test_after_an_abandoned_answer_the_next_file_is_read(tmp_path, good, rows, how):
    stream = getattr(large(tmp_path / "a.h5", rows), how)()
    next(stream)
    stream.close()
    assert aggregate_spatial(good.read(), good.source).ids == ("a", "b")


def test_views_are_the_same_rows_in_the_workers_memory(tmp_path):
    reader = large(tmp_path / "a.h5")
    views = []
    for table, copied in zip(reader.read_views(), reader.read(), strict=True):
        assert not table.values.flags.owndata and not table.values.flags.writeable
        np.testing.assert_array_equal(table.values, copied.values)
        np.testing.assert_array_equal(table.ids, copied.ids)
        views.append(table.values)
    assert len(views) > 2
    assert np.shares_memory(views[0], views[2])


def test_views_stay_readable_when_their_worker_dies(misbehaving):
    stream = misbehaving("crash").read_views()
    values = next(stream).values
    with pytest.raises(DataError, match="crashed on it"):
        next(stream)
    assert (values == 0).all()


def test_the_greatest_number_of_patients_is_known_with_the_first_rows(tmp_path, good):
    assert [table.patients for table in good.read()] == [2]
    assert {table.patients for table in large(tmp_path / "a.h5").read()} == {13_334}


@pytest.mark.parametrize("patients", [-1, True, "7", 1 << 40, None, 1.5])
def test_an_invalid_number_of_patients_is_ignored(misbehaving, patients):
    assert [table.patients for table in misbehaving(f"claim {patients!r}").read()] == [None]


def test_an_answer_that_is_still_open_when_the_program_ends(tmp_path):
    """The workers end first, and the rest of the answer is no error."""
    stream = large(tmp_path / "a.h5").read()
    next(stream)
    close_workers()
    stream.close()
    assert worker_ids() == []


def test_relative_paths_are_the_callers(good, monkeypatch, tmp_path):
    aggregate_spatial(good.read(), good.source)
    monkeypatch.chdir(tmp_path)
    assert aggregate_spatial(H5Reader(path=Path("good.h5")).read(), "good.h5").ids == ("a", "b")


def test_a_wide_row_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["patient_id"] = np.array([b"a"])
        file["embedding"] = np.ones((1, 17 << 20), np.float32)
    with pytest.raises(DataError, match=r"a\.h5: embedding: a row holds 71,303"):
        list(H5Reader(path=tmp_path / "a.h5").read())


def test_the_worker_imports_neither_torch_nor_pandas():
    code = (
        "import sys, hcat_builtin.readers.isolation.worker_main, hcat_builtin.readers.hdf5.reader; "
        "import hcat_builtin.readers.anndata.h5mu; "
        "print(*(m for m in ('torch', 'pandas', 'sklearn', 'pydantic') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_no_worker_outlives_a_process_that_is_stopped(misbehaving, tmp_path, sent):
    """Ctrl-C reaches the whole group, SIGKILL the parent alone; the worker ends without a message."""
    program = textwrap.dedent(
        f"""
        import sys; sys.path.insert(0, {str(tmp_path)!r})
        from misbehaving import Misbehaving
        from hcat_builtin.readers.isolation import reader as isolated_reader
        isolated_reader.SECONDS = 2
        stream = Misbehaving(does="hang in the library").read()
        next(stream)
        (worker,) = isolated_reader._busy
        print(worker._process.pid, flush=True)
        next(stream)
        """
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with parent:
        worker = int(parent.stdout.readline())
        if sent == signal.SIGINT:
            os.killpg(parent.pid, sent)
        else:
            os.kill(parent.pid, sent)
        said = parent.stderr.read()
    assert said.count("Traceback") == (1 if sent == signal.SIGINT else 0)  # the parent's own
    until = time.monotonic() + 10
    while alive(worker) and time.monotonic() < until:
        time.sleep(0.05)
    assert not alive(worker)


def alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{process}/status")
    return not (status.exists() and "State:\tZ" in status.read_text())


def test_a_reader_that_a_worker_cannot_make_is_a_fault_of_the_reader():
    class Local(IsolatedReader):
        source = "a.h5"
        read_here = read_columns_here = describe_here = None

    with pytest.raises(RuntimeError, match="the worker cannot make .*Local"):
        list(Local().read())
