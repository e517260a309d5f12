"""Multi-image super-resolution of hyperspectral images: several LR frames in, one sharper cube out."""

import os

# Read when torch is first imported: idle threads that spin starve other processes, and this one ten times over.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"
