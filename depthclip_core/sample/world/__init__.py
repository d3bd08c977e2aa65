"""For maintainers: render the sample's frames and pretrain its CLIP.

Nothing outside this folder imports it. It needs the extra `render`: `trimesh`, `embreex` and
`pyoxipng`.
"""
