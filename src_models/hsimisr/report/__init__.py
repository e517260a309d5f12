"""What a run did and how far to trust it, as one page for people."""
