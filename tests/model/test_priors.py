"""Facts about priors."""

from dataclasses import fields

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from scipy.special import ndtr

from bayesbasis.model.priors import DISTRIBUTIONS, LogitNormal, LogNormal, Normal, Priors

PRIORS = {
    "normal": Normal(-3.0, 7.0),
    "lognormal": LogNormal(20.0, 4.0),
    "lognormal above two": LogNormal(6.0, 1.5, 2.0),
    "lognormal above minus two": LogNormal(-1.0, 3.0, -2.0),
    "logit-normal": LogitNormal(0.3, 1.5),
    "logit-normal between": LogitNormal(0.5, 1.0, -0.5, 1.5),
}
DEFAULTS = {field.name: getattr(Priors(), field.name) for field in fields(Priors)}
NORMALS = np.linspace(-5.0, 5.0, 101)

every_prior = pytest.mark.parametrize(
    "prior", [*PRIORS.values(), *DEFAULTS.values()], ids=[*PRIORS, *DEFAULTS]
)


def median(prior):
    return prior.mean if isinstance(prior, Normal) else prior.median


def support(prior):
    return getattr(prior, "lower", -np.inf), getattr(prior, "upper", np.inf)


def seen_through(prior, standard_normal):
    return prior.natural(prior.location + prior.scale * np.asarray(standard_normal), np)


def free(prior, value):
    """Undo `natural`, each distribution by its definition."""
    lower, upper = support(prior)
    if isinstance(prior, LogNormal):
        return np.log(value - lower)
    if isinstance(prior, LogitNormal):
        share = (value - lower) / (upper - lower)
        return np.log(share) - np.log1p(-share)
    return value


@every_prior
def test_the_centre_of_the_free_scale_is_the_median(prior):
    np.testing.assert_allclose(prior.natural(prior.location, np), median(prior), rtol=1e-14)


@every_prior
def test_the_map_rises(prior):
    assert (np.diff(seen_through(prior, NORMALS)) > 0).all()


@every_prior
def test_the_inverse_of_the_map_gives_back_the_free_scale(prior):
    scale = prior.location + prior.scale * NORMALS
    # In units of the prior's own spread; close to a bound the value itself has lost the digits.
    error = (free(prior, prior.natural(scale, np)) - scale) / prior.scale
    np.testing.assert_allclose(error, 0.0, atol=1e-10)


@every_prior
def test_the_support_is_respected_forty_deviations_out(prior):
    lower, upper = support(prior)
    values = seen_through(prior, np.array([-40.0, -5.0, 5.0, 40.0]))
    assert np.isfinite(values).all()
    assert (values >= lower).all()
    assert (values <= upper).all()
    assert (values[1:3] > lower).all()
    assert (values[1:3] < upper).all()


def test_one_deviation_means_what_the_prior_says():
    np.testing.assert_allclose(seen_through(Normal(5.0, 20.0), 1.0), 25.0)
    np.testing.assert_allclose(seen_through(LogNormal(20.0, 4.0), [-1.0, 1.0]), [5.0, 80.0])
    np.testing.assert_allclose(seen_through(LogNormal(6.0, 2.0, 2.0), [-1.0, 1.0]), [4.0, 10.0])
    odds = 0.3 / 0.7 * np.exp(1.5)
    np.testing.assert_allclose(seen_through(LogitNormal(0.3, 1.5), 1.0), odds / (1.0 + odds))


@every_prior
def test_quantiles_of_the_normal_are_quantiles_of_the_parameter(prior):
    draws = seen_through(prior, np.random.default_rng(0).standard_normal(20_000))
    for z in (-1.5, 0.0, 1.5):
        share = (draws <= seen_through(prior, z)).mean()
        np.testing.assert_allclose(share, ndtr(z), atol=0.012)


def test_numpy_and_pytensor_agree():
    scale = pt.dvector()
    code = pytensor.function(
        [scale], [prior.natural(scale, pt) for prior in PRIORS.values()], mode="FAST_COMPILE"
    )
    values = np.linspace(-8.0, 8.0, 33)
    for prior, seen in zip(PRIORS.values(), code(values), strict=True):
        np.testing.assert_allclose(seen, prior.natural(values, np), rtol=1e-14)


def test_draws_keep_their_shape():
    for prior in PRIORS.values():
        assert np.shape(prior.natural(np.zeros((4, 3, 2)), np)) == (4, 3, 2)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_every_distribution_is_registered_under_its_name(name):
    assert DISTRIBUTIONS[name].name == name


def test_defaults_stay_where_the_parameter_can_be():
    above_zero = set(DEFAULTS) - {
        "carry_mean",
        "level_mean",
        "jump",
        "coefficient",
        "speed_coefficient",
        "stay_coefficient",
        "volatility_exponent",
        "correlation",
    }
    for name in above_zero:
        assert support(DEFAULTS[name])[0] >= 0.0, name
    assert support(DEFAULTS["volatility_ratio"])[0] >= 1.0  # regimes are ordered
    assert support(DEFAULTS["volatility_exponent"])[0] >= -0.5  # the spread vanishes at expiry
    assert support(DEFAULTS["correlation"]) == (0.0, 1.0)  # of any number of contracts


@pytest.mark.parametrize(
    ("distribution", "values", "message"),
    [
        (Normal, (0.0, 0.0), "a normal prior needs sd > 0, got 0"),
        (Normal, (0.0, -1.0), "a normal prior needs sd > 0, got -1"),
        (Normal, (0.0, float("nan")), "a normal prior needs sd > 0, got nan"),
        (LogNormal, (0.0, 2.0), "a lognormal prior needs median - lower > 0, got 0"),
        (LogNormal, (1.0, 2.0, 3.0), "a lognormal prior needs median - lower > 0, got -2"),
        (LogNormal, (1.0, 1.0), "a lognormal prior needs factor - 1 > 0, got 0"),
        (LogNormal, (1.0, 0.25), "a lognormal prior needs factor - 1 > 0, got -0.75"),
        (LogitNormal, (0.0, 1.0), "a logit-normal prior needs median - lower > 0, got 0"),
        (LogitNormal, (1.5, 1.0), "a logit-normal prior needs upper - median > 0, got -0.5"),
        (LogitNormal, (0.5, 0.0), "a logit-normal prior needs spread > 0, got 0"),
        (
            LogitNormal,
            (0.5, 1.0, 1.0, 0.0),
            "a logit-normal prior needs median - lower > 0, got -0.5",
        ),
    ],
)
def test_an_impossible_prior_is_refused(distribution, values, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the whole message is compared
        distribution(*values)
    assert str(error.value) == message
