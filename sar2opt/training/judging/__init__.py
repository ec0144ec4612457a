"""Figures of generated images on held-out places, always beside the baselines."""
