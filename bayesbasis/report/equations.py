"""A model's equations, for reading in a terminal."""

from bayesbasis.model.spec import APART, Drivers, Spec


def equations(spec: Spec) -> list[tuple[str, tuple[str, ...]]]:
    """Write a model down as mathematics, part by part.

    Parameters
    ----------
    spec : Spec
        The model.

    Returns
    -------
    list of (str, tuple of str)
        Name of each part, and its lines.

    Examples
    --------
    >>> dict(equations(Spec()))["basis"]
    ('b = ln(F/S) = θ + z,  τ = T - t in years,  Δ = τ0 - τ1',)
    """
    return [
        ("basis", ("b = ln(F/S) = θ + z,  τ = T - t in years,  Δ = τ0 - τ1",)),
        ("equilibrium", spec.equilibrium.equations),
        ("law", (*spec.law.equations, "E[z1] = φ z0,  Var[z1] = σ² v")),
        ("volatility", _volatility(spec)),
        *([("drivers", _drivers(spec))] if spec.drivers != Drivers() else []),
        ("quotes", _quotes(spec)),
        *([("spot", _spot(spec))] if spec.spot is not None else []),
        ("pooling", _pooling(spec)),
    ]


def _volatility(spec: Spec) -> tuple[str, ...]:
    regimes = spec.regimes
    owner = {"market": "the market"}.get(regimes.shared_by, f"each {regimes.shared_by}")
    if regimes.volatility == "stochastic":
        return (
            "ln σ is Ornstein-Uhlenbeck in time,",
            f"on a grid of {regimes.count} points; one path for {owner}",
        )
    if regimes.count == 1:
        return ("σ: one, throughout",)
    names = " < ".join(f"σ{k}" for k in range(1, regimes.count + 1))
    return (
        f"σ = σk,  {names};  P(k → j in Δt) = [e^(A Δt)]kj,  -1/Akk = stay in k",
        f"one chain of regimes for {owner}",
        *(
            ["κ = κk: deviations close in each regime at its own speed"]
            if regimes.has_speeds
            else []
        ),
    )


def _drivers(spec: Spec) -> tuple[str, ...]:
    lines = []
    if spec.drivers.speed:
        lines.append(f"κ = κ0 exp(xᵀβ),  x = {', '.join(spec.drivers.speed)} where a move starts")
    if spec.drivers.stay:
        lines.append(f"stay in k = s_k exp(xᵀβ_k),  x = {', '.join(spec.drivers.stay)}")
    return tuple(lines)


def _quotes(spec: Spec) -> tuple[str, ...]:
    shape = {
        "student-t": "multivariate Student-t(ν)",
        "gaussian": "Gaussian",
    }[spec.shocks.distribution]
    shared = "moves" if spec.shocks.noise == "own" else "shocks"
    own = ", each quote's own" if spec.shocks.noise == "own" else ""
    return (
        f"quote = z + noise,  noise variance σ² f{own}",
        f"{shared} of one underlying at one time: {shape}, correlation ρ",
    )


def _spot(spec: Spec) -> tuple[str, ...]:
    owner = "sk, ρk" if spec.regimes.count > 1 else "s, ρ"
    return (
        "ln(S1/S0) = s √(w Δ) (ρ B + √(1 - ρ²) ε),  B = mean shock of the curve",
        f"{owner} of the regime, regimes and w (tails) those of the basis",
    )


def _pooling(spec: Spec) -> tuple[str, ...]:
    pooling, quantity = spec.pooling, spec.equilibrium.quantity
    above = [*(["kind"] if pooling.kinds else []), *(["venue"] if pooling.venues else [])]
    levels = ["contract", "underlying", *above, "market"]
    lines = [f"{quantity}: {' around '.join(levels)}"]
    lines += [f"{name}: one for all underlyings" for name in pooling.shared]
    lines += [f"{name}: each underlying its own" for name in pooling.independent]
    for level in APART:
        names = [name for of, name in pooling.offsets if of == level]
        lines += [f"{', '.join(names)}: of a {level}, beside its underlying's"] if names else []
    return tuple(lines)
