"""Open a spectral library from a file of any supported format."""

from __future__ import annotations

from pathlib import Path

from hsimisr.errors import ReadError
from hsimisr.spectra.library import SpectralLibrary

ENVI, TABLES, TEXTS = (".sli", ".hdr"), (".csv", ".tsv"), (".txt", ".asc")
FORMATS = "ENVI spectral libraries (.sli with its .hdr), USGS and ECOSTRESS text files (.txt) and tables (.csv)"


def open_library(path: str | Path) -> SpectralLibrary:
    """Read a spectral library into memory.

    Raises:
        ReadError: the file is missing, damaged, of another format, or holds no spectra.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise ReadError(f"{path}: no such file; check the path")
    suffix = path.suffix.lower()
    try:
        if suffix in ENVI:
            from hsimisr.spectra import read_envi  # libraries load only when their format is met

            return read_envi.read(path)
        if suffix in TABLES:
            from hsimisr.spectra import table

            return table.read(path)
        if suffix in TEXTS:
            from hsimisr.spectra import read_text

            return read_text.read(path)
    except OSError as error:
        raise ReadError(f"{path}: cannot be read: {error.strerror or error}") from error
    raise ReadError(f"{path}: {suffix or 'a file without a suffix'} is no spectral library; read are {FORMATS}")
