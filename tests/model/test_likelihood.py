"""Facts about the filter as a node of the graph."""

import inspect

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

from bayesbasis.data.market import simulate_market
from bayesbasis.data.panel import make_panel
from bayesbasis.model import sweep_op
from bayesbasis.model.filter_inputs import INPUTS
from bayesbasis.model.layout import lay_out
from bayesbasis.model.likelihood import FilterLogLikelihood, kernel_version
from bayesbasis.model.spec import Spec
from bayesbasis.process.adjoint import sweep
from bayesbasis.process.filter import Parameters, Schedule
from bayesbasis.process.regimes import Regimes

RANKS = dict.fromkeys(INPUTS, 1) | {"scale": 2, "rates": 3}


@pytest.fixture(scope="module")
def layout():
    prices, _ = simulate_market(seed=2, quarters=2, listed_days=25)
    panel, _ = make_panel(prices)
    return lay_out(Spec(regimes=Regimes(2)), panel)


@pytest.fixture(scope="module")
def values(layout):
    """Arguments of the Op, none of them special."""
    rng = np.random.default_rng(0)
    easy, hard = (len(moves.elapsed) for moves in layout.moves)
    assert easy > 0
    assert hard > 0
    rates = rng.uniform(5.0, 60.0, (2, 2, 2)) * (1.0 - np.eye(2))
    return {
        "deviation": 0.01 * rng.standard_t(4, len(layout.tau)),
        "phi_easy": rng.uniform(0.8, 1.0, easy),
        "phi_hard": rng.uniform(0.1, 0.5, hard),
        "variance_easy": rng.uniform(0.5, 2.0, easy) / 365,
        "variance_hard": rng.uniform(0.1, 0.5, hard) / 365,
        "noise": np.array([0.1, 0.4]) / 365,
        "correlation": np.array([0.3, 0.8]),
        "tail": np.array([4.0, 9.0]),
        "scale": np.array([[0.05, 0.3], [0.1, 0.4]]),
        "rates": rates - np.eye(2) * rates.sum(-1, keepdims=True),
    }


def symbols():
    return {name: pt.TensorType("float64", (None,) * RANKS[name])(name) for name in INPUTS}


def value_of(layout, given):
    return FilterLogLikelihood()(*layout.schedule, *(given[name] for name in INPUTS))[0]


def compiled(layout, mode):
    """The value and its gradient by every argument, as PyTensor derives it."""
    given = symbols()
    value = value_of(layout, given)
    slopes = pytensor.grad(3.0 * value, list(given.values()))
    return pytensor.function(list(given.values()), [value, *slopes], mode=mode)


@pytest.fixture(scope="module")
def by_numba(layout):
    return compiled(layout, "NUMBA")


def central(function, step):
    def slope(h):
        return (function(h) - function(-h)) / (2.0 * h)

    return (64 * slope(step / 4) - 20 * slope(step / 2) + slope(step)) / 45.0


def kernels_of(layout, values):
    """The same from the kernels alone."""
    joined = {k: v for k, v in values.items() if not k.startswith(("phi", "variance"))}
    for name in ("phi", "variance"):
        joined[name] = np.concatenate([values[f"{name}_easy"], values[f"{name}_hard"]])
    return sweep(layout.schedule, Parameters(**joined))


def test_the_node_gives_what_the_kernels_give(layout, values, by_numba):
    value, *slopes = by_numba(*values.values())
    result = kernels_of(layout, values)
    np.testing.assert_allclose(value, result.value, rtol=1e-14)
    easy = len(values["phi_easy"])
    gradient = result.gradient._asdict()
    for name in ("phi", "variance"):
        gradient[f"{name}_easy"], gradient[f"{name}_hard"] = np.split(gradient[name], [easy])
    for name, slope in zip(INPUTS, slopes, strict=True):
        np.testing.assert_allclose(slope, 3.0 * gradient[name], rtol=1e-12, err_msg=name)


def test_in_python_the_node_gives_what_it_gives_compiled(layout, values, by_numba):
    in_python = compiled(layout, "FAST_COMPILE")
    for name, plain, fast in zip(
        ("value", *INPUTS),
        in_python(*values.values()),
        by_numba(*values.values()),
        strict=True,
    ):
        np.testing.assert_allclose(plain, fast, rtol=1e-12, err_msg=name)
        assert plain.dtype == fast.dtype


