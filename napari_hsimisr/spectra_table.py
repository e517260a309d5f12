"""The drawn curves as a table of text, with what they are and where they were read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hsimisr.errors import WriteError
from hsimisr.spectra import table
from napari_hsimisr.curves import Drawn, Reading, Way


def write_table(path: Path, reading: Reading, drawn: Sequence[Drawn], way: Way) -> Path:
    """Write wavelengths (or band numbers), curves and their standard deviations; returns the path.

    Raises:
        WriteError: nothing is drawn, or the file cannot be written.
    """
    base = reading.base
    if base is None or not drawn:
        raise WriteError(f"{path}: nothing is drawn that could be saved; click a pixel first")
    headings = ["band" if base.wavelengths is None else "wavelength (nm)"]
    columns = [base.positions]
    for each in drawn:
        headings.append(each.curve.label)
        columns.append(each.curve.values.astype(float))
        if each.curve.std is not None:
            headings.append(f"{each.curve.label}, standard deviation")
            columns.append(each.curve.std.astype(float))
    comments = [f"drawn: {way.value}; bands without usable data have empty cells"]
    comments += [f"{each.curve.label}: {each.where}" for each in drawn]
    comments += [f"spectral angle to {pin.name}: {angle:.3f} degrees" for pin, angle in reading.angles()]
    table.write(path, headings, [np.asarray(column, float) for column in columns], comments)
    return path
