"""Nets, the bundles that carry them, and their cards; only here and in training is torch."""
