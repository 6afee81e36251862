"""The paper's experiments: its models, its published numbers, its tables and figures."""
