"""The loop that all nets share: its steps, checkpoints, averages, and other devices."""
