"""Reports in pull requests: a comment that each run updates, by GitHub's REST API."""
