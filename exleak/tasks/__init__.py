"""The datasets as tasks of other evaluation tools, which generate and show the rates themselves.

lm-evaluation-harness reads a folder that :func:`exleak.tasks.lm_eval.export` writes; Inspect finds
:mod:`exleak.tasks.inspect_ai` by its entry point.
"""
