"""Timeline entries and sessions -> the lines of a replay, plain or coloured.

Comes in: a Session, Entry objects, the width to write for. Goes out: text with its newlines. Called by the replay
command and the demo. Everything recorded passes through `terminal.one_line` or `terminal.escape` on its way.
"""

from __future__ import annotations

from agent_trace_otel.replay.arguments import first_short, telling_argument
from agent_trace_otel.replay.durations import brief, milliseconds, nth, offset, seconds
from agent_trace_otel.replay.nesting import DEEPEST
from agent_trace_otel.replay.terminal import cut_coloured, escape, one_line
from agent_trace_otel.store.lines import as_text, is_list, is_object, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from agent_trace_otel.replay.span_notes import SpanNote
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
UNKNOWN = "·"
_RULE = "─" * 50
_INDENT = 14  # columns before a detail line
_ID_SHOWN = 16
_NAME_WIDTH = 60
_TITLES_KEPT = 1000
_NOTICED = 0.005  # seconds; less is shown as none

RESET, _BOLD, DIM = "\033[0m", "\033[1m", "\033[2m"
RED, _GREEN, YELLOW, _MAGENTA, _CYAN = (f"\033[{code}m" for code in (31, 32, 33, 35, 36))
COLOURS = {
    "session_start": _BOLD + _GREEN,
    "session_end": _BOLD + _GREEN,
    "user_prompt": _BOLD + _GREEN,
    "assistant_response": _BOLD + _MAGENTA,
    "tool_call": _BOLD + _CYAN,
    "tool_result": _CYAN,
    "llm_request": _BOLD + _MAGENTA,
    "llm_response": _MAGENTA,
    "file_read": YELLOW,
    "file_write": YELLOW,
    "decision": _BOLD + YELLOW,
    "error": _BOLD + RED,
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
        self.shows_all = full
        self._reset, self._bold, self._dim = (RESET, _BOLD, DIM) if colour else ("", "", "")
        self._red, self._yellow = (RED, YELLOW) if colour else ("", "")
        self._titles: dict[str, str] = {}
        self._margins = [" " * (_INDENT + 2 * depth) for depth in range(DEEPEST + 1)]
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
                f"{COLOURS[event_type] if colour else ''}{symbol} {event_type}{self._reset}",
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
        width = None if self.shows_all else self._width - _INDENT
        lines = [f"  {label + ':':<11} {one_line(value, width)}\n" for label, value in rows]
        rule = f"{self._dim}{_RULE}{self._reset}\n"
        return f"{self._bold}Session Summary{self._reset}\n{rule}{''.join(lines)}{rule}\n"

    def entry(self, entry: Entry) -> str:
        """Return the line of an entry and its detail lines."""
        head, describe = self._views.get(entry.event_type) or (self._unknown_head(entry), self._unknown)
        title, detail = describe(entry)
        if not entry.is_plain:
            if entry.times > 1:
                title = f"{title} {self._yellow}({nth(entry.times)} time){self._reset}"
            if entry.call >= 0:
                title, detail = self._of_call(entry, title, detail)
            title += self._remarks(entry)
        if entry.depth:
            head = "  " * entry.depth + head
        line = f"{self._dim}{offset(entry.offset)}{self._reset} {head}{title}"
        if len(line) > self._width and not self.shows_all:
            line = cut_coloured(line, self._width)
        if entry.is_plain or not entry.silence:
            return f"{line}\n{detail}"
        return f"{self._yellow}{' ' * 9} ⋯ {brief(entry.silence)} without an event{self._reset}\n{line}\n{detail}"

    def note(self, note: SpanNote) -> str:
        """Return the line of what only spans.jsonl tells, and its detail lines."""
        sign = UNKNOWN if note.message is None else f"{self._red}{SYMBOLS['error']}{self._reset}"
        title = "" if note.duration_ms is None else self._note(milliseconds(note.duration_ms))
        margin = self._margins[0]
        lines = [f"{self._dim}{offset(note.offset)}{self._reset} {sign} {one_line(note.name, _NAME_WIDTH)}{title}\n"]
        lines += (f"{margin}{self._dim}{one_line(detail, None)}{self._reset}\n" for detail in note.details)
        if note.message is not None:
            lines.append(f"{margin}{self._red}{one_line(note.message, None)}{self._reset}\n")
        return "".join(lines)

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
        said = rest.partition("</summary>")[0] if begin and not self.shows_all else prompt
        return self._note(one_line(source.replace("_", " "), _NAME_WIDTH)), self._quoted(entry, said)

    def _assistant_response(self, entry: Entry) -> tuple[str, str]:
        return "", self._quoted(entry, text_of(entry.data, "text"), markdown=True)

    def _tool_call(self, entry: Entry) -> tuple[str, str]:
        name = entry.tool_name or "?"
        title = self._titled(name)
        arguments = entry.data.get("arguments")
        if not is_object(arguments) or not arguments:
            return title, ""
        if self.shows_all:
            shown = [f"{key}: {as_text(value)}" for key, value in arguments.items()]
            return title, "".join(self._detail(entry, text) for text in shown)
        return title, self._detail(entry, telling_argument(name, arguments))

    def _tool_result(self, entry: Entry) -> tuple[str, str]:
        detail = ""
        if self.shows_all:
            data = entry.data
            detail = self._detail(entry, text_of(data, "result") or text_of(data, "content_preview"))
        return self._closing(entry, entry.tool_name), detail

    def _llm_request(self, entry: Entry) -> tuple[str, str]:
        data = entry.data
        count = data.get("message_count")
        messages = self._note(f"{count} message{'s' * (count != 1)}") if isinstance(count, int) else ""
        return self._titled(text_of(data, "model")) + messages, ""

    def _llm_response(self, entry: Entry) -> tuple[str, str]:
        data = entry.data
        tokens = data.get("total_tokens")
        facts = [f"{tokens} tokens"] if isinstance(tokens, int) and tokens else []
        title = self._closing(entry, "", ", ".join([*_outcome(data), *facts]))
        return title, self._quoted(entry, text_of(data, "content_preview"), markdown=True)

    def _file(self, entry: Entry) -> tuple[str, str]:
        uri = text_of(entry.data, "uri")
        room = None if self.shows_all else self._width - _INDENT - 8 - 2 * entry.depth
        return f" {one_line(uri, room)}" if uri else "", ""

    def _decision(self, entry: Entry) -> tuple[str, str]:
        data = entry.data
        detail = self._detail(entry, text_of(data, "reason"))
        alternatives = data.get("alternatives")
        if self.shows_all and is_list(alternatives) and alternatives:
            detail += self._detail(entry, "instead of: " + ", ".join(map(as_text, alternatives)))
        return self._titled(text_of(data, "choice")), detail

    def _error(self, entry: Entry) -> tuple[str, str]:
        data = entry.data
        title = self._closing(entry, entry.tool_name or text_of(data, "model"), ", ".join(_outcome(data)))
        message = text_of(data, "message") or text_of(data, "error") or text_of(data, "exception_type")
        return title, self._detail(entry, message, self._red)

    def _unknown_head(self, entry: Entry) -> str:
        return f"{UNKNOWN} {one_line(entry.event_type, _NAME_WIDTH)}"

    def _unknown(self, entry: Entry) -> tuple[str, str]:
        return self._titled(entry.tool_name), self._detail(entry, first_short(entry.data)) if self.shows_all else ""

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
            shown = one_line(name, None if self.shows_all else _NAME_WIDTH)
            title = f" {shown}" if shown else ""
            if len(self._titles) < _TITLES_KEPT:
                self._titles[name] = title
        return title

    def _remarks(self, entry: Entry) -> str:
        """Return what a title says of a call that is open, and of a sub-agent's event."""
        remarks = ""
        if entry.open_for is not None:
            # of a killed session, the call may be the last that was heard
            how_long = f" after {seconds(entry.open_for)}" if entry.open_for >= _NOTICED else ""
            remarks = f" {self._yellow}(still open{how_long}){self._reset}"
        if entry.agent is not None:
            remarks += f" {self._dim}[{one_line(entry.agent.name, _NAME_WIDTH)}]{self._reset}"
        return remarks

    def _of_call(self, entry: Entry, title: str, detail: str) -> tuple[str, str]:
        """Say which call it was that an event closes, when others lie between."""
        title += f" {self._dim}of the call at {offset(entry.call_offset).replace(' ', '')}{self._reset}"
        call = entry.call_data
        arguments = call.get("arguments")
        if is_object(arguments) and arguments:
            # on one line even if all is shown: what matters is which call
            told = one_line(telling_argument(text_of(call, "tool_name"), arguments), self._room(entry))
            detail = self._detail_line(entry, told, None) + detail
        return title, detail

    def _note(self, text: str) -> str:
        return f" {self._dim}({text}){self._reset}"

    def _quoted(self, entry: Entry, text: str, *, markdown: bool = False) -> str:
        if not text:
            return ""
        if self.shows_all:
            return self._detail(entry, f'"{text}"', "")
        room = self._room(entry) - 2
        if markdown:
            from agent_trace_otel.replay.markdown import plain_line

            head = text[: 2 * room]  # marks take room that is not shown
            text = plain_line(head) if len(head) == len(text) else plain_line(head) + "…"
        return self._detail_line(entry, f'"{one_line(text, room)}"', "")

    def _detail(self, entry: Entry, text: str, colour: str | None = None) -> str:
        """Return the detail lines of a text: one that is cut, or all that it has."""
        if not text:
            return ""
        if not self.shows_all:  # as _detail_line does it, for most of what there is to write
            margin = self._margins[entry.depth]
            shown = one_line(text, self._width - len(margin))
            return f"{margin}{self._dim if colour is None else colour}{shown}{self._reset}\n"
        lines = text.expandtabs(4).splitlines()
        return "".join(self._detail_line(entry, escape(line), colour) for line in lines)

    def _detail_line(self, entry: Entry, line: str, colour: str | None) -> str:
        colour = self._dim if colour is None else colour
        return f"{self._margins[entry.depth]}{colour}{line}{self._reset if colour else ''}\n"

    def _room(self, entry: Entry) -> int:
        return self._width - len(self._margins[entry.depth])


def _outcome(data: dict[str, Any]) -> list[str]:
    """Return what became of a call, if it is more than that it went well or failed."""
    outcome = text_of(data, "outcome")
    return [one_line(outcome.replace("_", " "), _NAME_WIDTH)] if outcome else []


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
