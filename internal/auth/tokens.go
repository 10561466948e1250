package auth

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"

	"connectrpc.com/authn"
)

var errOwner = fmt.Errorf("header %s: must be sent once, with 1 to %d bytes of UTF-8, without control characters or surrounding spaces", OwnerHeader, maxOwner)

// Tokens are the service tokens that are let in, by the SHA-256 of each. A token has 256 random bits, so a plain hash
// cannot be turned back, and looking it up by its hash tells an attacker's clock nothing of use.
type Tokens map[[sha256.Size]byte]Identity

// tokenPrefix makes a token easy to find by scanners of leaked secrets.
const tokenPrefix = "coat_"

// NewToken makes a token and the line that lets it in, to be kept where [ParseTokens] reads it. The token itself is
// shown once and kept nowhere.
func NewToken(name, tenant string) (token, line string, err error) {
	if !namePattern.MatchString(tenant) {
		return "", "", errTenant(tenant)
	}
	return newToken(name, tenant)
}

// NewOperatorToken makes an operator's token, and its line.
func NewOperatorToken(name string) (token, line string, err error) {
	return newToken(name, operatorTenant)
}

func newToken(name, tenant string) (token, line string, err error) {
	if err := checkNames(name, tenant); err != nil {
		return "", "", err
	}
	secret := make([]byte, 32)
	rand.Read(secret) //nolint:errcheck // it never fails: it ends the process instead
	token = tokenPrefix + base64.RawURLEncoding.EncodeToString(secret)
	hash := sha256.Sum256([]byte(token))
	return token, fmt.Sprintf("%s %s sha256:%s", name, tenant, hex.EncodeToString(hash[:])), nil
}

// operatorTenant stands in an operator's line where others have their tenant. No tenant can have this name.
const operatorTenant = "*"

var namePattern = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

func checkNames(name, tenant string) error {
	if !namePattern.MatchString(name) {
		return fmt.Errorf("token name %q: must have 1 to 64 letters, digits and _ . -", name)
	}
	if tenant != operatorTenant && !namePattern.MatchString(tenant) {
		return errTenant(tenant)
	}
	return nil
}

func errTenant(tenant string) error {
	return fmt.Errorf("tenant %q: must have 1 to 64 letters, digits and _ . -", tenant)
}

// ParseTokens reads lines of "name tenant sha256:hex", of which those with "*" for the tenant let operators in. Empty
// lines and those that begin with "#" are passed over. An error names the line, never what is in it.
func ParseTokens(r io.Reader) (Tokens, error) {
	tokens := make(Tokens)
	scanner := bufio.NewScanner(r)
	for n := 1; scanner.Scan(); n++ {
		line := strings.TrimSpace(scanner.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) != 3 {
			return nil, fmt.Errorf("tokens, line %d: must be \"name tenant sha256:hex\", as `coatcheck token` prints it", n)
		}
		if err := checkNames(fields[0], fields[1]); err != nil {
			return nil, fmt.Errorf("tokens, line %d: %w", n, err)
		}
		digits, ok := strings.CutPrefix(fields[2], "sha256:")
		hash, err := hex.DecodeString(digits)
		if !ok || err != nil || len(hash) != sha256.Size {
			return nil, fmt.Errorf("tokens, line %d: the third word must be \"sha256:\" and 64 hexadecimal digits: the token's hash, not the token", n)
		}
		key := [sha256.Size]byte(hash)
		if _, ok := tokens[key]; ok {
			return nil, fmt.Errorf("tokens, line %d: the same token stands on an earlier line", n)
		}
		if fields[1] == operatorTenant {
			tokens[key] = Identity{Operator: true, Token: fields[0]}
			continue
		}
		tokens[key] = Identity{Tenant: fields[1], Token: fields[0]}
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("reading tokens: %w", err)
	}
	if len(tokens) == 0 {
		return nil, errors.New("no service tokens: make one with `coatcheck token --tenant NAME`")
	}
	return tokens, nil
}

// Authenticate lets in whoever sends "Authorization: Bearer TOKEN" with one of the tokens, for the owner that
// [OwnerHeader] names, if any. An operator acts for no owner, whatever the header says.
func (t Tokens) Authenticate(_ context.Context, r *http.Request) (Identity, error) {
	token, ok := authn.BearerToken(r)
	if !ok {
		return Identity{}, authn.Errorf("header Authorization: must be \"Bearer \" and a service token")
	}
	identity, ok := t[sha256.Sum256([]byte(token))]
	if !ok {
		return Identity{}, authn.Errorf("header Authorization: the service token is not known here")
	}
	if identity.Operator {
		return identity, nil
	}
	name, err := owner(r)
	if err != nil {
		return Identity{}, err
	}
	identity.Owner = name
	return identity, nil
}
