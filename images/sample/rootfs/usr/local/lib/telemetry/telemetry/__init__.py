"""The programs of the telemetry station."""
