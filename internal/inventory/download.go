package inventory

import (
	"context"
	"crypto/md5"
	"fmt"
	"io"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// maxAttempts is how many requests the download of a data file may take. The SDK repeats a request that fails, but not
// one whose answer breaks off, and a file can have 2 GB.
const maxAttempts = 10

// download writes a data file to w, from where the last attempt broke off, and checks its size and its MD5.
func (inv *Inventory) download(ctx context.Context, f file, w io.Writer, progress func(int64)) error {
	sum := md5.New()
	d := download{w: io.MultiWriter(w, sum), progress: progress, buffer: make([]byte, 128<<10)}
	for attempt := 1; ; attempt++ {
		final, err := d.try(ctx, inv.client, inv.bucket, f)
		if err != nil && (final || attempt == maxAttempts || ctx.Err() != nil) {
			return err
		}
		// A failure after the last byte is that of a checksum of the SDK's: the MD5 has the last word.
		if d.done == f.size {
			break
		}
	}
	if got := [md5.Size]byte(sum.Sum(nil)); got != f.md5 {
		return fmt.Errorf("its MD5 is %x, and the manifest has %x", got, f.md5)
	}
	return nil
}

type download struct {
	w        io.Writer
	done     int64
	progress func(int64)
	buffer   []byte
}

// try asks for what is yet to come. final means that asking again is no use.
func (d *download) try(ctx context.Context, client Client, bucket string, f file) (final bool, err error) {
	input := &s3.GetObjectInput{Bucket: &bucket, Key: &f.key}
	if d.done > 0 {
		input.Range = aws.String(fmt.Sprintf("bytes=%d-", d.done))
	}
	out, err := client.GetObject(ctx, input)
	if err != nil {
		return true, explain(err)
	}
	defer out.Body.Close()
	if d.done > 0 && !strings.HasPrefix(aws.ToString(out.ContentRange), fmt.Sprintf("bytes %d-", d.done)) {
		return true, fmt.Errorf("asked for bytes from %d on, S3 answered with %s", d.done, quote(aws.ToString(out.ContentRange)))
	}
	if out.ContentLength != nil && *out.ContentLength != f.size-d.done {
		return true, fmt.Errorf("it has %d bytes, and the manifest says %d", d.done+*out.ContentLength, f.size)
	}
	for {
		n, err := out.Body.Read(d.buffer)
		if d.done+int64(n) > f.size {
			return true, fmt.Errorf("it has more than the %d bytes that the manifest says", f.size)
		}
		if _, err := d.w.Write(d.buffer[:n]); err != nil {
			return true, err
		}
		d.done += int64(n)
		d.progress(int64(n))
		if err == io.EOF && d.done == f.size {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("after %d of %d bytes: %w", d.done, f.size, noEOF(err))
		}
	}
}
