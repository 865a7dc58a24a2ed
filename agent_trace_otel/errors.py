"""The errors that people see: raised by the CLI and by wrong use of the API, never by capture code.

    AgentTraceError
    ├── UsageError            an argument or setting makes no sense
    ├── SessionNotFoundError  no session, or more than one, answers to an id
    ├── StoreError            a trace directory can't be read or written
    ├── SettingsError         an agent's settings, or our config file, can't be read or changed
    └── DeliveryError         a back end did not take what it was sent

The CLI prints ``str(error)`` on one line and exits with ``error.exit_code``.
"""

from __future__ import annotations


class AgentTraceError(Exception):
    """Base of everything agent-trace-otel raises on purpose."""

    exit_code = 1


class UsageError(AgentTraceError):
    """An argument or a setting that can't be carried out as given."""

    exit_code = 2


class SessionNotFoundError(AgentTraceError):
    """No session, or more than one, answers to the id asked for."""


class StoreError(AgentTraceError):
    """A trace directory or session folder can't be read or written."""


class SettingsError(AgentTraceError):
    """A coding agent's settings file, or our own config file, can't be read or changed as asked."""


class DeliveryError(AgentTraceError):
    """A back end refused spans or could not be reached."""
