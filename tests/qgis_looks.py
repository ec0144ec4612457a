"""Run by the Python of QGIS: open products headless, say what QGIS makes of them as JSON.

python3 qgis_looks.py FOLDER SCENE PICTURE.png
python3 qgis_looks.py --run SCRIPT COMMAND SCENE.tif OUT
"""

import importlib.util
import json
import sys

from qgis.core import (
    QgsApplication,
    QgsMapRendererSequentialJob,
    QgsMapSettings,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsRasterLayer,
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
    chart = QgsMapSettings()
    chart.setLayers([tags])
    chart.setExtent(tags.extent())
    chart.setDestinationCrs(tags.crs())
    chart.setOutputSize(QSize(tags.width(), tags.height()))
    job = QgsMapRendererSequentialJob(chart)
    job.start()
    job.waitForFinished()
    job.renderedImage().save(picture)
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
told = run(*sys.argv[2:]) if sys.argv[1] == "--run" else look(*sys.argv[1:])
print("FOUND", json.dumps(told))
