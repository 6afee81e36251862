"""The paper's experiments: its models, runs, tables and figures."""
