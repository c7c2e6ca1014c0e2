"""What a process says about itself: metrics for Prometheus, health for whoever restarts it, spans for OpenTelemetry."""
