"""Pure mathematics over an array namespace `xp`: NumPy, JAX, PyTorch and MLX alike."""
