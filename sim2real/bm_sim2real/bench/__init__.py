"""How long things take on this machine, each beside a bare loop that does as little as possible."""
