"""CLIP: images to cells, words to vectors. The only room that loads open_clip."""
