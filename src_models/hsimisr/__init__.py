"""Multi-image super-resolution of hyperspectral images: several LR frames in, one sharper cube out."""

__version__ = "0.1.0"
