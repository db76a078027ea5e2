"""What visitors see."""

from datetime import datetime

from telemetry.proofs import asking, sql
from telemetry.settings import Failed, stamp


def status() -> str:
    """Prove that the page, over TLS, says what the database says."""

    def agrees() -> bool:
        said = asking.page("/status.json")
        count, newest = sql.rows("select count(*), max(id) from reading")[0]
        at = sql.rows(f"select at from reading where id = {newest or 0}")  # noqa: S608  # a number of our own
        if not count or not at:
            raise Failed("there is no reading to show")
        shown = said.get("newest", {})
        return bool(said.get("readings") == count and shown.get("id") == newest and shown.get("at") == stamp(at[0][0]))

    asking.until("the status page does not say what the database says", agrees)
    newest = asking.page("/status.json")
    datetime.fromisoformat(newest["newest"]["at"])
    return f"served {newest['readings']} readings"
