"""Carry of contracts given everything else: what their own quotes say of it."""

from math import inf, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesbasis.process.adjoint import Sweep
from bayesbasis.process.filter import Parameters, Schedule
from bayesbasis.process.kernels import kernel
from bayesbasis.process.own_noise import OwnNoise
from bayesbasis.process.paced import Paced, plain, run_filter

Array = NDArray[Any]


@kernel
def carry_information(
    s: Schedule,
    p: Parameters,
    result: Sweep,
    tau: Array,
    column: Array,
    columns: int,
    own_noise: bool,
) -> tuple[Array, Array]:
    r"""Score and expected information of the log likelihood by contracts' carry.

    Innovations are linear in carry, and the Kalman filter runs on their sensitivities ``h`` as it
    runs on deviations. Given the weights that regimes and tails put on every event,

    .. math:: g = -\sum_i \frac{∂ \ln L}{∂ z_i} τ_i, \qquad
              J = \sum_t w_t\, H_t^\top Σ^{-1} H_t

    Parameters
    ----------
    s, p : Schedule, Parameters
        The panel and one draw.
    result : Sweep
        Of that panel and draw.
    tau : ndarray, shape (obs,)
        Time to expiry in years, in order of events.
    column : ndarray of int64, shape (obs,)
        Column of the contract of each quote; -1 for contracts whose carry is given.
    columns : int
        How many contracts have a column.
    own_noise : bool
        Whether moves alone are shared; see `own_noise`.

    Returns
    -------
    score : ndarray, shape (columns,)
    information : ndarray, shape (columns, columns)
        Per (1/year) and its square.
    """
    score, information = np.zeros(columns), np.zeros((columns, columns))
    level, innovation = np.zeros(len(tau)), np.zeros(len(tau))
    # The inverse covariance of an event is diagonal but for one direction.
    alone, along = np.zeros(len(tau)), np.zeros(len(tau))
    for i in range(len(tau)):
        if column[i] >= 0:
            score[column[i]] -= result.gradient.deviation[i] * tau[i]
    for i in s.first:
        level[i] = tau[i]
    for t in range(len(s.event_start)):
        start, stop = s.event_start[t], s.event_stop[t]
        u, n = s.group[start], stop - start
        rho, weight = p.correlation[u], -2.0 * result.by_distance[t]
        if p.tail[u] < inf:
            # Fisher information of a Student-t, whose mixing variable nobody has seen.
            weight *= (p.tail[u] + n) / (p.tail[u] + n + 2.0)
        known = 0.0
        for i in range(start, stop):
            before, root = s.previous[i], result.states.root[i]
            phi, gain = p.phi[s.step[i]], 1.0 - p.noise[u] * root * root
            innovation[i] = tau[i] - phi * level[before]
            level[i] = phi * level[before] + gain * innovation[i]
            shared = p.variance[s.step[i]] if own_noise else 1.0 / (root * root)
            alone[i] = 1.0 / (1.0 / (root * root) - rho * shared)
            along[i] = sqrt(shared) * alone[i]
            known += shared * alone[i]
        share = rho / (1.0 + rho * known)
        for i in range(start, stop):
            if column[i] < 0:
                continue
            information[column[i], column[i]] += weight * alone[i] * innovation[i] ** 2
            for j in range(start, stop):
                if column[j] >= 0:
                    cross = along[i] * innovation[i] * along[j] * innovation[j]
                    information[column[i], column[j]] -= weight * share * cross
    return score, information


def draw_carry(
    s: Schedule,
    p: Parameters | Paced | OwnNoise,
    tau: Array,
    column: Array,
    centre: Array,
    spread: float,
    normal: Array,
    iterations: int = 4,
) -> Array:
    """Draw contracts' carry given one draw of everything else.

    The conditional density is Gaussian up to the weights of regimes and tails. A few steps of
    expectation-maximisation find its mode, and the expected information there its spread.

    Parameters
    ----------
    s, p : Schedule, and Parameters or their like
        The panel and one draw; the deviations in `p` leave out the carry to be drawn.
    tau, column : ndarray, shape (obs,)
        As in `carry_information`.
    centre : ndarray, shape (columns,)
        Mean of the population that each contract comes from, per year.
    spread : float
        Its standard deviation, per year.
    normal : ndarray, shape (columns,)
        Standard normals that become the draw.
    iterations : int
        Steps of expectation-maximisation.

    Returns
    -------
    ndarray, shape (columns,)
        Carry per year.
    """
    carry = centre.copy()
    chosen = column >= 0
    for _ in range(iterations):
        deviation = p.deviation.copy()
        deviation[chosen] -= carry[column[chosen]] * tau[chosen]
        here = p._replace(deviation=deviation)
        # Where regimes have speeds of their own, the score is exact and information that of one.
        result, q = run_filter(s, here), plain(here)
        score, information = carry_information(
            s, q, result, tau, column, len(centre), isinstance(p, OwnNoise)
        )
        precision = information + np.eye(len(centre)) / spread**2
        carry = carry + np.linalg.solve(precision, score - (carry - centre) / spread**2)
    root = np.linalg.cholesky(precision)
    return carry + np.linalg.solve(root.T, normal)
