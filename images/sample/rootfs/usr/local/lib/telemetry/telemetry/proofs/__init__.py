"""What telemetry-selftest proves: each function proves one thing, and returns the words for it."""
