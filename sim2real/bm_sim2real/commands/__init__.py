"""The commands of `bm` that need no training environment. A module here imports nothing heavy before it is called."""
