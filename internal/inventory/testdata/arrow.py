# Writes arrow.parquet, for TestParquetOfAnotherWriter: S3's own reports are written by another implementation than the
# one that reads them here, too. Needs pyarrow; made with 26.0.1.
import datetime
import pathlib

import pyarrow as pa
import pyarrow.parquet as pq

keys = ["with space", "1+1", "100%", "%41", "line\nbreak", '"quoted"', "café", "日本語/ファイル", "🧥", "a\x00b"]
keys += ["media/%02x/%08x" % (i % 7, i * 2654435761 % 2**32) for i in range(400)]
start = datetime.datetime(2024, 5, 6, 12, tzinfo=datetime.timezone.utc)
rows = []
for i, key in enumerate(keys):
    at = start + datetime.timedelta(milliseconds=i * 1001)
    deleted = i % 5 == 4
    if deleted:
        rows.append(("media-bucket", key, f"m{i}", True, True, None, at + datetime.timedelta(hours=1), None, None))
    rows.append(("media-bucket", key, f"v{i}" if i % 2 else "null", not deleted, False, i, at, "%032x" % i, "STANDARD"))
schema = pa.schema([
    pa.field("bucket", pa.string(), nullable=False),
    pa.field("key", pa.string(), nullable=False),
    pa.field("version_id", pa.string()),
    pa.field("is_latest", pa.bool_()),
    pa.field("is_delete_marker", pa.bool_()),
    pa.field("size", pa.int64()),
    pa.field("last_modified_date", pa.timestamp("ms", tz="UTC")),
    pa.field("e_tag", pa.string()),
    pa.field("storage_class", pa.string()),
])
table = pa.Table.from_arrays([pa.array(c, type=f.type) for c, f in zip(zip(*rows), schema)], schema=schema)
# Like parquet-mr: pages of version 1 in Snappy, with dictionaries; and small, so that there are many.
pq.write_table(table, pathlib.Path(__file__).with_name("arrow.parquet"), version="1.0", data_page_version="1.0",
               compression="snappy", use_dictionary=True, row_group_size=150, data_page_size=1024, write_batch_size=32,
               store_schema=False)
