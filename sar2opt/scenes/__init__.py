"""The front door: scene files in, rasters of linear power out."""

from sar2opt.scenes.front_door import open_scene, scene_files, scene_info, terrain_layers

__all__ = ["open_scene", "scene_files", "scene_info", "terrain_layers"]
