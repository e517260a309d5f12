"""The napari plugin: docks, layers and the engine process around the `hsimisr` library."""
