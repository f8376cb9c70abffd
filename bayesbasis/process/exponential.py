"""Exponential of a generator, and its derivative: how regimes move over a gap."""

from math import exp, expm1, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesbasis.process.kernels import inner_kernel, kernel
from bayesbasis.process.regimes import fastest_rate

Array = NDArray[Any]

# Plain loops, as in `regimes`: array expressions would cost the compiler more than they save.


@inner_kernel
def _product(a: Array, b: Array, factor: float, out: Array) -> None:
    """Add ``factor · a b`` to ``out``."""
    n = len(a)
    for i in range(n):
        for k in range(n):
            weight = factor * a[i, k]
            for j in range(n):
                out[i, j] += weight * b[k, j]


@inner_kernel
def _fill(out: Array, diagonal: float) -> None:
    """Make ``out`` zero off the diagonal."""
    for i in range(len(out)):
        for j in range(len(out)):
            out[i, j] = 0.0
        out[i, i] = diagonal


@inner_kernel
def _is_zero(matrix: Array) -> bool:
    for i in range(len(matrix)):
        for j in range(len(matrix)):
            if matrix[i, j] != 0.0:
                return False
    return True


@kernel
def exponential(rates: Array, direction: Array, gap: float) -> tuple[Array, Array]:
    """Matrix exponential ``expm(A gap)`` and its derivative along ``direction · gap``.

    In closed form for two regimes. For more, uniformisation, scaling and squaring: the series runs
    in ``A + qI``, which has no negative entry, so probabilities never turn negative; its remainder
    is below 1e-16.

    Parameters
    ----------
    rates : ndarray, shape (K, K)
        Generator ``A``, or its transpose.
    direction : ndarray, shape (K, K)
        Direction of the derivative; zero when only the value is wanted, which is faster.
    gap : float
        Time in years.

    Returns
    -------
    value, slope : ndarray, shape (K, K)
    """
    n, moving = len(rates), not _is_zero(direction)
    value, slope = np.zeros((n, n)), np.zeros((n, n))
    if n == 2 and rates[0, 1] * rates[1, 0] > 0.0:
        _of_two(rates, direction, gap, value, slope)
        return value, slope
    fastest, halvings = fastest_rate(rates), 0
    while fastest * gap > 0.5 * 2.0**halvings:
        halvings += 1
    step = gap / 2.0**halvings
    terms, remainder = 1, 0.5 * (fastest * step) ** 2
    while remainder > 1e-16:
        terms += 1
        remainder *= fastest * step / (terms + 1)
    positive, next_value, next_slope = rates.copy(), np.empty((n, n)), np.empty((n, n))
    for i in range(n):
        positive[i, i] += fastest
        value[i, i] = 1.0
    for term in range(terms, 0, -1):
        if moving:
            _fill(next_slope, 0.0)
            _product(positive, slope, step / term, next_slope)
            _product(direction, value, step / term, next_slope)
        _fill(next_value, 1.0)
        _product(positive, value, step / term, next_value)
        value, next_value = next_value, value
        if moving:
            slope, next_slope = next_slope, slope
    decay = exp(-fastest * step)
    for i in range(n):
        for j in range(n):
            value[i, j] *= decay
            slope[i, j] *= decay
    for _ in range(halvings):
        if moving:
            _fill(next_slope, 0.0)
            _product(value, slope, 1.0, next_slope)
            _product(slope, value, 1.0, next_slope)
            slope, next_slope = next_slope, slope
        _fill(next_value, 0.0)
        _product(value, value, 1.0, next_value)
        value, next_value = next_value, value
    return value, slope


@inner_kernel
def _of_two(rates: Array, direction: Array, gap: float, value: Array, slope: Array) -> None:
    r"""Exponential of two regimes, and its derivative, from the eigenvalues ``λ > μ``.

    .. math::

        e^{At} = e^{λt} I + h (A - λI), \qquad h = \frac{e^{λt} - e^{μt}}{λ - μ}, \qquad
        L = t e^{λt} P D P + t e^{μt} Q D Q + h (P D Q + Q D P)

    with the projectors ``P = (A - μI)/(λ - μ)`` and ``Q = I - P`` (Daleckii and Krein).
    """
    a, b, c, d = rates[0, 0], rates[0, 1], rates[1, 0], rates[1, 1]
    apart = 2.0 * sqrt(0.25 * (a - d) ** 2 + b * c)
    low = 0.5 * (a + d - apart)
    # Exactly zero for a generator, whose determinant is.
    high = (a * d - b * c) / low
    top, bottom = exp(high * gap), exp(low * gap)
    h = -top * expm1(-apart * gap) / apart
    value[0, 0], value[0, 1] = top + h * (a - high), h * b
    value[1, 0], value[1, 1] = h * c, top + h * (d - high)
    if _is_zero(direction):
        return
    p, q, r, s = (a - low) / apart, b / apart, c / apart, (d - low) / apart
    w, x, y, z = direction[0, 0], direction[0, 1], direction[1, 0], direction[1, 1]
    # With the entries of P D and of D P: L = t e^{μt} D + (h - t e^{μt}) (P D + D P) + … P D P.
    pw, px, py, pz = p * w + q * y, p * x + q * z, r * w + s * y, r * x + s * z
    wp, xp, yp, zp = w * p + x * r, w * q + x * s, y * p + z * r, y * q + z * s
    one, mixed = gap * bottom, h - gap * bottom
    both = gap * (top + bottom) - 2.0 * h
    slope[0, 0] = one * w + mixed * (pw + wp) + both * (pw * p + px * r)
    slope[0, 1] = one * x + mixed * (px + xp) + both * (pw * q + px * s)
    slope[1, 0] = one * y + mixed * (py + yp) + both * (py * p + pz * r)
    slope[1, 1] = one * z + mixed * (pz + zp) + both * (py * q + pz * s)
