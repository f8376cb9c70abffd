"""Facts about specifications."""

from dataclasses import FrozenInstanceError, fields, replace

import pytest

from bayesbasis.model.priors import Normal, Priors
from bayesbasis.model.spec import Pooling, Spec
from bayesbasis.process.laws import OrnsteinUhlenbeck
from bayesbasis.process.regimes import Regimes
from bayesbasis.process.shocks import Shocks

CHANGES = {
    "law": OrnsteinUhlenbeck(),
    "regimes": Regimes(2),
    "shocks": Shocks("gaussian"),
    "pooling": Pooling(venues=False),
    "priors": Priors(carry_mean=Normal(0.0, 1.0)),
}


def test_a_spec_is_a_value():
    assert Spec() == Spec()
    assert {Spec(), Spec()} == {Spec()}
    assert {Spec(): "found"}[Spec(regimes=Regimes(3))] == "found"


@pytest.mark.parametrize("part", CHANGES)
def test_each_part_tells_specs_apart(part):
    changed = replace(Spec(), **{part: CHANGES[part]})
    assert changed != Spec()
    assert len({changed, Spec()}) == 2
    assert replace(changed, **{part: getattr(Spec(), part)}) == Spec()


@pytest.mark.parametrize("label", ["name", "summary"])
def test_what_a_spec_is_called_does_not_change_what_it_is(label):
    named = replace(Spec(), **{label: "other"})
    assert named == Spec()
    assert hash(named) == hash(Spec())
    assert getattr(named, label) == "other"


@pytest.mark.parametrize("name", [field.name for field in fields(Spec)])
def test_a_spec_cannot_be_changed_in_place(name):
    with pytest.raises(FrozenInstanceError):
        setattr(Spec(), name, None)


@pytest.mark.parametrize("count", [0, -1])
def test_a_model_has_a_regime(count):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the whole message is below
        Regimes(count)
    assert str(error.value) == f"regimes.count is {count}; a model needs at least one regime"


def test_regimes_are_shared_by_an_underlying_a_venue_or_the_market():
    with pytest.raises(ValueError) as error:  # noqa: PT011
        Regimes(shared_by="contract")
    assert str(error.value) == (
        "regimes.shared_by is 'contract'; choose 'underlying', 'venue' or 'market'"
    )


def test_shocks_are_student_t_or_gaussian():
    with pytest.raises(ValueError) as error:  # noqa: PT011
        Shocks("cauchy")
    assert str(error.value) == "shocks.distribution is 'cauchy'; choose 'student-t' or 'gaussian'"
