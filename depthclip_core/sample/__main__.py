"""`python -m depthclip_core.sample`: make the sample data set if it is not there, and say where."""

from depthclip_core.sample.cache import ensure_sample

if __name__ == "__main__":
    print(ensure_sample())
