"""The judge: frames kept back score every estimate, and the gate keeps of a stage what they support."""
