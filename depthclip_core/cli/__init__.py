"""The command `depthclip`."""
