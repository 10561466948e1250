package s3

import (
	"encoding/xml"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/coatcheck/coatcheck/internal/awsemu/internal/awserr"
)

type corsConfiguration struct {
	XMLName xml.Name   `xml:"CORSConfiguration"`
	Rules   []corsRule `xml:"CORSRule"`
}

type corsRule struct {
	Origins []string `xml:"AllowedOrigin"`
	Methods []string `xml:"AllowedMethod"`
	Headers []string `xml:"AllowedHeader"`
	Expose  []string `xml:"ExposeHeader"`
	MaxAge  *int     `xml:"MaxAgeSeconds"`
}

func parseCORS(data []byte) (*corsConfiguration, error) {
	var c corsConfiguration
	if xml.Unmarshal(data, &c) != nil || len(c.Rules) == 0 || len(c.Rules) > 100 {
		return nil, malformedXML()
	}
	for _, rule := range c.Rules {
		if len(rule.Origins) == 0 || len(rule.Methods) == 0 {
			return nil, malformedXML()
		}
		for _, m := range rule.Methods {
			if !slices.Contains([]string{"GET", "PUT", "HEAD", "POST", "DELETE"}, m) {
				return nil, bad("InvalidRequest", "Found unsupported HTTP method in CORS config. Unsupported method is "+m)
			}
		}
		for _, o := range append(slices.Clone(rule.Origins), rule.Headers...) {
			if strings.Count(o, "*") > 1 {
				return nil, bad("InvalidRequest", "AllowedOrigin \""+o+"\" can not have more than one wildcard.")
			}
		}
	}
	return &c, nil
}

// wild matches s against a pattern with at most one asterisk.
func wild(pattern, s string) bool {
	before, after, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == s
	}
	return len(s) >= len(before)+len(after) && strings.HasPrefix(s, before) && strings.HasSuffix(s, after)
}

// rule finds the first rule that allows a request with this origin, method and headers.
func (c *corsConfiguration) rule(origin, method string, headers []string) *corsRule {
	if c == nil {
		return nil
	}
	for i := range c.Rules {
		rule := &c.Rules[i]
		allowed := slices.Contains(rule.Methods, method) &&
			slices.ContainsFunc(rule.Origins, func(o string) bool { return wild(o, origin) })
		for _, name := range headers {
			allowed = allowed && slices.ContainsFunc(rule.Headers, func(p string) bool { return wild(strings.ToLower(p), name) })
		}
		if allowed {
			return rule
		}
	}
	return nil
}

func (rule *corsRule) write(h http.Header, origin string, headers []string) {
	if slices.Contains(rule.Origins, "*") {
		h.Set("Access-Control-Allow-Origin", "*")
	} else {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	h.Set("Access-Control-Allow-Methods", strings.Join(rule.Methods, ", "))
	if len(headers) > 0 {
		h.Set("Access-Control-Allow-Headers", strings.Join(headers, ", "))
	}
	if len(rule.Expose) > 0 {
		h.Set("Access-Control-Expose-Headers", strings.Join(rule.Expose, ", "))
	}
	if rule.MaxAge != nil {
		h.Set("Access-Control-Max-Age", strconv.Itoa(*rule.MaxAge))
	}
	h.Set("Vary", "Origin, Access-Control-Request-Headers, Access-Control-Request-Method")
}

func (s *Service) corsOf(bucket string) *corsConfiguration {
	b, err := s.bucket(bucket)
	if err != nil {
		return nil
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.cors
}

// AllowOrigin sets the CORS headers of an answer, whatever the answer will be: a page has to be able to read an
// error too.
func (s *Service) AllowOrigin(r *Request) {
	origin := r.Header.Get("Origin")
	if origin == "" || r.Op == "Preflight" {
		return
	}
	if rule := s.corsOf(r.Bucket).rule(origin, r.Method, nil); rule != nil {
		rule.write(r.w.Header(), origin, nil)
	}
}

// preflight answers OPTIONS, which nobody signs.
func (s *Service) preflight(r *Request) error {
	origin, method := r.Header.Get("Origin"), r.Header.Get("Access-Control-Request-Method")
	if origin == "" || method == "" {
		return bad("BadRequest", "Insufficient information. Origin request header needed.")
	}
	if _, err := s.bucket(r.Bucket); err != nil {
		return err
	}
	var headers []string
	for _, value := range r.Header.Values("Access-Control-Request-Headers") {
		for name := range strings.SplitSeq(value, ",") {
			if name = strings.ToLower(strings.TrimSpace(name)); name != "" {
				headers = append(headers, name)
			}
		}
	}
	c := s.corsOf(r.Bucket)
	if c == nil {
		return awserr.New(http.StatusForbidden, "AccessForbidden", "CORSResponse: CORS is not enabled for this bucket.")
	}
	rule := c.rule(origin, method, headers)
	if rule == nil {
		return awserr.New(http.StatusForbidden, "AccessForbidden", "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.")
	}
	rule.write(r.w.Header(), origin, headers)
	return r.answer(http.StatusOK)
}
