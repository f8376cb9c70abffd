"""Pure mathematics: laws, equilibria, regimes, shocks, the filter and simulation."""
