"""Configurations of the stream tests: DNS without HTTP."""

from service_conf import SAMPLE, resolua

SERVE = """
dns_store lmdb path=@FOLDER@/data;

stream {
    %(before)s
    server {
        listen 127.0.0.1:@DNS@ udp %(listen)s;
        listen 127.0.0.1:@DNS@;
        dns_serve on;
        %(server)s
    }
    %(more)s
}
"""


def start_dns(start, server="", listen="", before="", more="",
              zones=(SAMPLE,), **options):
    """A running DNS server; `server` goes into its server {}, `before` and
    `more` stand around it."""
    conf = SERVE % {"server": server, "listen": listen, "before": before,
                    "more": more}
    one = start(conf, run=False, **options)
    for zone in zones:
        resolua(one, "zone", "load", zone)
    return one.start()
