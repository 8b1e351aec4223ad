"""Guidance: costs on the predicted clean trajectory, with analytic gradients, on NumPy or torch arrays alike."""
