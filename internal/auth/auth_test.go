package auth_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"github.com/coatcheck/coatcheck/internal/auth"
)

func TestTokens(t *testing.T) {
	t.Parallel()
	token, line, err := auth.NewToken("backend", "acme")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(line, token) {
		t.Errorf("the line to be kept holds the token: %s", line)
	}
	other, _, err := auth.NewToken("backend", "acme")
	if err != nil || other == token {
		t.Fatalf("two tokens are the same (%v)", err)
	}
	tokens, err := auth.ParseTokens(strings.NewReader("# who may call\n\n  " + line + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	ask := func(authorization string, owners ...string) (auth.Identity, connect.Code) {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		for _, o := range owners {
			r.Header.Add(auth.OwnerHeader, o)
		}
		identity, err := tokens.Authenticate(t.Context(), r)
		if err != nil {
			return identity, connect.CodeOf(err)
		}
		return identity, 0
	}
	for _, c := range []struct {
		authorization string
		owners        []string
		code          connect.Code
		owner         string
	}{
		{"Bearer " + token, nil, 0, ""},
		{"Bearer " + token, []string{"alice"}, 0, "alice"},
		{"Bearer " + token, []string{"Zoë 5"}, 0, "Zoë 5"},
		{"", nil, connect.CodeUnauthenticated, ""},
		{"Bearer ", nil, connect.CodeUnauthenticated, ""},
		{"Bearer " + other, nil, connect.CodeUnauthenticated, ""},
		{"Bearer " + token + "x", nil, connect.CodeUnauthenticated, ""},
		{"Basic " + token, nil, connect.CodeUnauthenticated, ""},
		{"Bearer " + token, []string{""}, connect.CodeInvalidArgument, ""},
		{"Bearer " + token, []string{"a", "b"}, connect.CodeInvalidArgument, ""},
		{"Bearer " + token, []string{" alice"}, connect.CodeInvalidArgument, ""},
		{"Bearer " + token, []string{"a\x7fb"}, connect.CodeInvalidArgument, ""},
		{"Bearer " + token, []string{"a\xffb"}, connect.CodeInvalidArgument, ""},
		{"Bearer " + token, []string{strings.Repeat("o", 201)}, connect.CodeInvalidArgument, ""},
		// Who is not let in is not told what else is wrong.
		{"Bearer " + other, []string{"a", "b"}, connect.CodeUnauthenticated, ""},
	} {
		identity, code := ask(c.authorization, c.owners...)
		if code != c.code || code == 0 && identity != (auth.Identity{Tenant: "acme", Owner: c.owner, Token: "backend"}) {
			t.Errorf("%.20q for %.30q: %v, %v", c.authorization, c.owners, identity, code)
		}
	}
}

// TestOperatorToken: an operator is of no tenant and for no owner, and neither of the two services is the other's (R9).
func TestOperatorToken(t *testing.T) {
	t.Parallel()
	token, line, err := auth.NewOperatorToken("ops")
	if err != nil || !strings.HasPrefix(line, "ops * sha256:") || strings.Contains(line, token) {
		t.Fatalf("line %q, %v", line, err)
	}
	tenants, tenantsLine, err := auth.NewToken("backend", "acme")
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := auth.ParseTokens(strings.NewReader(tenantsLine + "\n" + line + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	operator, backend := auth.Identity{Operator: true, Token: "ops"}, auth.Identity{Tenant: "acme", Owner: "alice", Token: "backend"}
	everything := auth.Fixed(auth.Identity{Tenant: "dev", Owner: "you", Operator: true})
	for _, c := range []struct {
		name         string
		authenticate auth.Authenticator
		token        string
		want         auth.Identity
		code         connect.Code
	}{
		{"operator", tokens.Authenticate, token, operator, 0},
		{"operator, of operators", auth.Operators(tokens.Authenticate), token, operator, 0},
		{"operator, of tenants", auth.Tenants(tokens.Authenticate), token, auth.Identity{}, connect.CodePermissionDenied},
		{"tenant, of tenants", auth.Tenants(tokens.Authenticate), tenants, backend, 0},
		{"tenant, of operators", auth.Operators(tokens.Authenticate), tenants, auth.Identity{}, connect.CodePermissionDenied},
		{"nobody, of operators", auth.Operators(tokens.Authenticate), "coat_x", auth.Identity{}, connect.CodeUnauthenticated},
		{"nobody, of tenants", auth.Tenants(tokens.Authenticate), "coat_x", auth.Identity{}, connect.CodeUnauthenticated},
		{"everything, of operators", auth.Operators(everything), "", auth.Identity{Tenant: "dev", Owner: "you", Operator: true}, 0},
		{"everything, of tenants", auth.Tenants(everything), "", auth.Identity{Tenant: "dev", Owner: "you", Operator: true}, 0},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.Header.Set("Authorization", "Bearer "+c.token)
		r.Header.Set(auth.OwnerHeader, "alice")
		got, err := c.authenticate(t.Context(), r)
		if got != c.want || (err == nil) != (c.code == 0) || err != nil && connect.CodeOf(err) != c.code {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
	for _, name := range []string{"*", "a*", ""} {
		if _, line, err := auth.NewToken("backend", name); err == nil {
			t.Errorf("a token of tenant %q: %s", name, line)
		}
	}
	if _, line, err := auth.NewOperatorToken("a b"); err == nil {
		t.Errorf("an operator's token with a bad name: %s", line)
	}
}

func TestParseTokensRefuses(t *testing.T) {
	t.Parallel()
	hash := "sha256:" + strings.Repeat("ab", 32)
	for text, says := range map[string]string{
		"":                                      "no service tokens",
		"# nothing\n":                           "no service tokens",
		"a b":                                   "line 1",
		"a b c d":                               "line 1",
		"a b coat_secret":                       "not the token",
		"a b sha256:abcd":                       "64 hexadecimal digits",
		"a b sha256:" + strings.Repeat("x", 64): "64 hexadecimal digits",
		"a/b c " + hash:                         "token name",
		"a b/c " + hash:                         "tenant",
		"a b " + hash + "\nc d " + hash:         "line 2: the same token",
		"a b " + hash + "\nc * " + hash:         "line 2: the same token",
		"a ** " + hash:                          "tenant",
		"* b " + hash:                           "token name",
	} {
		_, err := auth.ParseTokens(strings.NewReader(text))
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "coat_secret") {
			t.Errorf("%q: %v, want %q in it", text, err, says)
		}
	}
}
