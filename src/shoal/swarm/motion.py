"""How a particle moves, over any arrays: the same for JAX and NumPy.

    v ← w v + c₁ u₁ (p − x) + c₂ u₂ (g − x)
    x ← x + v

x position, v velocity, p the best this particle found, g the best its informants found, u₁ and u₂
uniform in [0, 1) for every particle and every dimension, w inertia, c₁ the cognitive and c₂ the
social pull. The defaults are Clerc and Kennedy's constriction (2002): χ = 0.7298, c = 2.05 χ, under
which particles settle without a limit on their speed.

Sources: Kennedy & Eberhart, "Particle swarm optimization" (1995); Shi & Eberhart (1998) for w;
Clerc & Kennedy, "The particle swarm: explosion, stability, and convergence" (2002).
"""

from __future__ import annotations

from typing import Any

INERTIA, COGNITIVE, SOCIAL = 0.7298, 1.49618, 1.49618


def velocity(
    v: Any, x: Any, own: Any, heard: Any, u: tuple[Any, Any], pulls: tuple, axes: Any = None
) -> Any:
    """The next velocity; `pulls` are (w, c₁, c₂), `axes` columns to draw along, see `axes.py`.

    >>> velocity(1.0, 0.0, own=2.0, heard=4.0, u=(0.5, 0.5), pulls=(0.5, 1.0, 1.0))
    3.5
    """
    inertia, cognitive, social = pulls
    own, heard = own - x, heard - x
    if axes is None:
        return inertia * v + cognitive * u[0] * own + social * u[1] * heard
    pull = cognitive * u[0] * (own @ axes) + social * u[1] * (heard @ axes)
    return inertia * v + pull @ axes.T


def limited(v: Any, most: Any, xp: Any) -> Any:
    """The velocity with no entry beyond ±`most`; `xp` is the arrays' namespace."""
    return xp.clip(v, -most, most)
