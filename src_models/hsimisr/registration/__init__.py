"""What recovers the motion between the frames."""
