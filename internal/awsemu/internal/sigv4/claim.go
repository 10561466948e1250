package sigv4

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coatcheck/coatcheck/internal/awsemu/internal/awserr"
)

func malformedHeader(message string) *awserr.Error {
	return awserr.New(http.StatusBadRequest, "AuthorizationHeaderMalformed", message)
}

func malformedQuery(message string) *awserr.Error {
	return awserr.New(http.StatusBadRequest, "AuthorizationQueryParametersError", message)
}

func denied(message string, details ...awserr.Detail) *awserr.Error {
	return awserr.New(http.StatusForbidden, "AccessDenied", message, details...)
}

// parse reads what the request says about its signature, wherever it says it.
func parse(r *http.Request) (*claim, *awserr.Error) {
	auth := r.Header.Get("Authorization")
	presigned := strings.Contains(r.URL.RawQuery, "X-Amz-")
	switch {
	case auth != "" && presigned && queryValue(r.URL.RawQuery, "X-Amz-Algorithm") != "":
		return nil, awserr.New(http.StatusBadRequest, "InvalidArgument",
			"Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified")
	case auth != "":
		return parseHeader(r, auth)
	case presigned:
		return parseQuery(r)
	}
	return nil, denied("Access Denied")
}

func parseHeader(r *http.Request, auth string) (*claim, *awserr.Error) {
	rest, ok := strings.CutPrefix(auth, algorithm)
	if !ok {
		return nil, awserr.New(http.StatusBadRequest, "InvalidRequest",
			"The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.")
	}
	c := &claim{}
	var credential string
	for field := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch name {
		case "Credential":
			credential = value
		case "SignedHeaders":
			c.signedHeaders = value
		case "Signature":
			c.signature = value
		}
	}
	if credential == "" || c.signedHeaders == "" || c.signature == "" {
		return nil, malformedHeader("The authorization header is malformed; it needs Credential, SignedHeaders and Signature.")
	}
	if !c.setCredential(credential) {
		return nil, malformedHeader("The authorization header is malformed; the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".")
	}
	c.amzDate = r.Header.Get("X-Amz-Date")
	at, err := time.Parse(timeFormat, c.amzDate)
	if err != nil {
		if at, err = http.ParseTime(r.Header.Get("Date")); err != nil {
			return nil, denied("AWS authentication requires a valid Date or x-amz-date header")
		}
		c.amzDate = at.UTC().Format(timeFormat)
	}
	c.at = at
	return c, nil
}

