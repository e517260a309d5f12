"""Multi-image super-resolution of hyperspectral images: several LR frames in, one sharper cube out."""

import os

# Read when torch is first imported: idle threads that spin starve other processes, and this one ten times over.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Read when numpy is first imported: its matrices are small, and a second pool of threads fights with torch's.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

__version__ = "0.1.0"
