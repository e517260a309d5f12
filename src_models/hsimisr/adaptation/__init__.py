"""Test-time training: a refiner taught by the frames of the scene itself."""
