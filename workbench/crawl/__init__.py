"""A polite crawler for documentation: robots.txt, one host at a time, slowly, and no private
address unless it is allowed. `gather` asks it; docs/gather.md says how it decides."""

from workbench.crawl._web import web

__all__ = ["web"]
