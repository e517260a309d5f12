"""Files in and out. Import from `hsimisr.io.open` and `hsimisr.io.write`."""
