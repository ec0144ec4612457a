"""The front door: scene files in, rasters of linear power out."""

from sar2opt.scenes.front_door import open_scene, open_with_terrain, scene_files, scene_info

__all__ = ["open_scene", "open_with_terrain", "scene_files", "scene_info"]
