"""From a card to a `pm.Model`: priors, specification, cards, likelihood and graph."""
