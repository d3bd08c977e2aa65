"""Scoring: protocols, metrics, baselines, sweeps over partitions, fitting and search."""
