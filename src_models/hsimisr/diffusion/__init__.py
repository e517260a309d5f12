"""Few-step diffusion under physics: samples of the scenes that the frames leave open, and their mean."""
