// Package auth decides who is calling, in one place and before a request's body is decoded. An [Authenticator] turns a
// request's headers into an [Identity]; whatever comes later (signed tokens of an identity provider, sessions) is
// another Authenticator.
package auth

import (
	"context"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"connectrpc.com/authn"
	"connectrpc.com/connect"

	"github.com/coatcheck/coatcheck/internal/media"
)

// OwnerHeader names the owner for whom a service token's caller acts.
const OwnerHeader = "Coatcheck-Owner"

// maxOwner is the largest length of an owner's name, in bytes.
const maxOwner = 200

// Identity is who is calling: a tenant, and, when the call is for one, an owner.
type Identity struct {
	Tenant string
	Owner  string // empty: the caller speaks for the whole tenant
	Token  string // name of the service token, for logs
}

// Scope is what the caller may see and touch (R9).
func (i Identity) Scope() media.Scope { return media.Scope{Tenant: i.Tenant, Owner: i.Owner} }

// Authenticator tells from a request's headers who is calling. Its errors are Connect errors, with code
// Unauthenticated when it is not known, and reach the caller as they are.
type Authenticator func(ctx context.Context, r *http.Request) (Identity, error)

// Require wraps a handler of Connect calls so that each has an identity, and is refused otherwise.
func Require(authenticate Authenticator, next http.Handler) http.Handler {
	return authn.NewMiddleware(func(ctx context.Context, r *http.Request) (any, error) {
		return authenticate(ctx, r)
	}).Wrap(next)
}

// From returns who is calling. Behind [Require] there always is one; without, it is nobody, who sees nothing.
func From(ctx context.Context) Identity {
	identity, _ := authn.GetInfo(ctx).(Identity)
	return identity
}

// Fixed lets everybody in as one identity. It is for a developer's own machine.
func Fixed(identity Identity) Authenticator {
	return func(context.Context, *http.Request) (Identity, error) { return identity, nil }
}

// owner reads the owner that a request is for, from [OwnerHeader].
func owner(r *http.Request) (string, error) {
	values := r.Header.Values(OwnerHeader)
	if len(values) == 0 {
		return "", nil
	}
	name := values[0]
	if len(values) > 1 || name == "" || len(name) > maxOwner || !utf8.ValidString(name) ||
		strings.ContainsFunc(name, unicode.IsControl) || strings.TrimSpace(name) != name {
		return "", connect.NewError(connect.CodeInvalidArgument, errOwner)
	}
	return name, nil
}
