"""The doctor: what this machine can do, and what mends the rest; each check really runs what it speaks of."""
