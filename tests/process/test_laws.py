"""Facts about every law of convergence."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

from bayesbasis.model.priors import Priors
from bayesbasis.process.laws import (
    LAWS,
    REFERENCE_TAU,
    Anchored,
    BrownianBridge,
    OrnsteinUhlenbeck,
    OUBridge,
    ScaledBridge,
    SchwartzSmith,
    StochasticCarry,
    decay,
    rate,
)
from bayesbasis.process.quadrature import ENDLESS, Steps

MINUTE = 1.0 / (365 * 24 * 60)
NEVER = 1e15  # a half-life of this many days pulls at nothing
UNANCHORED = ("ornstein-uhlenbeck", "scaled-bridge")  # the second is pinned after expiry

every_law = pytest.mark.parametrize("law", [law() for law in LAWS.values()], ids=list(LAWS))
anchored_law = pytest.mark.parametrize(
    "law", [law() for n, law in LAWS.items() if n not in UNANCHORED]
)


def arguments(law, shape, seed=0):
    """Parameters of a law from the middle of their priors."""
    rng = np.random.default_rng(seed)
    priors = {name: getattr(Priors(), name) for name in law.parameters}
    normals = {name: 0.7 * rng.standard_normal(shape) for name in priors}
    return {n: p.natural(p.location + p.scale * normals[n], np) for n, p in priors.items()}


def times(count, seed=0):
    """Three times to expiry in falling order, from two years to an hour."""
    hours = np.exp(np.random.default_rng(seed).uniform(0.0, np.log(2 * 8760), (3, count)))
    return -np.sort(-hours, axis=0) / 8760


def half_lives(count, seed=4):
    return np.exp(np.random.default_rng(seed).uniform(0.0, np.log(365.0), count))


def transition(law, parameters, start, end):
    return law.transition(parameters, Steps.between(start, end), np)


# ------------------------------------------------------------------------------- identities


@every_law
def test_without_expiry_a_law_with_a_half_life_is_ornstein_uhlenbeck(law):
    if "half_life" not in law.parameters:
        pytest.skip("nothing but expiry closes its deviations")
    parameters = arguments(law, (30, 1))
    elapsed = np.array([MINUTE, 1 / 8760, 1 / 365, 0.02, 0.3, 5.0])
    kappa = rate(parameters["half_life"])
    for some in (elapsed[:3], elapsed):  # alone on a small grid, and on one that resolves years
        phi, v = transition(law, parameters, ENDLESS + some, np.full(len(some), ENDLESS))
        np.testing.assert_allclose(phi, np.exp(-kappa * some), rtol=1e-8)
        np.testing.assert_allclose(v, -np.expm1(-2 * kappa * some) / (2 * kappa), rtol=1e-6)


@every_law
def test_two_moves_are_one(law):
    start, middle, end = times(200)
    own = arguments(law, 200)
    phi_1, v_1 = transition(law, own, start, middle)
    phi_2, v_2 = transition(law, own, middle, end)
    phi, v = transition(law, own, start, end)
    np.testing.assert_allclose(phi, phi_1 * phi_2, rtol=1e-11)
    np.testing.assert_allclose(v, phi_2**2 * v_1 + v_2, rtol=1e-8)


@every_law
def test_a_deviation_shrinks_and_spreads(law):
    start, _, end = times(200)
    phi, v = transition(law, arguments(law, 200), start, end)
    assert ((phi >= 0) & (phi < 1)).all()
    assert (v > 0).all()


@every_law
def test_the_pull_is_the_speed_of_a_short_move(law):
    tau = np.array([0.01, 0.1, 0.5])
    own = arguments(law, 3)
    elapsed = 1e-7 * tau
    phi, _ = transition(law, own, tau + elapsed / 2, tau - elapsed / 2)
    np.testing.assert_allclose(-np.log(phi) / elapsed, law.pull(own, tau), rtol=1e-7)


@every_law
def test_the_spread_is_that_of_a_short_move_and_one_at_thirty_days(law):
    tau = np.array([0.01, 0.1, REFERENCE_TAU])
    own = arguments(law, 3)
    elapsed = 1e-7 * tau
    _, v = transition(law, own, tau + elapsed / 2, tau - elapsed / 2)
    np.testing.assert_allclose(v / elapsed, law.spread(own, tau) ** 2, rtol=1e-6)
    np.testing.assert_allclose(law.spread(own, REFERENCE_TAU), 1.0, rtol=1e-14)


@every_law
def test_the_variance_is_what_is_left_of_every_shock(law):
    """``v = ∫ φ(u → τ1)² g(u)² du``, in the logarithm of the age of the shock."""
    start, _, end = times(50)
    own = arguments(law, (50, 1))
    points, weights = np.polynomial.legendre.leggauss(16)
    edges = np.log(start - end)[:, None] + np.linspace(-30.0, 0.0, 61)
    half = 0.5 * np.diff(edges, axis=1)[..., None]
    age = np.exp(edges[:, :-1, None] + half * (points + 1.0)).reshape(50, -1)
    weights = (half * weights).reshape(50, -1) * age
    after = np.broadcast_to(end[:, None], age.shape)
    phi, _ = law.transition(own, Steps.without_grid(after + age, after), np)
    expected = (weights * (phi * law.spread(own, after + age)) ** 2).sum(1)
    _, v = transition(law, {name: value[:, 0] for name, value in own.items()}, start, end)
    np.testing.assert_allclose(v, expected, rtol=1e-8)


@anchored_law
def test_nothing_is_left_at_expiry_of_what_expiry_anchors(law):
    for start in (5.0, 0.3, MINUTE):
        own = arguments(law, 20)
        phi, v = transition(law, own, start, np.zeros(20))
        np.testing.assert_array_equal(phi, 0.0)
        np.testing.assert_array_equal(v, 0.0)
    end = 10.0 ** -np.arange(2.0, 9.0)
    one = {name: value[:1] for name, value in arguments(law, 1).items()}
    phi, v = transition(law, one, 0.3, end)
    assert (np.diff(phi) < 0).all()
    assert (np.diff(v) < 0).all()
    assert phi[-1] < 1e-4
    assert v[-1] < 1e-7


@every_law
def test_simulated_paths_have_the_mean_and_the_variance_of_the_law(law):
    """Euler's scheme in 800 steps: its bias is far below the standard errors of 20,000 paths."""
    paths, count, start, end = 20_000, 800, 0.25, 0.05
    own = {name: value[:1] for name, value in arguments(law, 1, seed=3).items()}
    grid = np.linspace(start, end, count + 1)
    step, rng = grid[0] - grid[1], np.random.default_rng(1)
    z = np.ones(paths)
    for tau in 0.5 * (grid[1:] + grid[:-1]):
        shock = rng.standard_normal(paths) * np.sqrt(step) * law.spread(own, tau)
        z = z * (1.0 - law.pull(own, tau) * step) + shock
    phi, v = transition(law, own, start, end)
    np.testing.assert_allclose(z.mean(), phi[0], atol=3.5 * np.sqrt(v[0] / paths))
    np.testing.assert_allclose(z.var(ddof=1), v[0], rtol=3.5 * np.sqrt(2.0 / paths))


