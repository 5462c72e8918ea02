"""Mixtures of experts: routers, dispatch, experts, losses and statistics."""
