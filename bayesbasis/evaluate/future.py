"""Leave-future-out: densities of what came after, under what was known before."""

import numpy as np
import xarray as xr
from scipy.special import logsumexp

from bayesbasis.data.panel import families, known_at, select
from bayesbasis.forecast.population import offsets_of_members
from bayesbasis.inference.draws import natural_draws
from bayesbasis.inference.states import pointwise
from bayesbasis.model.cards import read_card
from bayesbasis.model.layout import lay_out
from bayesbasis.model.levels import LEVELS, listing_population
from bayesbasis.model.spec import Spec


def leave_future_out(
    fit: xr.DataTree, panel: xr.Dataset, end: np.datetime64, *, seed: int
) -> xr.DataArray:
    r"""Log predictive density of the quotes between the last one of a fit and an instant.

    .. math:: \ln p(y_t \mid y_{<t}) = \ln \frac{\sum_d w_d\, p_d(y_t \mid y_{<t})}{\sum_d w_d},
              \qquad w_d = \prod_{s < t} p_d(y_s \mid y_{<s})

    over the posterior draws d of the fit and the quotes s after it: the chain rule of their joint
    density, which `arviz.lfo_cv` scores too. Parameters thus go on learning as quotes come in.

    Parameters
    ----------
    fit : xarray.DataTree
        Of the quotes known at the origin.
    panel : xarray.Dataset
        Those and newer quotes; contracts listed since draw what they have of their own from the
        population.
    end : numpy.datetime64
        Last instant to score.
    seed : int
        Seed of those draws.

    Raises
    ------
    ValueError
        If quotes are of a venue, or a kind, that the fit does not know and whose own parameters
        would tell.

    Returns
    -------
    xarray.DataArray
        By event (coords ``event_time``, ``event_underlying``, ``event_size``), in nats. Its sum is
        the expected log predictive density of the window.

    References
    ----------
    Bürkner, Gabry & Vehtari (2020), doi 10.1080/00949655.2020.1783262.
    """
    spec = read_card(fit.attrs["card"])
    fitted = fit["constant_data"].to_dataset()
    later = _of_families(known_at(panel, end), families(fitted))
    _refuse_strangers(spec, later, fitted)
    posterior = _with_listings(spec, fit["posterior"].to_dataset(), later, seed)
    density = pointwise(spec, lay_out(spec, later, fitted), posterior)["basis"]
    learned = fitted["time"].values.max()
    new = density.isel(event=np.flatnonzero(density["event_time"].values > learned))
    # Underlyings stand one after another; quotes come in order of time.
    new = new.isel(event=np.argsort(new["event_time"].values, kind="stable"))
    stacked = new.stack(sample=("chain", "draw")).transpose("sample", "event")
    total = logsumexp(np.cumsum(stacked.values, axis=1), axis=0) - np.log(len(stacked))
    attrs = {"units": "1", "long_name": "log predictive density of the quotes of an event"}
    own = {name: new[name] for name in ("event_time", "event_underlying", "event_size")}
    return xr.DataArray(np.diff(total, prepend=0.0), own, ("event",), "elpd", attrs)


def _refuse_strangers(spec: Spec, later: xr.Dataset, fitted: xr.Dataset) -> None:
    """Refuse members of levels that nothing is known of; underlyings are left out by themselves."""
    for level in dict.fromkeys(level for level, _ in spec.pooling.offsets if level != "contract"):
        known, there = (sorted(set(x[level].values.astype(str))) for x in (fitted, later))
        if known != there:
            raise ValueError(
                f"later quotes are of the {level}s {', '.join(there)}, the fit knows "
                f"{', '.join(known)}; leave the others out"
            )


def _of_families(panel: xr.Dataset, names: np.ndarray) -> xr.Dataset:
    """Leave out what the fit knows nothing of."""
    known = np.isin(families(panel), names)
    return select(panel, known[panel["contract_index"].values])


def _with_listings(spec: Spec, posterior: xr.Dataset, panel: xr.Dataset, seed: int) -> xr.Dataset:
    """Draw what contracts that the fit does not know have of their own from its population."""
    quantity = spec.equilibrium.quantity
    names = panel["contract"].values.astype(str)
    place = {name: row for row, name in enumerate(posterior["contract"].values.astype(str))}
    fitted = posterior[quantity].transpose("chain", "draw", "contract").values
    normal = np.random.default_rng(seed).standard_normal((*fitted.shape[:2], len(names)))
    values = {str(name): draws.values for name, draws in posterior.items()} | {quantity: fitted}
    mean, spread = listing_population(spec, values)
    own = mean[..., None] + spread[..., None] * normal
    belongs = {"underlying": families(panel)}
    for level in LEVELS:
        if f"{quantity}_{level}" in posterior:
            labels = posterior[level].values.astype(str).tolist()
            members = [labels.index(str(name)) for name in belongs.get(level, panel[level].values)]
            offset = posterior[f"{quantity}_{level}"].transpose("chain", "draw", level)
            own += offset.values[..., members]
    seen = np.array([name in place for name in names])
    own[..., seen] = fitted[..., [place[name] for name in names[seen]]]
    rows, rng = np.array([place.get(name, -1) for name in names]), np.random.default_rng([seed, 1])
    offsets = offsets_of_members(spec, natural_draws(spec, posterior), "contract", rows, rng)
    drawn = {quantity: own} | {n: x.reshape(own.shape) for n, x in offsets.items()}
    rest = posterior.drop_dims("contract").assign_coords(contract=names)
    return rest.assign({name: (("chain", "draw", "contract"), x) for name, x in drawn.items()})
