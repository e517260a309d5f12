"""Spectra apart from images: libraries, resampling to a sensor, angles, continuum, statistics of a region."""