# ------------------------------------------------------------------------- special and limiting


def anchored_twin(half_life, gamma, eta):
    parameters = {"half_life": half_life, "anchor": gamma, "volatility_exponent": eta}
    return Anchored(), {name: value + np.zeros(100) for name, value in parameters.items()}


BRIDGE = BrownianBridge(), {}
GAMMAS = np.repeat([0.1, 0.5, 0.9, 2.0, 5.0], 20)
TWINS = {
    "anchored-is-ou": (
        anchored_twin(half_lives(100), 0.0, 0.0),
        (OrnsteinUhlenbeck(), {"half_life": half_lives(100)}),
    ),
    "anchored-is-bridge": (anchored_twin(NEVER, 1.0, 0.0), BRIDGE),
    "anchored-is-scaled-bridge": (
        anchored_twin(NEVER, GAMMAS, 0.0),
        (ScaledBridge(), {"anchor": GAMMAS, "slack": np.full(100, 1e-13)}),
    ),
    "anchored-is-stochastic-carry": (
        anchored_twin(half_lives(100), 1.0, 1.0),
        (StochasticCarry(), {"half_life": half_lives(100)}),
    ),
    "scaled-bridge-is-bridge": (
        (ScaledBridge(), {"anchor": np.ones(100), "slack": np.full(100, 1e-13)}),
        BRIDGE,
    ),
    "ou-bridge-is-bridge": ((OUBridge(), {"half_life": np.full(100, NEVER)}), BRIDGE),
    "schwartz-smith-is-stochastic-carry": (
        (SchwartzSmith(), {"half_life": np.full(100, NEVER)}),
        (StochasticCarry(), {"half_life": np.full(100, NEVER)}),
    ),
}


