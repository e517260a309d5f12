"""The observation model: motion, PSF, sampling, noise, subspace, their adjoint, and the simulator."""
