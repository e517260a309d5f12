"""How far an estimate can be trusted: what is measured and what inferred, and error bars that hold."""