def test_the_node_takes_arrays_of_any_kind(layout, values):
    """Integers of 32 bits, as PyMC keeps them, and slices."""
    given = symbols()
    schedule = [
        pt.as_tensor(x.astype(np.int32) if x.dtype == np.int64 else x) for x in layout.schedule
    ]
    sliced = {name: x[..., ::2] if x.ndim == 1 else x for name, x in given.items()}
    value = FilterLogLikelihood()(*schedule, *sliced.values())[0]
    code = pytensor.function(list(given.values()), value, mode="NUMBA")
    doubled = [x.repeat(2) if x.ndim == 1 else x for x in values.values()]
    np.testing.assert_allclose(code(*doubled), kernels_of(layout, values).value, rtol=1e-14)


@pytest.mark.parametrize("name", INPUTS)
def test_the_gradient_through_the_graph_is_a_finite_difference(values, by_numba, name):
    slope = by_numba(*values.values())[1 + INPUTS.index(name)] / 3.0
    rng = np.random.default_rng(INPUTS.index(name))
    for _ in range(3):
        move = rng.standard_normal(values[name].shape)
        move *= np.abs(values[name]) if name != "deviation" else np.abs(values[name]).mean()
        if name == "rates":
            # Rows of a generator stay at zero.
            move *= 1.0 - np.eye(2)
            move -= np.eye(2) * move.sum(-1, keepdims=True)

        def score(h, move=move):
            return float(by_numba(*(values | {name: values[name] + h * move}).values())[0])

        expected = central(score, 0.002)
        np.testing.assert_allclose((slope * move).sum(), expected, rtol=1e-6)


def test_a_gradient_runs_through_whatever_made_the_argument(layout, values, by_numba):
    """Through a map of one number to all scales, and one to all deviations."""
    volatility, level = pt.dscalars("volatility", "level")
    given = {name: pt.as_tensor(value) for name, value in values.items()}
    given["scale"] = pt.exp(volatility) * values["scale"]
    given["deviation"] = values["deviation"] - level * layout.tau
    value = value_of(layout, given)
    code = pytensor.function(
        [volatility, level],
        [value, *pytensor.grad(value, [volatility, level])],
        mode="FAST_COMPILE",
    )
    *_, by_volatility, by_level = code(0.2, 0.03)
    expected = central(lambda h: float(code(0.2 + h, 0.03)[0]), 0.01)
    np.testing.assert_allclose(by_volatility, expected, rtol=1e-6)
    expected = central(lambda h: float(code(0.2, 0.03 + h)[0]), 1e-3)
    np.testing.assert_allclose(by_level, expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["scale", "noise", "deviation"])
def test_second_derivatives_are_refused_by_name(layout, name):
    given = symbols()
    slope = pytensor.grad(value_of(layout, given), given[name])
    with pytest.raises(NotImplementedError, match=f"second derivatives of the filter, by {name}"):
        pytensor.grad(slope.sum(), given[name])


def test_no_gradient_flows_to_the_schedule(layout):
    given = symbols()
    schedule = [pt.as_tensor(x).type(name=n) for n, x in layout.schedule._asdict().items()]
    outputs = FilterLogLikelihood()(*schedule, *given.values())
    node = outputs[0].owner
    pattern = np.array(node.op.connection_pattern(node))
    assert pattern.shape == (len(Schedule._fields) + len(INPUTS), 1 + len(INPUTS))
    np.testing.assert_array_equal(pattern[: len(schedule)], False)
    np.testing.assert_array_equal(pattern[len(schedule) :], True)
    by_gaps = pytensor.grad(
        outputs[0],
        schedule[Schedule._fields.index("gap_length")],
        disconnected_inputs="ignore",
        return_disconnected="none",
    )
    assert by_gaps is None


def test_equal_nodes_are_merged():
    assert FilterLogLikelihood() == FilterLogLikelihood()
    assert hash(FilterLogLikelihood()) == hash(FilterLogLikelihood())


def test_other_kernels_are_another_version(monkeypatch):
    before = kernel_version()
    monkeypatch.setattr(sweep_op, "STAMP", "of other kernels")
    assert kernel_version() != before


def test_another_wrapper_of_the_kernels_is_another_version(monkeypatch):
    before, source = kernel_version(), inspect.getsource
    monkeypatch.setattr(sweep_op.inspect, "getsource", lambda room: source(room) + "# another")
    assert kernel_version() != before


def test_the_version_is_one_number_of_64_bits():
    assert kernel_version() == kernel_version()
    assert 0 <= kernel_version() < 2**64
