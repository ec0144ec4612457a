"""Run by the Python of QGIS: open products headless, say what QGIS makes of them as JSON.

python3 qgis_looks.py FOLDER SCENE PICTURE.png
python3 qgis_looks.py --served ADDRESS SCENE PICTURE.png
python3 qgis_looks.py --run SCRIPT COMMAND SCENE.tif OUT
"""

import importlib.util
import json
import sys

from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProject,
    QgsRasterLayer,
    QgsSingleSymbolRenderer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QSize


def look(folder, scene, picture):
    found = {}
    for name in ("footprint", "objects", "anomalies"):
        layer = QgsVectorLayer(f"{folder}/{scene}.gpkg|layername={name}", name, "ogr")
        items = layer.renderer().legendSymbolItems()
        found[name] = {
            "valid": layer.isValid(),
            "renderer": layer.renderer().type(),
            "legend": [item.label() for item in items],
            "colours": [item.symbol().color().name() for item in items],
            "crs": layer.crs().authid(),
        }
        if name != "footprint":
            layer.setRenderer(QgsSingleSymbolRenderer(items[0].symbol().clone()))
            _, read = layer.loadSldStyle(f"{folder}/{scene}_{name}.sld")
            items = layer.renderer().legendSymbolItems()
            found[name]["sld"] = {
                "read": read,
                "legend": [item.label() for item in items],
                "colours": [item.symbol().color().name() for item in items],
            }
    for name in ("optical", "tags", "trust"):
        layer = QgsRasterLayer(f"{folder}/{scene}_{name}.tif", name)
        legend = [item[0] for item in layer.renderer().legendSymbologyItems()]
        found[name] = {
            "valid": layer.isValid(),
            "renderer": layer.renderer().type(),
            "legend": legend,
            "crs": layer.crs().authid(),
        }
    tags = QgsRasterLayer(f"{folder}/{scene}_tags.tif", "tags")
    draw(tags, tags.extent(), tags.crs(), QSize(tags.width(), tags.height()), picture)
    return found


def draw(layer, extent, crs, size, picture):
    chart = QgsMapSettings()
    chart.setLayers([layer])
    chart.setExtent(extent)
    chart.setDestinationCrs(crs)
    chart.setOutputSize(size)
    job = QgsMapRendererParallelJob(chart)
    job.start()
    job.waitForFinished()
    job.renderedImage().save(picture)


def served(address, scene, picture):
    """Open what the server gives, draw the rasters to PICTURE with _xyz and _wmts in its name."""
    raster = f"{address}/products/{scene}/optical"
    name = f"{scene}_optical_WebMercatorQuad_default"
    sources = {
        "xyz": f"type=xyz&zmax=18&url={raster}/tiles/WebMercatorQuad/{{z}}/{{x}}/{{y}}.png",
        "wmts": f"crs=EPSG:3857&format=image/png&layers={name}&styles={name}"
        f"&tileMatrixSet=WebMercatorQuad&url={raster}/WMTSCapabilities.xml",
    }
    features = {
        "geojson": (f"{address}/vectors/{scene}/anomalies.geojson", "ogr"),
        "ogc": (f"url='{address}/ogc' typename='{scene}.anomalies'", "OAPIF"),
    }
    found = {}
    for kind, (source, provider) in features.items():
        layer = QgsVectorLayer(source, kind, provider)
        ids = sorted(feature["id"] for feature in layer.getFeatures())
        found[kind] = {"valid": layer.isValid(), "crs": layer.crs().authid(), "ids": ids}
    web = QgsCoordinateReferenceSystem("EPSG:3857")
    moved = QgsCoordinateTransform(layer.crs(), web, QgsProject.instance())
    extent = moved.transformBoundingBox(layer.extent()).buffered(100)
    for kind, source in sources.items():
        layer = QgsRasterLayer(source, kind, "wms")
        found[kind] = {"valid": layer.isValid()}
        draw(layer, extent, web, QSize(256, 256), picture.replace(".png", f"_{kind}.png"))
    return found


def run(script, command, scene, out):
    spec = importlib.util.spec_from_file_location("algorithm", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    algorithm = module.Sar2optRun().create()
    context = QgsProcessingContext()
    wanted = {"SCENE": scene, "OUT": out, "COMMAND": command}
    found, good = algorithm.run(wanted, context, QgsProcessingFeedback())
    loaded = context.layersToLoadOnCompletion()
    return {"good": good, "folder": found.get("OUT"), "layers": sorted(
        context.temporaryLayerStore().mapLayer(name).name() for name in loaded
    )}  # fmt: skip


application = QgsApplication([], False)
application.initQgis()
asked = {"--run": run, "--served": served}.get(sys.argv[1])
told = asked(*sys.argv[2:]) if asked else look(*sys.argv[1:])
print("FOUND", json.dumps(told))
