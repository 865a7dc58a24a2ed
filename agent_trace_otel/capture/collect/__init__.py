"""The OTLP/HTTP receiver: spans of any program that speaks OTLP -> session folders, and on to a back end."""
