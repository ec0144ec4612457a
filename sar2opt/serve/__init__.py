"""The dashboard: tiles, vectors, a STAC catalogue and one web page over finished products."""
