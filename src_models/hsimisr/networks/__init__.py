"""Torch modules: alignment cells, encoders, the refiner and its weights."""
