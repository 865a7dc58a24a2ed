"""Timeline entries and sessions -> the lines of a replay, plain or coloured.

Comes in: a Session, Entry objects, the width to write for. Goes out: text with its newlines. Called by the replay
command and the demo. Everything recorded passes through `terminal.one_line` or `terminal.escape` on its way.
"""

from __future__ import annotations

from agent_trace_otel.replay.arguments import first_short, telling_argument
from agent_trace_otel.replay.durations import milliseconds, offset, seconds
from agent_trace_otel.replay.terminal import escape, one_line
from agent_trace_otel.store.lines import as_text, is_list, is_object, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from agent_trace_otel.replay.timeline import Entry
    from agent_trace_otel.store.reader import Session

# the format's customary signs
SYMBOLS = {
    "session_start": "▶",
    "session_end": "■",
    "user_prompt": "👤",
    "assistant_response": "🤖",
    "tool_call": "→",
    "tool_result": "←",
    "llm_request": "⬆",
    "llm_response": "⬇",
    "file_read": "📖",
    "file_write": "📝",
    "decision": "◆",
    "error": "✗",
}
_UNKNOWN = "·"
_RULE = "─" * 50
_INDENT = 14  # columns before a detail line
_ID_SHOWN = 16
_NAME_WIDTH = 60
_TITLES_KEPT = 1000
_NOTICED = 0.005  # seconds; less is shown as none

_RESET, _BOLD, _DIM = "\033[0m", "\033[1m", "\033[2m"
_RED, _GREEN, _YELLOW, _MAGENTA, _CYAN = (f"\033[{code}m" for code in (31, 32, 33, 35, 36))
_COLOURS = {
    "session_start": _BOLD + _GREEN,
    "session_end": _BOLD + _GREEN,
    "user_prompt": _BOLD + _GREEN,
    "assistant_response": _BOLD + _MAGENTA,
    "tool_call": _BOLD + _CYAN,
    "tool_result": _CYAN,
    "llm_request": _BOLD + _MAGENTA,
    "llm_response": _MAGENTA,
    "file_read": _YELLOW,
    "file_write": _YELLOW,
    "decision": _BOLD + _YELLOW,
    "error": _BOLD + _RED,
}


