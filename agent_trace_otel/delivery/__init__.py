"""Spans on their way to a back end over OTLP/HTTP."""
