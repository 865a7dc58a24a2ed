"""What coding agents tell of themselves in log events -> spans of the calls that they made."""