@pytest.mark.parametrize(("one", "other"), TWINS.values(), ids=list(TWINS))
def test_laws_meet_where_their_parameters_do(one, other):
    start, _, end = times(100)
    phi, v = transition(*one, start, end)
    twin_phi, twin_v = transition(*other, start, end)
    np.testing.assert_allclose(phi, twin_phi, rtol=1e-10)
    np.testing.assert_allclose(v, twin_v, rtol=1e-8)


@pytest.mark.parametrize("law", [OUBridge(), SchwartzSmith()])
def test_far_from_expiry_it_is_ornstein_uhlenbeck(law):
    start, end = np.full(30, 3.0), np.linspace(2.5, 2.9, 30)
    own = {"half_life": np.full(30, 20.0)}
    far = law.spread(own, 3.0) ** 2
    phi, v = transition(law, own, start, end)
    twin_phi, twin_v = transition(OrnsteinUhlenbeck(), own, start, end)
    np.testing.assert_allclose(phi, twin_phi, rtol=1e-12)
    np.testing.assert_allclose(v, far * twin_v, rtol=1e-12)


def test_the_ou_bridge_is_that_of_hyperbolic_sines():
    start, _, end = times(100)
    half_life = half_lives(100)
    kappa = rate(half_life)
    keep = kappa * start < 300
    start, end, kappa, half_life = (x[keep] for x in (start, end, kappa, half_life))
    phi, v = transition(OUBridge(), {"half_life": half_life}, start, end)
    sines = np.sinh(kappa * end) / np.sinh(kappa * start)
    np.testing.assert_allclose(phi, sines, rtol=1e-10)
    np.testing.assert_allclose(v, np.sinh(kappa * (start - end)) * sines / kappa, rtol=1e-10)


def test_the_short_factor_behind_schwartz_and_smith_is_ornstein_uhlenbeck():
    """Its basis over ``1 - e^{-κτ}`` is the factor, with the volatility that σ stands for."""
    start, _, end = times(100)
    half_life = half_lives(100)
    kappa = rate(half_life)
    phi, v = transition(SchwartzSmith(), {"half_life": half_life}, start, end)
    before, after, at_reference = (1 - np.exp(-kappa * t) for t in (start, end, REFERENCE_TAU))
    factor_phi, factor_v = transition(OrnsteinUhlenbeck(), {"half_life": half_life}, start, end)
    np.testing.assert_allclose(phi * before / after, factor_phi, rtol=1e-9)
    np.testing.assert_allclose(v / after**2 * at_reference**2, factor_v, rtol=1e-9)


def test_the_scaled_bridge_is_its_closed_form_on_both_sides_of_one_half():
    gamma = np.array([0.2, 0.5, 0.5 + 1e-9, 0.6, 3.0])
    start, end, slack = 0.2, 0.05, 4.0
    a, c = start + slack / 365, end + slack / 365
    phi, v = transition(ScaledBridge(), {"anchor": gamma, "slack": np.full(5, slack)}, start, end)
    power = 2 * gamma[[0, 3, 4]] - 1
    np.testing.assert_allclose(phi, (c / a) ** gamma, rtol=1e-13)
    np.testing.assert_allclose(v[[0, 3, 4]], c / power * (1 - (c / a) ** power), rtol=1e-13)
    np.testing.assert_allclose(v[1], c * np.log(a / c), rtol=1e-14)
    np.testing.assert_allclose(v[2], c * np.log(a / c), rtol=1e-8)


def test_what_an_unanchored_deviation_keeps_at_expiry_is_its_stationary_spread():
    kappa = rate(5.0)
    phi, v = transition(OrnsteinUhlenbeck(), {"half_life": np.array([5.0])}, 3.0, 0.0)
    np.testing.assert_allclose(v, 1.0 / (2.0 * kappa), rtol=1e-14)
    np.testing.assert_allclose(phi, 0.5 ** (3.0 * 365 / 5.0), rtol=1e-12)


def test_half_of_a_deviation_is_left_after_a_half_life():
    for half_life in (0.5, 7.0, 300.0):
        own = {"half_life": np.array([half_life])}
        phi, _ = transition(OrnsteinUhlenbeck(), own, 2.0, 2.0 - half_life / 365)
        np.testing.assert_allclose(phi, 0.5, rtol=1e-13)


# ------------------------------------------------------------------------------ arithmetic


