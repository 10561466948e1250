package upload

import (
	"errors"
	"io"
	"net/url"
	"regexp"
)

// counter tells how much of a body has been read.
type counter struct {
	r    io.Reader
	n    int64
	told func(int64)
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if c.told != nil && n > 0 {
		c.told(c.n)
	}
	return n, err
}

// withoutURL takes the URL out of an error of net/http: whoever reads a presigned one in a log can use it.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

var s3Error = regexp.MustCompile(`<Code>([^<]*)</Code>\s*<Message>([^<]*)</Message>`)

// s3Message is code and message of S3's answer. The rest is left out: it repeats parts of the signed request.
func s3Message(body string) string {
	if m := s3Error.FindStringSubmatch(body); m != nil {
		return m[1] + ": " + m[2]
	}
	return "no reason given"
}