class TextReplay:
    """Writes sessions as text.

    Args:
        width: columns of a line; details that are longer are cut.
        colour: whether to write ANSI colours.
        full: cut nothing, show every argument and result with its own line breaks.
    """

    def __init__(self, width: int, *, colour: bool = False, full: bool = False) -> None:
        self._width = width
        self._full = full
        self._reset, self._bold, self._dim = (_RESET, _BOLD, _DIM) if colour else ("", "", "")
        self._red, self._yellow = (_RED, _YELLOW) if colour else ("", "")
        self._titles: dict[str, str] = {}
        describe: dict[str, Callable[[Entry], tuple[str, str]]] = {
            "session_end": self._session_end,
            "user_prompt": self._user_prompt,
            "assistant_response": self._assistant_response,
            "tool_call": self._tool_call,
            "tool_result": self._tool_result,
            "llm_request": self._llm_request,
            "llm_response": self._llm_response,
            "file_read": self._file,
            "file_write": self._file,
            "decision": self._decision,
            "error": self._error,
        }
        self._views = {
            event_type: (
                f"{_COLOURS[event_type] if colour else ''}{symbol} {event_type}{self._reset}",
                describe.get(event_type, _nothing),
            )
            for event_type, symbol in SYMBOLS.items()
        }

    def summary(self, session: Session) -> str:
        """Return the box above a replay."""
        shown = session.session_id
        rows = [("Session", shown if len(shown) <= _ID_SHOWN else shown[:_ID_SHOWN] + "…")]
        if session.command:
            rows.append(("Command", session.command))
        if session.agent_name:
            rows.append(("Agent", session.agent_name))
        rows.append(("Duration", f"{session.duration_ms / 1000:.2f}s"))
        if session.state != "ended":
            rows.append(("State", state_line(session)))
        rows.append(("Tool calls", str(session.tool_calls)))
        if session.llm_requests:
            rows.append(("LLM calls", str(session.llm_requests)))
        if session.total_tokens:
            rows.append(("Tokens", f"{session.total_tokens:,}"))
        rows.append(("Errors", str(session.errors)))
        width = None if self._full else self._width - _INDENT
        lines = [f"  {label + ':':<11} {one_line(value, width)}\n" for label, value in rows]
        rule = f"{self._dim}{_RULE}{self._reset}\n"
        return f"{self._bold}Session Summary{self._reset}\n{rule}{''.join(lines)}{rule}\n"

    def entry(self, entry: Entry) -> str:
        """Return the line of an entry and its detail lines."""
        head, describe = self._views.get(entry.event_type) or (self._unknown_head(entry), self._unknown)
        title, detail = describe(entry)
        if entry.open_for is not None:
            # of a killed session, the call may be the last that was heard
            how_long = f" after {seconds(entry.open_for)}" if entry.open_for >= _NOTICED else ""
            title += f" {self._yellow}(still open{how_long}){self._reset}"
        nesting = "  " * entry.depth
        return f"{self._dim}{offset(entry.offset)}{self._reset} {nesting}{head}{title}\n{detail}"

    def ending(self, session: Session, open_calls: int) -> str:
        """Return the line below a replay of a session that has no end, "" for one that has."""
        if session.state == "ended":
            return ""
        calls = f", {open_calls} call{'s' * (open_calls != 1)} still open" if open_calls else ""
        return f"{self._yellow}{' ' * 9}… {state_line(session)}{calls}{self._reset}\n"

    def _session_end(self, entry: Entry) -> tuple[str, str]:
        data = entry.data
        exit_code = data.get("exit_code")
        title = self._note(f"exit {exit_code}") if isinstance(exit_code, int) else ""
        return title, self._detail(entry, text_of(data, "message"), self._red)

    def _user_prompt(self, entry: Entry) -> tuple[str, str]:
        data = entry.data
        prompt, source = text_of(data, "prompt"), text_of(data, "source")
        if not source:
            return "", self._quoted(entry, prompt)
        # nobody typed it: a task in the background has ended, and the client says so in an element of its own
        _, begin, rest = prompt.partition("<summary>")
        said = rest.partition("</summary>")[0] if begin and not self._full else prompt
        return self._note(one_line(source.replace("_", " "), _NAME_WIDTH)), self._quoted(entry, said)

    def _assistant_response(self, entry: Entry) -> tuple[str, str]:
        return "", self._quoted(entry, text_of(entry.data, "text"), markdown=True)

    def _tool_call(self, entry: Entry) -> tuple[str, str]:
        data = entry.data
        name = text_of(data, "tool_name") or "?"
        title = self._titled(name) + self._of_agent(data)
        arguments = data.get("arguments")
        if not is_object(arguments) or not arguments:
            return title, ""
        if self._full:
            shown = [f"{key}: {as_text(value)}" for key, value in arguments.items()]
            return title, "".join(self._detail(entry, text) for text in shown)
        return title, self._detail(entry, telling_argument(name, arguments))

    def _tool_result(self, entry: Entry) -> tuple[str, str]:
        detail = ""
        if self._full:
            data = entry.data
            detail = self._detail(entry, text_of(data, "result") or text_of(data, "content_preview"))
        return self._closing(entry, entry.tool_name), detail

    def _llm_request(self, entry: Entry) -> tuple[str, str]:
        data = entry.data
        count = data.get("message_count")
        messages = self._note(f"{count} message{'s' * (count != 1)}") if isinstance(count, int) else ""
        return self._titled(text_of(data, "model")) + messages + self._of_agent(data), ""

    def _llm_response(self, entry: Entry) -> tuple[str, str]:
        data = entry.data
        tokens = data.get("total_tokens")
        title = self._closing(entry, "", f"{tokens} tokens" if isinstance(tokens, int) and tokens else "")
        return title, self._quoted(entry, text_of(data, "content_preview"), markdown=True)

    def _file(self, entry: Entry) -> tuple[str, str]:
        uri = text_of(entry.data, "uri")
        room = None if self._full else self._width - _INDENT - 8 - 2 * entry.depth
        return f" {one_line(uri, room)}" if uri else "", ""

    def _decision(self, entry: Entry) -> tuple[str, str]:
        data = entry.data
        detail = self._detail(entry, text_of(data, "reason"))
        alternatives = data.get("alternatives")
        if self._full and is_list(alternatives) and alternatives:
            detail += self._detail(entry, "instead of: " + ", ".join(map(as_text, alternatives)))
        return self._titled(text_of(data, "choice")), detail

    def _error(self, entry: Entry) -> tuple[str, str]:
        data = entry.data
        title = self._closing(entry, entry.tool_name or text_of(data, "model")) + self._of_agent(data)
        message = text_of(data, "message") or text_of(data, "error") or text_of(data, "exception_type")
        return title, self._detail(entry, message, self._red)

    def _unknown_head(self, entry: Entry) -> str:
        return f"{_UNKNOWN} {one_line(entry.event_type, _NAME_WIDTH)}"

    def _unknown(self, entry: Entry) -> tuple[str, str]:
        return self._titled(entry.tool_name), self._detail(entry, first_short(entry.data)) if self._full else ""

    def _closing(self, entry: Entry, name: str, fact: str = "") -> str:
        """Return the title of an event that closes a call: whose, and in parentheses what is known of it."""
        duration = entry.duration_ms
        if duration is not None:
            fact = f"{fact}, {milliseconds(duration)}" if fact else milliseconds(duration)
        title = self._titled(name)
        return f"{title} {self._dim}({fact}){self._reset}" if fact else title

    def _titled(self, name: str) -> str:
        """Return a tool, model or choice as the rest of a line; the few there are come again and again."""
        title = self._titles.get(name)
        if title is None:
            shown = one_line(name, None if self._full else _NAME_WIDTH)
            title = f" {shown}" if shown else ""
            if len(self._titles) < _TITLES_KEPT:
                self._titles[name] = title
        return title

    def _of_agent(self, data: dict[str, Any]) -> str:
        """Return the sub-agent that an event belongs to."""
        agent = data.get("agent")
        return f" {self._dim}[{one_line(as_text(agent), _NAME_WIDTH)}]{self._reset}" if agent else ""

    def _note(self, text: str) -> str:
        return f" {self._dim}({text}){self._reset}"

    def _quoted(self, entry: Entry, text: str, *, markdown: bool = False) -> str:
        if not text:
            return ""
        if self._full:
            return self._detail(entry, f'"{text}"', "")
        room = self._room(entry) - 2
        if markdown:
            from agent_trace_otel.replay.markdown import plain_line

            head = text[: 3 * room]  # marks take room that is not shown
            text = plain_line(head) if len(head) == len(text) else plain_line(head) + "…"
        return self._detail_line(entry, f'"{one_line(text, room)}"', "")

    def _detail(self, entry: Entry, text: str, colour: str | None = None) -> str:
        """Return the detail lines of a text: one that is cut, or all that it has."""
        if not text:
            return ""
        if not self._full:
            return self._detail_line(entry, one_line(text, self._room(entry)), colour)
        lines = text.expandtabs(4).splitlines()
        return "".join(self._detail_line(entry, escape(line), colour) for line in lines)

    def _detail_line(self, entry: Entry, line: str, colour: str | None) -> str:
        colour = self._dim if colour is None else colour
        return f"{' ' * (_INDENT + 2 * entry.depth)}{colour}{line}{self._reset if colour else ''}\n"

    def _room(self, entry: Entry) -> int:
        return self._width - _INDENT - 2 * entry.depth


def state_line(session: Session) -> str:
    """Return what is known of a session without an end."""
    process = f"process {session.pid}" if session.pid is not None else "its process"
    if session.state == "running":
        return f"running ({process})"
    if session.state == "crashed":
        return f"crashed ({process} is gone)"
    return "unknown (no end recorded)"


def _nothing(_: Entry) -> tuple[str, str]:
    return "", ""
