"""The building for programs: status as JSON, live stream, health, metrics, description."""
