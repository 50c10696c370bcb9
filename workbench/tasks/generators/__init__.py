"""What makes samples from a seed: one module per idea, each with `make(seed, **options)`.

The words, texts and functions that they draw from are in `workbench/tasks/data/templates`.
"""
