package rig

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/coatcheck/coatcheck/internal/media"
)

const (
	// Bucket is the bucket's name, and Prefix that of every key.
	Bucket = "bench"
	Prefix = "media/"
	// Body is that of every object.
	Body = "sixteen bytes ok"
	// ContentType is that of every object.
	ContentType = "image/jpeg"

	// Beginning is when the media with number 0 was created, 2025-06-01T00:00:00Z in Unix milliseconds, and Interval the
	// milliseconds to the next one. All of that is long ago, so that nothing is spared for being recent.
	Beginning = 1_748_736_000_000
	Interval  = 100
)

// Keys are those of the media.
var Keys = Must(media.NewKeys(Prefix))

// Must is for what cannot fail.
func Must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// ID returns the id of the media with that number: as the product's, a UUIDv7, so that Postgres and the bucket are
// filled in the order in which they would be. What is random in it is of the number's MD5, which Postgres can tell too:
// see insertConfirmed.
func ID(i int) uuid.UUID {
	sum := md5.Sum([]byte(strconv.Itoa(i)))
	var id uuid.UUID
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(Beginning+i*Interval))
	copy(id[:6], ms[2:])
	id[6], id[7] = 0x70|sum[0]>>4, sum[0]<<4|sum[1]>>4
	id[8] = 0x80 | sum[1]&0xf
	copy(id[9:], sum[2:])
	return id
}

// Param is an id as pgx encodes it fastest: a [uuid.UUID] goes by way of its text, a failed attempt and 3 µs.
func Param(id uuid.UUID) pgtype.UUID { return pgtype.UUID{Bytes: id, Valid: true} }

// Params are several.
func Params(ids []uuid.UUID) []pgtype.UUID {
	params := make([]pgtype.UUID, len(ids))
	for i, id := range ids {
		params[i] = Param(id)
	}
	return params
}

// Created returns when the media with this id was created, which its id tells.
func Created(id uuid.UUID) time.Time {
	var ms [8]byte
	copy(ms[2:], id[:6])
	return time.UnixMilli(int64(binary.BigEndian.Uint64(ms[:]))).UTC()
}

// ETag is what S3 says of [Body], without quotes.
func ETag() string {
	sum := md5.Sum([]byte(Body))
	return hex.EncodeToString(sum[:])
}

// Checksum is the SHA-256 of [Body].
func Checksum() []byte {
	sum := sha256.Sum256([]byte(Body))
	return sum[:]
}

// insertConfirmed inserts rows with numbers from @first to @last, whose ids are those of [ID].
const insertConfirmed = `
	INSERT INTO coatcheck.media (id, tenant, owner, key, state, content_type, size_bytes, checksum_sha256, file_name,
		created_at, url_expires_at, landed_at, landed_by, etag, sequencer, claim, confirmed_at)
	SELECT id, 'bench', 'user-' || i % 1000, @prefix || right(id::text, 2) || '/' || id, 'confirmed', @type,
		@size, @checksum, 'coat.jpg', created, created + interval '5 minutes',
		created + interval '10 seconds', 'notification', @etag, lpad(upper(to_hex(i)), 40, '0'),
		'post/' || i, created + interval '1 minute'
	FROM (
		SELECT i, to_timestamp(ms / 1000.0) AS created, (lpad(to_hex(ms), 12, '0') ||
			'7' || substr(md5(i::text), 1, 3) || '8' || substr(md5(i::text), 4, 15))::uuid AS id
		FROM generate_series(@first::bigint, @last::bigint) AS i, LATERAL (SELECT @beginning + i * @interval AS ms) AS at
		WHERE i <> ALL (@except::bigint[])
		OFFSET 0
	) AS numbered`

// InsertConfirmed inserts CONFIRMED media with the numbers from first to below end, with those excepted, in the order in
// which they were created.
func InsertConfirmed(ctx context.Context, db *pgx.Conn, first, end int, except []int) error {
	if except == nil {
		except = []int{}
	}
	_, err := db.Exec(ctx, insertConfirmed, pgx.NamedArgs{
		"first": first, "last": end - 1, "except": except, "beginning": int64(Beginning), "interval": Interval,
		"prefix": Prefix, "type": ContentType, "size": len(Body), "checksum": Checksum(), "etag": ETag(),
	})
	if err != nil {
		return fmt.Errorf("inserting confirmed media: %w", err)
	}
	return nil
}

const insertPending = `
	INSERT INTO coatcheck.media (id, tenant, owner, key, state, content_type, size_bytes, checksum_sha256, file_name,
		created_at, url_expires_at, due_at)
	SELECT id, 'bench', 'user-1', @prefix || right(id::text, 2) || '/' || id, 'pending', @type, @size, @checksum,
		'coat.jpg', created, created + interval '5 minutes', timestamptz '2100-01-01'
	FROM (
		SELECT id, to_timestamp(('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / 1000.0) AS created
		FROM unnest(@ids::uuid[]) AS id
	) AS numbered`

// InsertPending inserts media that nothing has been heard of. No sweep finds them.
func InsertPending(ctx context.Context, db *pgx.Conn, ids []uuid.UUID) error {
	_, err := db.Exec(ctx, insertPending, pgx.NamedArgs{
		"ids": Params(ids), "prefix": Prefix, "type": ContentType, "size": len(Body), "checksum": Checksum(),
	})
	if err != nil {
		return fmt.Errorf("inserting pending media: %w", err)
	}
	return nil
}

const insertUploaded = `
	INSERT INTO coatcheck.media (id, tenant, owner, key, state, content_type, size_bytes, checksum_sha256, file_name,
		created_at, url_expires_at, landed_at, landed_by, etag, sequencer, due_at)
	SELECT id, 'bench', 'user-1', @prefix || right(id::text, 2) || '/' || id, 'uploaded', @type, @size, @checksum,
		'coat.jpg', created, created + interval '5 minutes', created + interval '10 seconds', 'notification', @etag,
		lpad(upper(left(replace(id::text, '-', ''), 12)), 40, '0'), @due
	FROM (
		SELECT id, to_timestamp(('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / 1000.0) AS created
		FROM unnest(@ids::uuid[]) AS id
	) AS numbered`

// InsertUploaded inserts media that have landed and that nobody has claimed. Sweeps find them from due on.
func InsertUploaded(ctx context.Context, db *pgx.Conn, ids []uuid.UUID, due time.Time) error {
	_, err := db.Exec(ctx, insertUploaded, pgx.NamedArgs{
		"ids": Params(ids), "prefix": Prefix, "type": ContentType, "size": len(Body), "checksum": Checksum(), "etag": ETag(), "due": due,
	})
	if err != nil {
		return fmt.Errorf("inserting uploaded media: %w", err)
	}
	return nil
}
