"""Jobs: the stages in order, with events, cancellation, memory limits and tiles."""
