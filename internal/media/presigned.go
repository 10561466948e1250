package media

import (
	"net/http"
	"time"
)

// Presigned is an HTTP request that S3 accepts from whoever sends it, until it expires. It is never logged.
type Presigned struct {
	Method    string
	URL       string
	Header    http.Header // to be sent exactly so: it is signed
	ExpiresAt time.Time
}
