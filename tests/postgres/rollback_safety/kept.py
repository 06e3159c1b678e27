"""What was kept of the shop's table."""

SETS = """
    select kind, schema_name, table_name, key_columns, sum(row_count)::int
    from public.rollback_data_log where set_id is not null
    group by set_id, kind, schema_name, table_name, key_columns order by set_id
"""

ROWS = """
    select r from public.rollback_data_log as l, jsonb_array_elements(l.data_snapshot) as r
    where l.table_name = %s order by l.id, r ->> 'id'
"""


def kept(database, table="t"):
    """The rows that are kept of a table."""
    return [row for (row,) in database.rows(ROWS, table)]


ALL = [
    {"id": "1", "name": "pen", "price": "1.50"},
    {"id": "2", "name": "ink", "price": "7.00"},
    {"id": "3", "name": None, "price": None},
]
