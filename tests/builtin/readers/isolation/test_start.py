"""Workers start where standard descriptors are closed, and say which limit stops them from starting."""

import subprocess
import sys

import h5py
import numpy as np
import pytest

READ = """
import sys
from pathlib import Path
from hcat_builtin.readers.hdf5.reader import H5Reader
from hcat_core.errors import DataError
{before}
try:
    rows = sum(len(table.ids) for table in H5Reader(path=Path(sys.argv[1])).read())
except DataError as error:
    rows = error
Path(sys.argv[2]).write_text(str(rows))
"""
LIMIT = "import resource; resource.setrlimit(resource.{name}, ({value}, {value}))"


@pytest.fixture
def read(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["patient_id"] = np.array([b"a", b"b"])
        file["embedding"] = np.ones((2, 3), np.float32)

    def outcome(before="", redirection=""):
        answer = tmp_path / "answer"
        command = [sys.executable, "-c", READ.format(before=before), str(tmp_path / "a.h5"), str(answer)]
        subprocess.run(["sh", "-c", f'"$@" {redirection}', "sh", *command], check=True)
        return answer.read_text()

    return outcome


@pytest.mark.parametrize("closed", ["<&-", "2>&-", ">&-", "<&- 2>&-", "<&- >&- 2>&-"])
def test_closed_standard_descriptors_do_not_matter(read, closed):
    assert read(redirection=closed) == "2"


@pytest.mark.skipif(sys.platform != "linux", reason="limits are those of Linux")
@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("RLIMIT_FSIZE", 100_000, "a limit on the size of files (ulimit -f)"),
        ("RLIMIT_NOFILE", 6, "a limit on open files (ulimit -n)"),
    ],
)
def test_a_limit_that_stops_the_worker_is_named(read, name, value, says):
    assert f"a.h5: the process that reads it cannot be started, because of {says}" in read(
        LIMIT.format(name=name, value=value)
    )


@pytest.mark.skipif(sys.platform != "linux", reason="limits are those of Linux")
def test_a_limit_of_memory_is_named(read):
    used = "int(Path('/proc/self/statm').read_text().split()[0]) * 4096 + (1 << 20)"
    limit = LIMIT.format(name="RLIMIT_AS", value=used)
    assert "cannot be started, because of a limit on memory (ulimit -v" in read(limit)
