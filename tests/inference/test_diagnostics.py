import arviz as az
import numpy as np
import pytest
import xarray as xr

import bayesbasis as bb

CHAINS, DRAWS = 4, 1000


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def tree(half_life, stay=None, **stats):
    """Make a tree with one parameter by underlying and one by regime."""
    chains, draws = half_life.shape[:2]
    stay = noise(chains, draws, 2, seed=1) if stay is None else stay
    healthy = {
        "diverging": np.zeros((chains, draws), bool),
        "reached_max_treedepth": np.zeros((chains, draws), bool),
        "energy": noise(chains, draws, seed=2),
    }
    return xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset(
                {
                    "half_life": (("chain", "draw", "underlying"), half_life),
                    "stay": (("chain", "draw", "regime"), stay),
                },
                {"underlying": ["BTC"], "regime": [1, 2]},
            ),
            "sample_stats": xr.Dataset(
                {name: (("chain", "draw"), value) for name, value in (healthy | stats).items()}
            ),
        }
    )


@pytest.fixture
def good():
    return noise(CHAINS, DRAWS, 1)


def test_a_good_posterior_has_no_problems(good):
    diagnosis = bb.diagnose(tree(good))
    assert diagnosis.ok
    assert diagnosis.problems == ()
    assert diagnosis.table.index.tolist() == ["half_life[BTC]", "stay[1]", "stay[2]"]
    assert str(diagnosis).startswith("converged: R-hat at most 1.00")
    assert "over 3 scalars, 0 divergences" in str(diagnosis)


def test_the_table_is_that_of_arviz(good):
    table = bb.diagnose(tree(good)).table
    for name, function in {
        "r_hat": az.rhat,
        "ess_bulk": az.ess,
        "ess_tail": lambda x: az.ess(x, method="tail"),
    }.items():
        expected = function(xr.Dataset({"x": (("chain", "draw"), good[..., 0])}))["x"].item()
        np.testing.assert_allclose(table.loc["half_life[BTC]", name], expected, rtol=1e-12)


def test_a_chain_that_disagrees_is_named(good):
    good[3] += 3.0
    diagnosis = bb.diagnose(tree(good))
    worst = az.rhat(xr.Dataset({"x": (("chain", "draw"), good[..., 0])}))["x"].item()
    assert diagnosis.problems[0] == (
        f"chains disagree on half_life[BTC] ({worst:.3f}) (R-hat above 1.01): draw and tune for "
        "longer; if it stays, use fewer regimes or narrower priors"
    )
    assert not diagnosis.ok
    assert str(diagnosis).startswith("not to be trusted yet: ")
    assert str(diagnosis).splitlines()[1] == f"- {diagnosis.problems[0]}"
    assert not any("stay[" in problem for problem in diagnosis.problems)


def test_few_draws_are_named_by_centre_and_tails():
    few = tree(noise(CHAINS, 60, 1))
    diagnosis = bb.diagnose(few)
    for column, part in (("ess_bulk", "centre"), ("ess_tail", "tails")):
        rows = diagnosis.table[column].sort_values()
        named = ", ".join(f"{name} ({value:.0f})" for name, value in rows.items())
        expected = f"the {part} of {named} rest on fewer than 400 effective draws: take more draws"
        assert expected in diagnosis.problems


def test_at_most_three_parameters_are_named_and_the_others_counted(good):
    stuck = noise(CHAINS, DRAWS, 5, seed=3) + 4.0 * np.arange(CHAINS)[:, None, None]
    fit = tree(good)
    fit["posterior"] = xr.DataTree(
        xr.Dataset({"carry": (("chain", "draw", "contract"), stuck)}, {"contract": list("abcde")})
    )
    first = bb.diagnose(fit).problems[0]
    assert first.count("carry[") == 3
    assert " and 2 more (R-hat above 1.01)" in first


def test_divergences_are_counted(good):
    diverging = np.zeros((CHAINS, DRAWS), bool)
    diverging[1, [5, 900]] = True
    diagnosis = bb.diagnose(tree(good, diverging=diverging))
    assert diagnosis.divergences == 2
    (problem,) = diagnosis.problems
    assert problem.startswith(
        "2 divergent transitions: a region of the posterior may be missing; refit with sampler="
    )


def test_trees_at_the_limit_are_a_problem_above_one_in_twenty(good):
    at_limit = np.zeros((CHAINS, DRAWS), bool)
    at_limit[:, : DRAWS // 20] = True
    assert bb.diagnose(tree(good, reached_max_treedepth=at_limit)).ok
    at_limit[:, : DRAWS // 10] = True
    diagnosis = bb.diagnose(tree(good, reached_max_treedepth=at_limit))
    assert diagnosis.depth_share == 0.1
    assert diagnosis.problems == (
        '10 % of draws ran into the maximum tree depth: refit with sampler={"maxdepth": 12}, or '
        "narrow a prior that the data do not inform",
    )


def test_slow_energy_is_a_problem(good):
    energy = noise(CHAINS, DRAWS, seed=4)
    energy[2] = np.cumsum(energy[2])
    diagnosis = bb.diagnose(tree(good, energy=energy))
    slow = np.sum(np.diff(energy[2]) ** 2) / np.sum((energy[2] - energy[2].mean()) ** 2)
    np.testing.assert_allclose(diagnosis.bfmi[2], slow, rtol=0.01)
    assert diagnosis.problems == (
        f"energy moves slowly (E-BFMI {slow:.2f}, below 0.3): tune for longer, or narrow the "
        "priors of the spreads (carry_between_contracts, between_underlyings)",
    )


def test_one_chain_cannot_be_checked(good):
    diagnosis = bb.diagnose(tree(good[:1]))
    assert diagnosis.problems == (
        "one chain cannot be checked against another: run at least 4 chains",
    )


@pytest.mark.parametrize("draws", ["missing", "constant", "too few"])
def test_draws_that_cannot_be_diagnosed_are_a_problem(good, draws):
    if draws == "missing":
        good[1, 7] = np.nan
    elif draws == "constant":
        good[:] = 1.0
    else:
        good = good[:, :3]
    problems = bb.diagnose(tree(good)).problems
    assert any("no diagnosis of half_life[BTC]" in problem for problem in problems)


def test_a_sampler_without_statistics_can_be_diagnosed(good):
    fit = tree(good)
    bare = fit["sample_stats"].to_dataset()[["diverging"]]
    fit["sample_stats"] = xr.DataTree(bare.rename(diverging="other"))
    diagnosis = bb.diagnose(fit)
    assert diagnosis.ok
    assert (diagnosis.divergences, diagnosis.depth_share, diagnosis.bfmi) == (0, 0.0, ())
