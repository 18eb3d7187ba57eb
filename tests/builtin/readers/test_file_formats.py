"""Files that are not what their name says, are not there, or are in use: each has its sentence."""

import errno
import gzip
import io
import os
import pickle
import subprocess
import sys
import zipfile

import h5py
import numpy as np
import pytest
import torch

from hcat_builtin.readers.anndata.h5ad import H5adReader
from hcat_builtin.readers.hdf5.open_error import open_error
from hcat_builtin.readers.hdf5.reader import H5Reader
from hcat_builtin.readers.tensors.reader import PtReader
from hcat_core.errors import DataError

READERS = {".h5": H5Reader, ".h5ad": H5adReader, ".pt": PtReader}


def npy():
    buffer = io.BytesIO()
    np.save(buffer, np.ones(3))
    return buffer.getvalue()


def npz():
    buffer = io.BytesIO()
    np.savez(buffer, a=np.ones(3))
    return buffer.getvalue()


def zipped(name):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), "x")  # of a fixed date
    return buffer.getvalue()


OTHERS = {
    b"": r"is empty \(0 bytes\).*Copy it again",
    gzip.compress(b"x" * 99, mtime=0): "packed by gzip.*gunzip",
    b"BZh91AY": "packed by bzip2.*bunzip2",
    b"\xfd7zXZ\x00\x00": "packed by xz",
    b"\x28\xb5\x2f\xfd0": "packed by zstd",
    b"patient_id,age\np,1\n": 'is text.*use = "table"',
    b"\xef\xbb\xbfpatient;age\np;1\n": 'is text.*use = "table"',
    pickle.dumps({"a": 1}): "is a pickle.*does not unpickle",
    npy(): r"numpy \(\.npy\)",
    npz(): r"numpy \(\.npz\)",
    b"PAR1" + bytes(20): 'a Parquet file.*use = "table"',
    b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n": "Git LFS pointer.*git lfs pull",
    b"/annex/objects/SHA256E-s3--00\n": "git-annex pointer.*git annex get",
    b"<!DOCTYPE html><html></html>": "a web page.*Download it again",
    b"\n<html><body>Sign in</body></html>": "a web page.*Download it again",
    b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>': "an XML text",
    b"CDF\x01" + bytes(50): "NetCDF.*nccopy",
    b"\x0e\x03\x13\x01" + bytes(40): "HDF4.*h4toh5",
    b"MATLAB 5.0 MAT-file, Platform: GLNXA64" + bytes(90): "MATLAB file before 7.3",
    bytes(5000): "nothing but zeros.*copy",
    b"\x00\x05\x16\x07" + bytes(70): "AppleDouble",
    b"II*\x00" + bytes(40): "a TIFF image.*features of the slide",
    zipped("a.txt"): "a zip archive.*unzip",
    zipped("[Content_Types].xml"): "an Excel file.*CSV",
    zipped("a.txt")[:25]: "zip archive .* that is cut off",
    b'\x07\x00\x00\x00\x00\x00\x00\x00{"a":1}': "a safetensors file",
    np.random.default_rng(0).bytes(99): "begins with the bytes 5f 82",
}


@pytest.mark.parametrize("ending", list(READERS))
@pytest.mark.parametrize("content", list(OTHERS), ids=range(len(OTHERS)))
def test_a_file_of_another_format_is_named_with_the_way_out(tmp_path, ending, content):
    path = tmp_path / f"a{ending}"
    path.write_bytes(content)
    with pytest.raises(DataError, match=OTHERS[content]) as error:
        READERS[ending](path=path).describe()
    assert str(error.value).startswith(f"{path}: ")
    assert "damaged" not in str(error.value)


def hdf5(path):
    with h5py.File(path, "w") as file:
        file["patient_id"] = np.array([b"a", b"b"])
        file["embedding"] = np.ones((2, 3))
    return path


