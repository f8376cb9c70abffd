from .data.cleaning import Cleaning as Cleaning
from .data.market import Market as Market
from .data.market import simulate_market as simulate_market
from .data.panel import known_at as known_at
from .data.panel import make_panel as make_panel
from .data.panel import panel_hash as panel_hash
from .data.prices import read_prices as read_prices
from .evaluate.scores import crps as crps
from .evaluate.scores import energy_score as energy_score
from .evaluate.scores import log_score as log_score
from .evaluate.scores import score as score
from .forecast.convergence import convergence as convergence
from .forecast.intervals import bands as bands
from .forecast.passage import half_life as half_life
from .forecast.paths import forecast as forecast
from .forecast.valuation import mispricing as mispricing
from .inference.diagnostics import diagnose as diagnose
from .inference.sampling import fit as fit
from .inference.states import filter_states as filter_states
from .inference.storage import load as load
from .inference.storage import save as save
from .model.cards import list_cards as list_cards
from .model.cards import load_card as load_card
from .model.cards import save_card as save_card
from .model.graph import build as build
from .model.spec import Spec as Spec

__version__: str
