"""What recovers an image: baselines and the LMMSE."""
