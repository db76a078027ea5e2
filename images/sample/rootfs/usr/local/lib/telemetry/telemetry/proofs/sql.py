"""What the station's own programs may ask the database."""

from typing import Any

import psycopg2

from telemetry.settings import DATABASE, Failed


def rows(question: str) -> list[tuple[Any, ...]]:
    """Fetch all that answers a question; raise Failed when the database does not answer."""
    try:
        with psycopg2.connect(DATABASE) as database, database.cursor() as cursor:
            cursor.execute(question)
            return cursor.fetchall()
    except psycopg2.Error as error:
        raise Failed(f"the database does not answer: {error}") from None
