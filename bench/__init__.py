"""The benchmark of dqlite-wire: ``python -m bench`` from the root of the checkout.

Only the public interface is measured, side by side with the published packages,
the standard ``sqlite3`` and ``msgpack``, all in one process. What counts are the
ratios, not the times: ``docs/explanation/performance.md`` tells the method and shows a run.
"""
