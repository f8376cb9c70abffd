"""Spot as part of a model: its card, its moves, and the node that scores it."""

from dataclasses import replace

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

from bayesbasis.data.market import simulate_market
from bayesbasis.data.panel import make_panel
from bayesbasis.model.cards import load_card, read_card, write_card
from bayesbasis.model.filter_inputs import INPUTS
from bayesbasis.model.hierarchy import filter_inputs, parameters, raw_variables, spot_inputs
from bayesbasis.model.joint_likelihood import SPOT_INPUTS, JointLogLikelihood
from bayesbasis.model.layout import lay_out
from bayesbasis.model.levels import Levels, Members
from bayesbasis.model.priors import Horseshoe, LogNormal
from bayesbasis.model.records import CardError
from bayesbasis.model.spec import Pooling, Spec
from bayesbasis.model.spot import Spot, spot_moves
from bayesbasis.process.filter import Parameters
from bayesbasis.process.joint import Returns, joint_sweep
from bayesbasis.process.regimes import Regimes

TWO = Spec(regimes=Regimes(2), spot=Spot())


def test_a_card_has_a_table_of_spot_if_its_model_has():
    assert read_card("[spot]").spot == Spot()
    wide = replace(TWO, spot=Spot(volatility=LogNormal(80.0, 3.0)))
    assert read_card(write_card(wide)) == wide
    assert read_card(write_card(Spec())).spot is None
    assert "spot]" not in write_card(Spec())
    assert "# % per √year, calmest regime" in write_card(TWO)


def test_the_card_with_spot_is_the_default_but_for_spot():
    card = load_card("anchored-regimes-spot")
    assert card.spot == Spot()
    assert replace(card, spot=None) == load_card("anchored-regimes")


def test_what_spot_cannot_be_is_refused():
    with pytest.raises(CardError) as caught:
        read_card("[spot]\nvolatilty = 3")
    assert str(caught.value) == (
        "card 'unnamed', table [spot]: unknown key 'volatilty'; did you mean 'volatility'? "
        "It takes 'volatility', 'volatility_ratio' or 'correlation'"
    )
    with pytest.raises(ValueError, match="stochastic volatility leave it out") as refused:
        Spec(regimes=Regimes(9, volatility="stochastic"), spot=Spot())
    assert "forecasts learn it afterwards" in str(refused.value)
    with pytest.raises(ValueError, match="volatility of spot has a horseshoe prior"):
        Spot(volatility=Horseshoe(1.0, 1.0))
    with pytest.raises(ValueError, match="'spot_volatility'"):
        Spec(pooling=Pooling(shared=("spot_volatility",)))
    assert Spec(spot=Spot(), pooling=Pooling(shared=("spot_volatility",))).spot == Spot()


def test_moves_of_spot_are_returns_over_the_root_of_their_time():
    time = np.array(["2024-01-01", "2024-01-01", "2024-01-02", "2024-01-05", "2024-01-05"])
    log_spot = np.array([0.0, 5.0, 0.01, 0.07, 5.2])
    owner = np.array([0, 1, 0, 0, 1])
    move = spot_moves(time.astype("datetime64[ns]"), owner, log_spot)
    np.testing.assert_allclose(move[2:], np.sqrt(365 / np.array([1, 3, 4])) * [0.01, 0.06, 0.2])
    assert np.isinf(move[:2]).all()
    again = spot_moves(time[[0, 0]].astype("datetime64[ns]"), np.zeros(2, int), log_spot[:2])
    assert np.isinf(again).all()


def natural_of(spec, levels, seed=0):
    rng, members = np.random.default_rng(seed), Members(*(np.zeros(1, int) for _ in range(3)))
    sizes = {"regime": 2, "higher_regime": 1, "contract": 1}
    raw = {name: rng.standard_normal([sizes[dim] for dim in own])
           for name, own in raw_variables(spec, levels).items()}  # fmt: skip
    return parameters(spec, levels, raw, members, np), raw


def test_spot_is_seen_through_its_own_priors():
    levels = Levels(*(False for _ in Levels.__dataclass_fields__))
    natural, raw = natural_of(TWO, levels)
    calm = 50.0 * 2.5 ** raw["spot_volatility_raw"]
    ratio = 1.5 * 1.6 ** raw["spot_volatility_ratio_raw"]
    np.testing.assert_allclose(natural["spot_volatility"][0], calm * np.append(1.0, ratio))
    tilt = np.tanh(raw["spot_correlation_raw"] / 2)
    np.testing.assert_allclose(natural["spot_correlation"][0], tilt)
    per_root_year = spot_inputs(natural)["volatility"]
    np.testing.assert_allclose(per_root_year, natural["spot_volatility"] / 100)
    one, _ = natural_of(replace(TWO, regimes=Regimes(1)), levels)
    assert "spot_volatility_ratio" not in one


@pytest.fixture(scope="module")
def given():
    """Schedule, moves of spot and arguments of the Op, by the kernels' names and by the Op's."""
    prices, _ = simulate_market(seed=2, underlyings=["BTC"], quarters=2, listed_days=25)
    layout, rng = lay_out(TWO, make_panel(prices)[0]), np.random.default_rng(0)
    natural, _ = natural_of(TWO, layout.levels, 1)
    easy, hard = (len(moves.elapsed) for moves in layout.moves)
    inputs = filter_inputs(TWO, natural, np) | {
        "deviation": 0.01 * rng.standard_t(4, len(layout.tau)),
        "phi": rng.uniform(0.5, 1.0, easy + hard),
        "variance": rng.uniform(0.5, 2.0, easy + hard) / 365,
    }
    p, x = Parameters(**inputs), Returns(layout.spot_move, **spot_inputs(natural))
    for name in ("phi", "variance"):
        inputs[f"{name}_easy"], inputs[f"{name}_hard"] = np.split(inputs.pop(name), [easy])
    return layout.schedule, p, x, inputs | spot_inputs(natural)


def test_the_node_gives_what_the_kernels_give(given):
    schedule, p, x, values = given
    names = INPUTS + SPOT_INPUTS
    symbols = [pt.TensorType("float64", (None,) * np.ndim(values[name]))(name) for name in names]
    value = JointLogLikelihood()(*schedule, x.move, *symbols)[0]
    code = pytensor.function(
        symbols, [value, *pytensor.grad(3.0 * value, symbols)], mode="FAST_COMPILE"
    )
    found, *slopes = code(*(values[name] for name in names))
    result = joint_sweep(schedule, p, x)
    np.testing.assert_allclose(found, result.value, rtol=1e-13)
    gradient = result.gradient._asdict() | result.by_returns._asdict()
    for name, slope in zip(names, slopes, strict=True):
        if "_easy" in name or "_hard" in name:
            easy, hard = np.split(gradient[name[:-5]], [len(values[name[:-5] + "_easy"])])
            expected = easy if name.endswith("easy") else hard
        else:
            expected = gradient[name]
        np.testing.assert_allclose(slope, 3.0 * expected, rtol=1e-12, err_msg=name)
