"""From rates to a verdict: limits, rules, baselines and series of checkpoints."""
