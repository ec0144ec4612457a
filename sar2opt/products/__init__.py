"""What leaves: GeoTIFFs, vector layers, STAC item, preview and report of a finished scene.

``facts`` is what all of them say of the run, ``folder`` where they go and how all appear at once.
"""
