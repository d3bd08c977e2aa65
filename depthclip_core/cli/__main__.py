"""`python -m depthclip_core.cli`: the command `depthclip`."""

from depthclip_core.cli.main import main

if __name__ == "__main__":
    main()
