package inventory

import (
	"context"
	"crypto/md5"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Client is what of S3 the package needs. [*s3.Client] satisfies it.
type Client interface {
	GetObject(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error)
}

// Inventory is one report, whose manifest has been read and whose data has not.
type Inventory struct {
	// SourceBucket is the bucket whose objects are listed.
	SourceBucket string
	// CreatedAt is when S3 began to scan the bucket. The report may lack what came later or shortly before.
	CreatedAt time.Time
	// Format is that of the data files, [FormatCSV] or [FormatParquet].
	Format string
	// Versions reports that all versions and delete markers are listed, not the current objects only.
	Versions bool
	// Files is how many data files there are, and SizeBytes how large they are together, compressed as they are.
	Files     int
	SizeBytes int64

	client Client
	bucket string // where the report is
	files  []file
	schema schema
}

// file is one data file.
type file struct {
	key  string
	size int64
	md5  [md5.Size]byte
}

// Formats of data files that can be read. S3 has ORC as well.
const (
	FormatCSV     = "CSV"
	FormatParquet = "Parquet"
)

// Object is one object, version or delete marker, as it was when S3 came across it.
type Object struct {
	// Key is decoded, and any UTF-8 of 1 to 1,024 bytes: NUL, which Postgres cannot store, is possible.
	Key string
	// SizeBytes is never negative, and 0 for a delete marker.
	SizeBytes int64
	// ETag has no quotes. It is empty for a delete marker.
	ETag string
	// VersionID is as the report has it: empty in one of current objects, "null" for what was stored while versioning
	// was off.
	VersionID string
	// Latest reports that this is the current version; in a report of current objects all are. DeleteMarker reports
	// that it is no object but the mark of a deletion.
	Latest, DeleteMarker bool
	// LastModified is in UTC and exact to the microsecond. That of a multipart upload is when it was initiated.
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
	LastModified time.Time
}

// maxText bounds entity tags and versions, in bytes. Version IDs are the longest of them, with at most 1,024.
const maxText = 1024

// maxKey is the length of the longest key in bytes of UTF-8.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
const maxKey = 1024