@every_law
def test_draws_of_parameters_broadcast_against_moves(law):
    start, _, end = times(7)
    own = arguments(law, (4, 3, 1))
    phi, v = transition(law, own, start, end)
    assert phi.shape == v.shape == ((4, 3, 7) if law.parameters else (7,))
    one = {name: value[2, 1] for name, value in own.items()}
    for all_draws, alone in zip((phi, v), transition(law, one, start, end), strict=True):
        np.testing.assert_allclose(np.broadcast_to(all_draws, (4, 3, 7))[2, 1], alone, rtol=1e-14)


@every_law
def test_numpy_and_pytensor_evaluate_the_same_law(law):
    start, _, end = times(50)
    steps, own = Steps.between(start, end), arguments(law, 50)
    symbols = {name: pt.dvector(name) for name in own}
    outputs = [pt.as_tensor(x) for x in law.transition(symbols, steps, pt)]
    code = pytensor.function(list(symbols.values()), outputs, mode="FAST_COMPILE")
    for compiled, plain in zip(code(*own.values()), law.transition(own, steps, np), strict=True):
        np.testing.assert_allclose(compiled, plain, rtol=1e-12)


@every_law
def test_numpy_and_jax_evaluate_the_same_law(law):
    jax = pytest.importorskip("jax", reason="JAX is not installed: pip install bayesbasis[jax]")
    start, _, end = times(50)
    steps, own = Steps.between(start, end), arguments(law, 50)
    with jax.enable_x64(True):
        given = {name: jax.numpy.asarray(value) for name, value in own.items()}
        traced = jax.jit(lambda p: law.transition(p, steps, jax.numpy))(given)
    for compiled, plain in zip(traced, law.transition(own, steps, np), strict=True):
        np.testing.assert_allclose(compiled, plain, rtol=1e-12)


EXTREMES = {
    "half_life": [1e-2, 1.0, 30.0, 1e4, 1e9],
    "anchor": [1e-3, 0.5, 0.5 + 1e-12, 1.0, 20.0],
    "volatility_exponent": [-0.5, 0.0, 0.5, 1.0, 1.5],
    "slack": [1e-9, 1e-3, 1.0, 50.0, 1e4],
}


@every_law
def test_values_and_gradients_are_finite_at_the_edges_of_the_priors(law):
    """From moves of a minute to those of many years, which score a contract's first quote."""
    start = [0.5 + MINUTE, 2 * MINUTE, 7.0, 7.0, 30.0]
    steps = Steps.between(start, [0.5, MINUTE, 1e-3, MINUTE, 5.0])
    grids = np.meshgrid(*(EXTREMES[name] for name in law.parameters))
    own = {n: grid.reshape(-1, 1) for n, grid in zip(law.parameters, grids, strict=True)}
    symbols = {name: pt.dcol(name) for name in own}
    phi, v = (pt.as_tensor(x) for x in law.transition(symbols, steps, pt))
    total = phi.sum() + v.sum() + sum(x.sum() for x in symbols.values())
    slopes = pytensor.grad(total, list(symbols.values()))
    code = pytensor.function(list(symbols.values()), [phi, v, *slopes], mode="FAST_COMPILE")
    phi, v, *slopes = code(*own.values())
    assert ((phi >= 0) & (phi <= 1)).all()
    assert ((v > 0) & np.isfinite(v)).all()
    assert np.isfinite(slopes).all()


def test_decay_and_its_slope_are_exact_across_zero():
    speed = np.concatenate([-(10.0 ** -np.arange(0.0, 12)), [0.0], 10.0 ** -np.arange(0.0, 12)])
    x = pt.dvector()
    value = decay(x, 2.0, pt)
    code = pytensor.function([x], [value, pytensor.grad(value.sum(), x)], mode="FAST_COMPILE")
    found, slope = code(speed)
    # By the series in exact rational steps: ∫ e^{-ku} du and ∫ -u e^{-ku} du over [0, 2].
    points, weights = np.polynomial.legendre.leggauss(30)
    u = 1.0 + points
    inside = weights * np.exp(-speed[:, None] * u)
    np.testing.assert_allclose(found, inside.sum(1), rtol=1e-14)
    np.testing.assert_allclose(slope, -(u * inside).sum(1), rtol=1e-11)


def test_laws_are_registered_under_their_names():
    assert {name: law.name for name, law in LAWS.items()} == {name: name for name in LAWS}
    for law in LAWS.values():
        assert set(law.parameters) <= set(Priors.__dataclass_fields__)
        assert len(law.equations) >= 3
