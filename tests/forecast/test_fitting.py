"""Facts about what takes a model: a `Spec`, or a card's name or path."""

import pytest
import xarray as xr

import bayesbasis as bb

VERBS = {
    "fit": lambda model, panel: bb.fit(model, panel, seed=1),
    "build": bb.build,
    "prior_bands": lambda model, panel: bb.prior_bands(model, panel, seed=1),
    "save_card": lambda model, panel: bb.save_card(model, "mine.toml"),
    "fit_funding": lambda model, history: bb.fit_funding(model, history, seed=1),
}


def test_a_model_may_be_given_by_the_name_or_the_path_of_its_card(panel, tmp_path):
    spec, path = bb.load_card("ou"), tmp_path / "ou.toml"
    bb.save_card("ou", path)
    assert bb.load_card(spec) is spec
    run = {"draws": 2, "tune": 2, "chains": 1, "seed": 1, "progress": False, "hindcasts": False}
    fits = [bb.fit(model, panel, **run) for model in (spec, "ou", path)]
    for fit in fits[1:]:
        assert fit.attrs["card"] == fits[0].attrs["card"]
        xr.testing.assert_equal(fit["posterior"].to_dataset(), fits[0]["posterior"].to_dataset())
    bands = [bb.prior_bands(model, panel, seed=1, draws=5) for model in (spec, "ou", path)]
    assert all(other.identical(bands[0]) for other in bands[1:])
    assert bb.build("ou", panel).named_vars.keys() == bb.build(spec, panel).named_vars.keys()


@pytest.mark.parametrize("verb", VERBS)
def test_a_name_that_no_card_has_is_refused_as_load_card_refuses_it(panel, verb):
    load = bb.load_funding_card if verb == "fit_funding" else bb.load_card
    with pytest.raises(ValueError, match="card is named 'anchord'") as wanted:
        load("anchord")
    with pytest.raises(type(wanted.value)) as got:
        VERBS[verb]("anchord", panel)
    assert str(got.value) == str(wanted.value)


@pytest.mark.parametrize("verb", VERBS)
def test_what_is_no_model_is_refused_by_its_type(panel, verb):
    wrong, wanted = bb.FundingSpec(), "a model is a Spec, the name of a card or the path to one"
    if verb == "fit_funding":
        wrong = bb.Spec()
        wanted = "a funding model is a FundingSpec, the name of a funding card or the path to one"
    with pytest.raises(TypeError) as got:
        VERBS[verb](wrong, panel)
    assert str(got.value) == f"{wanted}; got {type(wrong).__name__}"
