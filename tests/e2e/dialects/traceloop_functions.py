"""Functions of every kind, traced by traceloop-sdk."""

from model import WEATHER
from recording import Samples
from traceloop.sdk import Traceloop
from traceloop.sdk.decorators import agent, task, tool, workflow

samples = Samples()
Traceloop.init(app_name="weather", processor=samples, telemetry_enabled=False)
Traceloop.set_association_properties({"session_id": "talk-1"})


@tool(name="weather")
def weather(city: str) -> str:
    return WEATHER


@task(name="think")
def think() -> str:
    return "hm"


@agent(name="forecaster")
def forecaster(question: str) -> str:
    think()
    return weather(city="Paris")


@workflow(name="day")
def day() -> str:
    return forecaster("How is the weather?")


day()
samples.write()
