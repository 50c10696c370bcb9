"""An engine with tiny models, made once for the session."""

from releases.release_engine import engine, place

__all__ = ["engine", "place"]
