"""The human check: do people see what the automatic rate says?

``exleak annotate export`` hands out pairs of sentences blindly, ``exleak annotate agreement``
reads what annotators sent back. Data runs one way: run → sample → items and key → answers →
agreement among people → agreement with the machine → report.
"""
