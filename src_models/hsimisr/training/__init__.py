"""Recipes that make the shipped weights: scenes, simulated situations, the training loop and what it writes."""
