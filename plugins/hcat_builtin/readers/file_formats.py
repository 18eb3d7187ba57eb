"""What a file is that is not of the format its reader needs, by its first bytes, and what to do with it."""

from __future__ import annotations

import zipfile
from pathlib import Path

from hcat_builtin.readers.plain_file import system_error
from hcat_core.errors import DataError

HEAD = 4096  # bytes that are looked at
HDF5 = b"\x89HDF\r\n\x1a\n"
UNPACK = "Unpack it first: {}."
EXPORT = "hcat does not read this format: write the values as HDF5, CSV or Parquet."
RESAVE = "hcat does not unpickle. Write it again, with a current torch.save, or as HDF5 or CSV."
SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (HDF5, "an HDF5 file", 'Name its reader in the recipe: use = "h5" (or "h5ad", "h5mu").'),
    (b"\x1f\x8b", "packed by gzip", UNPACK.format("gunzip FILE")),
    (b"BZh", "packed by bzip2", UNPACK.format("bunzip2 FILE")),
    (b"\xfd7zXZ\0", "packed by xz", UNPACK.format("unxz FILE")),
    (b"\x28\xb5\x2f\xfd", "packed by zstd", UNPACK.format("unzstd FILE")),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK.format("7z x FILE")),
    (b"Rar!", "a RAR archive", UNPACK.format("unrar x FILE")),
    (b"\x93NUMPY", "an array of numpy (.npy)", EXPORT),
    (b"PAR1", "a Parquet file", 'Name its reader in the recipe: use = "table".'),
    (b"ARROW1", "an Arrow (Feather) file", 'Write it as Parquet and read that with use = "table".'),
    (b"\x0e\x03\x13\x01", "an HDF4 file", "Convert it: h4toh5 OLD NEW."),
    (b"CDF", "a NetCDF file of version 3", "Convert it: nccopy -k nc4 OLD NEW."),
    (b"MATLAB 5.0", "a MATLAB file before 7.3", "Save it in MATLAB with save(FILE, '-v7.3')."),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself", "Fetch it: git lfs pull."),
    (b"/annex/objects/", "a git-annex pointer, not the file itself", "Fetch it: git annex get FILE."),
    (b"\x00\x05\x16\x07", "what macOS writes beside a file (AppleDouble)", "Name the file without ._."),
    (b"II*\0", "a TIFF image", "A reader needs features of the slide, not the slide."),
    (b"MM\0*", "a TIFF image", "A reader needs features of the slide, not the slide."),
    (b"II+\0", "a TIFF image", "A reader needs features of the slide, not the slide."),
    (b"\x89PNG", "a PNG image", "A reader needs features of the image, not the image."),
    (b"\xff\xd8\xff", "a JPEG image", "A reader needs features of the image, not the image."),
    (b"%PDF", "a PDF document", EXPORT),
    (b"SQLite format 3", "an SQLite database", EXPORT),
    (b"\xd0\xcf\x11\xe0", "an Excel file (.xls)", 'Save it as CSV and read that with use = "table".'),
)
ZIP_MEMBERS = (
    ("data.pkl", "a PyTorch file", 'Name its reader in the recipe: use = "pt".'),
    (".npy", "arrays of numpy (.npz)", EXPORT),
    ("[Content_Types].xml", "an Excel file (.xlsx)", 'Save it as CSV and read that with use = "table".'),
)


def foreign_format(path: Path, wanted: str) -> DataError | None:
    """The error for a file of another format than ``wanted``; None for one whose format is not known.

    Args:
        path: a regular file.
        wanted: what is needed, with its article, such as "an HDF5 file".

    Raises:
        DataError: for a file that cannot be read at all.
    """
    try:
        with path.open("rb", buffering=0) as file:
            head = file.read(HEAD)
    except OSError as error:
        raise system_error(path, error) from None
    if not head:
        return DataError(f"{path}: is empty (0 bytes): its copy or download broke off. Copy it again.")
    found = _format(path, head)
    if found is None:
        return None
    what, way_out = found
    return DataError(f"{path}: is {what}; {wanted} is needed here. {way_out}")


def begins_with(path: Path) -> str:
    """The first bytes of a file of unknown format, for a message."""
    with path.open("rb", buffering=0) as file:
        return file.read(8).hex(" ")


def _format(path: Path, head: bytes) -> tuple[str, str] | None:
    for signature, what, way_out in SIGNATURES:
        if head.startswith(signature):
            return what, way_out
    if head.startswith(b"PK"):
        return _zipped(path)
    if head[257:262] == b"ustar":
        return "a tar archive", UNPACK.format("tar -xf FILE")
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05":
        return "a pickle (torch before 1.6 wrote tensors so, too)", RESAVE
    if head[8:10] == b'{"':
        return "a safetensors file", "Save the tensors with torch.save, or write HDF5."
    if not any(head):
        return "nothing but zeros at its start", "Its copy broke off: copy it again."
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page (the download failed)", "Download it again; a login may be needed."
    if start.startswith(b"<?xml"):
        return "an XML text, perhaps a server's error", "Download it again."
    if _is_text(head):
        return "text", 'If it is a CSV, name its reader in the recipe: use = "table".'
    return None


def _zipped(path: Path) -> tuple[str, str] | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return "a zip archive (as torch, numpy and Excel write them) that is cut off", "Copy it again."
    for ending, what, way_out in ZIP_MEMBERS:
        if any(name.endswith(ending) for name in names):
            return what, way_out
    return "a zip archive", UNPACK.format("unzip FILE")


def _is_text(head: bytes) -> bool:
    return all(byte in b"\t\r\n" or 32 <= byte < 127 or byte >= 128 for byte in head) and (
        sum(byte < 128 for byte in head) > 0.7 * len(head)
    )
