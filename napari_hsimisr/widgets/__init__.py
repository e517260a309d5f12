"""The docks, one file each, and the forms they are made of."""
