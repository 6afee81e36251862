"""The gate, which turns rates into a verdict: limits, rules, baselines, checkpoint series."""
