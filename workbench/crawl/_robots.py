"""robots.txt (RFC 9309): what a site lets a crawler read, and how fast.

Read once per site and crawl. No such file (4xx) allows everything; a site that cannot be asked
for it, or breaks over it (5xx, 429), is not crawled.
"""

from __future__ import annotations

from protego import Protego

from workbench.crawl._fetch import Fetcher, Refusal
from workbench.crawl._scope import Options, origin

_MOST_BYTES, _MOST_DELAY = 500 << 10, 300


class Robots:
    """The rules of the sites of one crawl. They also tell the fetcher how long it has to wait."""

    def __init__(self, fetcher: Fetcher, options: Options) -> None:
        self._fetcher, self._agent = fetcher, options.user_agent.split("/")[0].strip()
        self._rules: dict[str, Protego | str] = {}

    def refusal(self, url: str) -> str:
        """Why the page may not be asked for, as a sentence; "" when it may."""
        rules = self.rules(url)
        if isinstance(rules, str):
            return rules
        allowed = rules.can_fetch(url, self._agent)
        return "" if allowed else "The site's robots.txt asks not to read it."

    def sitemaps(self, url: str) -> list[str]:
        """The sitemaps that the site names, its usual place where it names none."""
        rules = self.rules(url)
        named = [] if isinstance(rules, str) else list(rules.sitemaps)[:10]
        return named or [f"{origin(url)}/sitemap.xml"]

    def rules(self, url: str) -> Protego | str:
        """The rules of the URL's site, or why nothing may be read there."""
        site = origin(url)
        if site not in self._rules:
            self._rules[site] = self._read(site)
        return self._rules[site]

    def _read(self, site: str) -> Protego | str:
        try:
            answer = self._fetcher.get(f"{site}/robots.txt", types=(), limit=_MOST_BYTES)
        except Refusal as error:
            return f"The site's robots.txt could not be read, so nothing is read there: {error}"
        if answer.status == 429 or answer.status >= 500:
            return (
                f"The site answered {answer.status} when asked for its robots.txt, so nothing is "
                "read there. Try again later."
            )
        if answer.status != 200:
            return Protego.parse("")
        rules = Protego.parse(answer.body.decode("utf-8-sig", "replace").replace("\0", ""))
        delay = rules.crawl_delay(self._agent) or 0
        if rate := rules.request_rate(self._agent):
            delay = max(delay, rate.seconds / max(rate.requests, 1))
        if delay > _MOST_DELAY:
            return f"The site's robots.txt asks for {delay:,.0f} seconds between two pages."
        self._fetcher.delays[site] = delay
        return rules
