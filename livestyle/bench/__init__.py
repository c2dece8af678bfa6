"""The bench: how fast the engine, video jobs and the live loop are here, beside peers and the machine's own ceiling."""
