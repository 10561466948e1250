// Package inventory reads a report of Amazon S3 Inventory as one sorted stream of objects, to compare a
// bucket of millions of objects with what was recorded of it. It reads CSV and Parquet, of current versions or of all.
//
// What a report says is not how things are. Reports are made daily or weekly and can be 48 hours old when they arrive,
// and they are eventually consistent: "the list might not include recently added or deleted objects", and AWS
// recommends a HEAD before acting on what one says of an object.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory.html
//
// [Inventory.CreatedAt] is the START of the scan. So nothing that was uploaded after it, or shortly before it, may be
// judged missing because the report lacks it, however old the report is by now.
//
// Two things cannot be told from a report. One is the filter of its configuration: a report that was limited to a
// prefix looks like that of a whole bucket, and the keys outside the prefix are not missing. The other is whether the
// bucket is empty: that makes a report without rows, of which whoever deletes or judges by it must beware.
//
// All that is read is checked: manifest.json against manifest.checksum, each data file against the size and the MD5 in
// the manifest, and each row. A report that is wrong anywhere is an error that names the file and the row; nothing of
// it is returned. The package imports nothing else of this module.
package inventory