def test_a_file_of_another_reader_names_the_reader(tmp_path):
    torch.save(torch.ones(2), tmp_path / "a.h5")
    with pytest.raises(DataError, match='a PyTorch file.*use = "pt"'):
        H5Reader(path=tmp_path / "a.h5").describe()
    with pytest.raises(DataError, match='an HDF5 file.*use = "h5"'):
        PtReader(path=hdf5(tmp_path / "b.pt")).describe()
    with h5py.File(hdf5(tmp_path / "c.h5"), "r+") as file:
        file.attrs["encoding-type"] = "anndata"
    with pytest.raises(DataError, match='is anndata.*use = "h5ad"'):
        H5Reader(path=tmp_path / "c.h5").describe()
    with zipfile.ZipFile(tmp_path / "d.pt", "w") as archive:
        for name in ("m/data.pkl", "m/constants.pkl", "m/code/__torch__.py"):
            archive.writestr(name, "x")
    with pytest.raises(DataError, match=r"a program \(TorchScript\)"):
        PtReader(path=tmp_path / "d.pt").describe()


@pytest.mark.parametrize("ending", list(READERS))
def test_paths_that_lead_nowhere_have_their_own_sentence(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    reader = READERS[ending](path=path)
    with pytest.raises(DataError, match="no such file"):
        reader.describe()
    path.symlink_to(tmp_path / "gone.h5")
    with pytest.raises(DataError, match="is a link to .*gone.h5, which does not exist"):
        reader.describe()
    path.unlink()
    path.symlink_to("../.git/annex/objects/aa/bb/SHA256E-s1--0.h5")
    with pytest.raises(DataError, match="git annex get"):
        reader.describe()
    with pytest.raises(DataError, match="too long"):
        READERS[ending](path=tmp_path / ("a" * 300 + ending)).describe()


def test_a_folder_for_a_file_says_what_it_holds(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(DataError, match="is a folder; an HDF5 file is needed here. It holds nothing"):
        H5adReader(path=tmp_path / "a").describe()
    hdf5(tmp_path / "a" / "x.h5ad")
    with pytest.raises(DataError, match="Name one of the 1 that it holds: x.h5ad"):
        H5adReader(path=tmp_path / "a").describe()
    (tmp_path / "a" / ".zgroup").write_text("{}")
    with pytest.raises(DataError, match="is a Zarr store.*read_zarr"):
        H5adReader(path=tmp_path / "a").describe()


def test_what_the_system_refuses_is_not_damaged(tmp_path):
    path = hdf5(tmp_path / "a.h5")
    for number, says in (
        (errno.EACCES, "no permission to read it"),
        (errno.EIO, "the system cannot read it: Input/output error"),
        (errno.ESTALE, "the system cannot read it: Stale file handle"),
    ):
        assert says in str(open_error(path, OSError(number, "x")))
    no_locks = OSError(errno.ENOSYS, "unable to lock file, errno = 38")
    assert "HDF5_USE_FILE_LOCKING=FALSE" in str(open_error(path, no_locks))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("ending", list(READERS))
def test_a_file_without_permission(tmp_path, ending):
    path = hdf5(tmp_path / f"a{ending}")
    path.chmod(0)
    with pytest.raises(DataError, match="no permission to read it"):
        READERS[ending](path=path).describe()


@pytest.mark.parametrize("ending", [".h5", ".h5ad"])
def test_a_file_that_another_program_writes_is_not_damaged(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    hold = (
        f"import h5py, time; f = h5py.File({str(path)!r}, 'w'); f['x'] = 1; f.flush(); "
        "print(1, flush=True); time.sleep(99)"
    )
    writer = subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE)
    try:
        writer.stdout.readline()
        with pytest.raises(DataError, match="is open for writing in another program: wait .*h5clear -s"):
            READERS[ending](path=path).describe()
    finally:
        writer.kill()
        writer.wait()
        writer.stdout.close()


def test_a_file_whose_writer_was_killed_says_how_to_clear_it(tmp_path):
    path = tmp_path / "a.h5"
    hold = (
        f"import h5py, os; f = h5py.File({str(path)!r}, 'w', libver='latest'); f['x'] = [1]; "
        "f.swmr_mode = True; os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", hold], check=True)
    with pytest.raises(DataError, match="is open for writing in another program.*h5clear -s FILE"):
        H5Reader(path=path).describe()


def test_damaged_is_said_of_damaged_files(tmp_path):
    whole = hdf5(tmp_path / "a.h5").read_bytes()
    for name, data, says in (
        ("b.h5", whole[:-200], "truncated"),
        ("c.h5", b"\x88" + whole[1:], "damaged"),
        ("d.h5", whole[:8] + bytes(8) + whole[16:], "damaged"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DataError, match=f"cannot be opened: it is {says}.*again"):
            H5Reader(path=tmp_path / name).describe()
