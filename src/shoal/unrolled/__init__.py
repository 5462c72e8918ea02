"""The neurons over whole sequences, as a plain loop over any array namespace: what PyTorch and MLX
run (and NumPy, for checks). JAX has its own scans, in `shoal.neurons`.
"""
