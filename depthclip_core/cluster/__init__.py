"""Passes, sweeps and notebooks on many processes or machines, by dask.distributed."""
