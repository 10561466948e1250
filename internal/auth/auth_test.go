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
	} {
		_, err := auth.ParseTokens(strings.NewReader(text))
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "coat_secret") {
			t.Errorf("%q: %v, want %q in it", text, err, says)
		}
	}
}
