package rpc

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/coatcheck/coatcheck/internal/media"
)

// MaxPutSize is the largest object that one PUT can make, in bytes.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/upload-objects.html
const MaxPutSize = 5 << 30

// Limits are what a deployment accepts.
type Limits struct {
	MaxSizeBytes int64        // 1 to [MaxPutSize]
	ContentTypes ContentTypes // empty: none
}

// ContentTypes are the allowed media types: "image/png", or "image/*" for all of a kind, or "*/*".
type ContentTypes []string

var contentTypePattern = regexp.MustCompile(`^(\*/\*|[a-z0-9!#$&^_.+-]+/(\*|[a-z0-9!#$&^_.+-]+))$`)

// ParseContentTypes checks what a setting says.
func ParseContentTypes(types []string) (ContentTypes, error) {
	for _, t := range types {
		if !contentTypePattern.MatchString(t) {
			return nil, fmt.Errorf("content type %q: must be a type such as image/png, a kind such as image/*, or */*, in lower case", t)
		}
	}
	return types, nil
}

// Allows reports whether a media type, which may have parameters, is among them.
func (c ContentTypes) Allows(contentType string) bool {
	essence, _, _ := strings.Cut(contentType, ";")
	kind, _, _ := strings.Cut(essence, "/")
	for _, t := range c {
		if t == "*/*" || t == essence || t == kind+"/*" {
			return true
		}
	}
	return false
}

// check refuses what the protos' rules cannot know of.
func (l Limits) check(sizeBytes int64, contentType string) *media.Error {
	if sizeBytes > l.MaxSizeBytes {
		return media.Invalid("sizeBytes", "size_bytes.limit", "must be at most %d: that is the largest upload allowed here", l.MaxSizeBytes)
	}
	if !l.ContentTypes.Allows(contentType) {
		return media.Invalid("contentType", "content_type.allowed", "%q is not allowed here; allowed are %s", contentType, strings.Join(l.ContentTypes, ", "))
	}
	return nil
}
