"""Equinox cells and sequence layers of liquid neurons, in JAX."""
