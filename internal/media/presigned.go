package media

import (
	"net/http"
	"time"
)

// Presigned is a request that S3 accepts from whoever sends it, any number of times, until it expires. S3 looks at the
// signature when the request begins, so that an upload may end much later. It is never logged.
type Presigned struct {
	Method string
	URL    string
	// Header holds every signed header but Host, to be sent exactly as it is. Browsers set Content-Length by
	// themselves, to the size of what they send, and do not let scripts do it.
	Header http.Header
	// ExpiresAt is when the URL ends: with its time to live, or with the credentials that signed it when they end
	// before.
	ExpiresAt time.Time
}
