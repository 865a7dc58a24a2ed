"""What a proxy records is sent as well: an independent OTLP receiver gets the spans of spans.jsonl."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from oteltap_receiver import received_by_oteltap, spans_in
from programs import environment, wait_for

from agent_trace_otel.delivery.standing import Standing, standings
from agent_trace_otel.store.folder import SPANS

_PEER = Path(__file__).with_name("peer.py")


def test_the_spans_that_are_sent_are_those_of_the_folder(tmp_path: Path) -> None:
    secret = "sk-ant-api03-" + "a1B2" * 20
    call = '{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"t","arguments":{"api_key":"%s"}}}\n'

    def record(endpoint: str) -> None:
        subprocess.run(
            [sys.executable, "-m", "agent_trace_otel", "record", "--", sys.executable, str(_PEER), "answer"],
            input="".join(call % (number, secret) for number in range(3)),
            env=environment(tmp_path, AGENT_TRACE_OTLP_ENDPOINT=endpoint),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )

    sent = received_by_oteltap(record, 4)
    files = list((tmp_path / "traces").glob(f"*/{SPANS}"))
    wait_for(lambda: len(spans_in(files[0])) == 4, "the folder is complete")
    written = spans_in(files[0])
    for span in [*sent, *written]:
        span.attributes.sort(key=str)
    assert sorted(map(str, sent)) == sorted(map(str, written))
    assert secret not in str(sent)
    noted = [Standing(delivered=4)]
    wait_for(lambda: [*standings(files[0].parent).values()] == noted, "the recording child has noted the answer")