func parseQuery(r *http.Request) (*claim, *awserr.Error) {
	raw := r.URL.RawQuery
	c := &claim{
		presigned:     true,
		amzDate:       queryValue(raw, "X-Amz-Date"),
		signedHeaders: queryValue(raw, "X-Amz-SignedHeaders"),
		signature:     queryValue(raw, "X-Amz-Signature"),
	}
	credential, expires := queryValue(raw, "X-Amz-Credential"), queryValue(raw, "X-Amz-Expires")
	if got := queryValue(raw, "X-Amz-Algorithm"); got != "" && got != algorithm {
		return nil, malformedQuery("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"")
	} else if got == "" || credential == "" || expires == "" || c.amzDate == "" || c.signedHeaders == "" || c.signature == "" {
		return nil, malformedQuery("Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.")
	}
	if !c.setCredential(credential) {
		return nil, malformedQuery("Error parsing the X-Amz-Credential parameter; the Credential is mal-formed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".")
	}
	at, err := time.Parse(timeFormat, c.amzDate)
	if err != nil {
		return nil, malformedQuery("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
	}
	seconds, err := strconv.Atoi(expires)
	switch {
	case err != nil:
		return nil, malformedQuery("X-Amz-Expires should be a number")
	case seconds < 1:
		return nil, malformedQuery("X-Amz-Expires must be non-negative")
	case seconds > maxExpires:
		return nil, malformedQuery("X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds")
	}
	c.at = at
	return c, nil
}

func (c *claim) setCredential(credential string) bool {
	parts := strings.Split(credential, "/")
	if len(parts) < 5 || parts[len(parts)-1] != "aws4_request" {
		return false
	}
	n := len(parts)
	c.accessKey = strings.Join(parts[:n-4], "/")
	c.date, c.region, c.service = parts[n-4], parts[n-3], parts[n-2]
	return len(c.date) == len("20060102")
}

// checkClaim checks everything but the signature: who, for what, and when.
func (v *Verifier) checkClaim(r *http.Request, c *claim, service string) *awserr.Error {
	malformed, where := malformedHeader, "The authorization header is malformed; "
	if c.presigned {
		malformed, where = malformedQuery, "Error parsing the X-Amz-Credential parameter; "
	}
	switch {
	case c.accessKey != v.AccessKeyID:
		return awserr.New(http.StatusForbidden, "InvalidAccessKeyId",
			"The AWS Access Key Id you provided does not exist in our records.",
			awserr.Detail{Name: "AWSAccessKeyId", Value: c.accessKey})
	case r.Header.Get("X-Amz-Security-Token") != "", c.presigned && queryValue(r.URL.RawQuery, "X-Amz-Security-Token") != "":
		return awserr.New(http.StatusBadRequest, "InvalidToken", "The provided token is malformed or otherwise invalid.")
	case c.date != c.at.UTC().Format("20060102"):
		return malformed(where + "Invalid credential date \"" + c.date + "\". This date is not the same as X-Amz-Date: \"" + c.at.UTC().Format("20060102") + "\".")
	case c.region != v.Region:
		e := malformed(where + "the region '" + c.region + "' is wrong; expecting '" + v.Region + "'")
		e.Details = []awserr.Detail{{Name: "Region", Value: v.Region}}
		return e
	case c.service != service:
		return malformed(where + "incorrect service \"" + c.service + "\". This endpoint belongs to \"" + service + "\".")
	}
	return v.checkTime(r, c)
}

func (v *Verifier) checkTime(r *http.Request, c *claim) *awserr.Error {
	now := v.Now().UTC()
	server := awserr.Detail{Name: "ServerTime", Value: now.Format(time.RFC3339)}
	if !c.presigned {
		if d := now.Sub(c.at); d > maxSkew || d < -maxSkew {
			return awserr.New(http.StatusForbidden, "RequestTimeTooSkewed",
				"The difference between the request time and the current time is too large.",
				awserr.Detail{Name: "RequestTime", Value: c.amzDate}, server,
				awserr.Detail{Name: "MaxAllowedSkewMilliseconds", Value: "900000"})
		}
		return nil
	}
	if c.at.Sub(now) > maxSkew {
		return denied("Request is not yet valid", server)
	}
	expires := queryValue(r.URL.RawQuery, "X-Amz-Expires")
	seconds, _ := strconv.Atoi(expires) // parseQuery has checked it
	if end := c.at.Add(time.Duration(seconds) * time.Second); now.After(end) {
		return denied("Request has expired",
			awserr.Detail{Name: "X-Amz-Expires", Value: expires},
			awserr.Detail{Name: "Expires", Value: end.UTC().Format(time.RFC3339)}, server)
	}
	return nil
}

// checkSignedHeaders refuses a request with an x-amz-* header that the signature does not cover, and one whose
// signature does not cover the host.
func checkSignedHeaders(r *http.Request, signed []string) *awserr.Error {
	var unsigned []string
	if !slices.Contains(signed, "host") {
		unsigned = append(unsigned, "host")
	}
	for name := range r.Header {
		if len(name) > 6 && strings.EqualFold(name[:6], "x-amz-") {
			if lower := strings.ToLower(name); !slices.Contains(signed, lower) {
				unsigned = append(unsigned, lower)
			}
		}
	}
	if len(unsigned) == 0 {
		return nil
	}
	slices.Sort(unsigned)
	return denied("There were headers present in the request which were not signed",
		awserr.Detail{Name: "HeadersNotSigned", Value: strings.Join(unsigned, ", ")})
}

// queryValue is the decoded value of the first parameter called name, without parsing the others.
func queryValue(raw, name string) string {
	for pair := range strings.SplitSeq(raw, "&") {
		if k, v, _ := strings.Cut(pair, "="); k == name {
			if s, err := url.QueryUnescape(v); err == nil {
				return s
			}
			return v
		}
	}
	return ""
}
