"""The maintainer's workshop: it renders the sample's frames and pretrains its CLIP.

Nothing outside this folder imports it. It needs `trimesh`, `embreex` and `pyoxipng`, the extra
`render`.
"""
