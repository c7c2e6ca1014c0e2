"""How good clusters are, by what is known of their faces: measures, thresholds, truth, the thesis's figures; pure."""
