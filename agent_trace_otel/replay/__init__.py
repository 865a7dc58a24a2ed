"""Every way to look at a session folder. Reads only the folder; never imports the OpenTelemetry SDK."""
