// Package auth decides who is calling, in one place and before a request's body is decoded. An [Authenticator] turns a
// request's headers into an [Identity]; whatever comes later (signed tokens of an identity provider, sessions) is
// another Authenticator.
package auth

import (
	"context"
	"errors"
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

// Identity is who is calling: a tenant, and, when the call is for one, an owner; or an operator of the deployment.
type Identity struct {
	Tenant string // empty: the caller has no media
	Owner  string // empty: the caller speaks for the whole tenant
	// Operator means that the caller may see and do what spans tenants, and nothing of one of them unless Tenant says so.
	Operator bool
	Token    string // name of the service token, for logs
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

// Tenants lets in whom authenticate knows for a tenant's. Others are known, and have no media: code PermissionDenied.
func Tenants(authenticate Authenticator) Authenticator {
	return only(authenticate, func(i Identity) bool { return i.Tenant != "" }, errNoTenant)
}

// Operators lets in whom authenticate knows for an operator. Others are refused with code PermissionDenied, whatever
// tenant they are (R9).
func Operators(authenticate Authenticator) Authenticator {
	return only(authenticate, func(i Identity) bool { return i.Operator }, errNoOperator)
}

var (
	errNoTenant   = errors.New("the token is an operator's, which reaches AdminService only: use a tenant's")
	errNoOperator = errors.New("AdminService is for operators: use a token of `coatcheck token --operator`")
)

func only(authenticate Authenticator, may func(Identity) bool, refusal error) Authenticator {
	return func(ctx context.Context, r *http.Request) (Identity, error) {
		identity, err := authenticate(ctx, r)
		if err == nil && !may(identity) {
			return Identity{}, connect.NewError(connect.CodePermissionDenied, refusal)
		}
		return identity, err
	}
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
