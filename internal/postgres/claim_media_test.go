package postgres_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"buf.build/go/protovalidate"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/coatcheck/coatcheck/internal/media"
	coatcheckv1 "github.com/coatcheck/coatcheck/proto/coatcheck/v1"
)

// The contract of docs/claiming.md.
const (
	invalidClaim  = "MC001"
	notFound      = "MC002"
	notLanded     = "MC003"
	gone          = "MC004"
	claimConflict = "MC005"
	notConfirmed  = "MC006"
	notAllowed    = "42501"
)

// role makes a role that can log in, and returns its name and a connection as it. Roles belong to the whole server, so
// it is dropped when the test ends.
func (f *fixture) role(t *testing.T, options string) (string, *pgx.Conn) {
	t.Helper()
	name, password := "product_"+strings.ToLower(rand.Text()[:12]), rand.Text()
	admin := f.connect(t, f.url)
	do(t, admin, fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s' %s", name, password, options))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		for _, statement := range []string{"DROP OWNED BY " + name, "DROP ROLE " + name} {
			if _, err := admin.Exec(ctx, statement); err != nil {
				t.Errorf("%s: %v", statement, err)
			}
		}
	})
	return name, f.connect(t, f.url, func(c *pgx.ConnConfig) { c.User, c.Password = name, password })
}

// product is a session of a product that may claim for the tenants, and do nothing else.
func (f *fixture) product(t *testing.T, tenants ...string) *pgx.Conn {
	t.Helper()
	name, conn := f.role(t, "")
	for _, tenant := range tenants {
		do(t, f.connect(t, f.url), "SELECT coatcheck.grant_claims($1, $2)", name, tenant)
	}
	return conn
}

func (f *fixture) connect(t *testing.T, url string, change ...func(*pgx.ConnConfig)) *pgx.Conn {
	t.Helper()
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range change {
		c(config)
	}
	conn, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

// querier is a connection or a transaction.
type querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func do(t *testing.T, q querier, statement string, args ...any) {
	t.Helper()
	if _, err := q.Exec(t.Context(), statement, args...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func claimMedia(t *testing.T, q querier, claim string, ids ...uuid.UUID) (changed int, err error) {
	t.Helper()
	ids = append([]uuid.UUID{}, ids...) // pgx sends a nil slice as NULL
	err = q.QueryRow(t.Context(), "SELECT coatcheck.claim_media($1, $2)", ids, claim).Scan(&changed)
	return changed, err
}

func releaseMedia(t *testing.T, q querier, claim string, ids ...uuid.UUID) (changed int, err error) {
	t.Helper()
	ids = append([]uuid.UUID{}, ids...)
	err = q.QueryRow(t.Context(), "SELECT coatcheck.release_media($1, $2)", ids, claim).Scan(&changed)
	return changed, err
}

// refusedAs returns Postgres's error when it has the code, and ends the test otherwise.
func refusedAs(t *testing.T, err error, code string) *pgconn.PgError {
	t.Helper()
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || pg.Code != code {
		t.Fatalf("got %v, want %s", err, code)
	}
	return pg
}

// TestClaimMediaIsTheAPI: in every state, by the claim that holds it and by another, the functions answer what the
// store answers the API, and leave the same row.
func TestClaimMediaIsTheAPI(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	ctx := t.Context()
	product := f.product(t, alice.Tenant)
	codes := map[media.Code]string{
		media.CodeNotFound: notFound, media.CodeNotLanded: notLanded, media.CodeGone: gone,
		media.CodeClaimConflict: claimConflict, media.CodeNotConfirmed: notConfirmed,
	}
	ways := map[string]func(*testing.T) *media.Media{
		"unknown":  func(*testing.T) *media.Media { return draft() },
		"released": func(t *testing.T) *media.Media { return f.after(t, media.StateConfirmed, media.EventRelease) },
		"rejected": func(t *testing.T) *media.Media { return f.after(t, media.StateUploaded, media.EventReject) },
		"swept":    func(t *testing.T) *media.Media { return f.after(t, media.StateUploaded, media.EventExpireClaim) },
		"never":    func(t *testing.T) *media.Media { return f.after(t, media.StatePending, media.EventExpireUpload) },
		"late":     func(t *testing.T) *media.Media { return f.after(t, media.StateDeleted, media.EventLandLate) },
		"released, deleted": func(t *testing.T) *media.Media {
			return f.after(t, media.StateConfirmed, media.EventRelease, media.EventGone)
		},
	}
	for _, s := range media.States {
		ways[string(s)] = func(t *testing.T) *media.Media { return f.bring(t, s) }
	}
	for name, bring := range ways {
		for _, claim := range []string{"post/1", "post/2"} { // post/1 is what holds a CONFIRMED one
			t.Run(name+"/claim/"+claim, func(t *testing.T) {
				byAPI, bySQL := bring(t), bring(t)
				_, wanted := f.Confirm(ctx, alice, claims(claim, byAPI))
				var want *media.Error
				if batch, ok := errors.AsType[*media.BatchError](wanted); ok {
					want = batch.Items[0]
				} else if wanted != nil {
					t.Fatal(wanted)
				}
				n, err := claimMedia(t, product, claim, bySQL.ID)
				f.compare(t, byAPI, bySQL, n, want, err, codes)
			})
			t.Run(name+"/release/"+claim, func(t *testing.T) {
				byAPI, bySQL := bring(t), bring(t)
				_, wanted := f.Discard(ctx, alice, byAPI.ID, media.EventRelease, claim)
				want, ok := errors.AsType[*media.Error](wanted)
				if wanted != nil && !ok {
					t.Fatal(wanted)
				}
				n, err := releaseMedia(t, product, claim, bySQL.ID)
				f.compare(t, byAPI, bySQL, n, want, err, codes)
			})
		}
	}
}

// after brings a media to the state and applies the events.
func (f *fixture) after(t *testing.T, state media.State, events ...media.Event) *media.Media {
	t.Helper()
	m := f.bring(t, state)
	for _, e := range events {
		if err := f.apply(t, m, e); err != nil {
			t.Fatalf("%s: %v", e, err)
		}
	}
	return f.get(t, m.ID)
}

// compare holds one answer and row of the functions against those of the store for a media of the same history.
func (f *fixture) compare(t *testing.T, byAPI, bySQL *media.Media, changed int, want *media.Error, err error, codes map[media.Code]string) {
	t.Helper()
	if want == nil && err != nil {
		t.Fatalf("the API allows it, SQL says %v", err)
	}
	if want != nil {
		pg := refusedAs(t, err, codes[want.Code])
		apiSays := strings.ReplaceAll(want.Message, byAPI.ID.String(), bySQL.ID.String())
		if !strings.HasPrefix(apiSays, pg.Message) {
			t.Errorf("the API says %q, SQL says %q", apiSays, pg.Message)
		}
		line := bySQL.ID.String() + " " + string(want.Code)
		if want.Code == media.CodeGone {
			line += " " + string(want.Reason)
		}
		if pg.Detail != line || pg.Hint == "" {
			t.Errorf("detail %q, want %q; hint %q", pg.Detail, line, pg.Hint)
		}
	}
	if want != nil && want.Code == media.CodeNotFound {
		return
	}
	a, b := f.get(t, byAPI.ID), f.get(t, bySQL.ID)
	if wasChanged := b.Revision != bySQL.Revision; wasChanged != (changed == 1) {
		t.Errorf("it returned %d, and the row's revision went from %d to %d", changed, bySQL.Revision, b.Revision)
	}
	if a.State != b.State || a.Reason != b.Reason || a.Claim != b.Claim || a.Revision-byAPI.Revision != b.Revision-bySQL.Revision ||
		a.ConfirmedAt.IsZero() != b.ConfirmedAt.IsZero() || a.DeletingAt.IsZero() != b.DeletingAt.IsZero() ||
		a.DueAt.IsZero() != b.DueAt.IsZero() || a.Attempts != b.Attempts {
		t.Errorf("the API made it\n%s\nSQL made it\n%s", text(a), text(b))
	}
}

// TestClaimMediaBatch: all or none; the first refused media in the order asked tells code and message, the detail all.
func TestClaimMediaBatch(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	product := f.product(t, alice.Tenant)
	a, b, held := f.bring(t, media.StateUploaded), f.bring(t, media.StateUploaded), f.bring(t, media.StateConfirmed)
	pending, cancelled, unknown := f.bring(t, media.StatePending), f.bring(t, media.StateDeleting), draft()

	_, err := claimMedia(t, product, "post/2", b.ID, cancelled.ID, unknown.ID, a.ID, held.ID, pending.ID, cancelled.ID)
	pg := refusedAs(t, err, gone)
	want := strings.Join([]string{
		cancelled.ID.String() + " gone cancelled", unknown.ID.String() + " not_found", held.ID.String() + " claim_conflict",
		pending.ID.String() + " not_landed",
	}, "\n")
	if pg.Detail != want || !strings.Contains(pg.Message, cancelled.ID.String()) {
		t.Errorf("%s\n%s\nwant the detail\n%s", pg.Message, pg.Detail, want)
	}
	for _, m := range []*media.Media{a, b, held, pending, cancelled} {
		if got := f.get(t, m.ID); text(got) != text(m) {
			t.Errorf("a refused call made it %s", text(got))
		}
	}
	if n, err := claimMedia(t, product, "post/1", b.ID, held.ID, a.ID, b.ID); err != nil || n != 2 {
		t.Fatalf("%d, %v", n, err)
	}
	for _, m := range []*media.Media{a, b} {
		if got := f.get(t, m.ID); got.State != media.StateConfirmed || got.Claim != "post/1" || !got.DueAt.IsZero() || got.Revision != m.Revision+1 {
			t.Errorf("it is %s", text(got))
		}
	}
	if n, err := claimMedia(t, product, "post/1", a.ID, b.ID, held.ID); err != nil || n != 0 {
		t.Errorf("the same again: %d, %v", n, err)
	}
	if n, err := claimMedia(t, product, "post/1"); err != nil || n != 0 {
		t.Errorf("none: %d, %v", n, err)
	}
	_, err = releaseMedia(t, product, "post/1", a.ID, pending.ID, b.ID)
	if pg := refusedAs(t, err, notConfirmed); pg.Detail != pending.ID.String()+" not_confirmed" {
		t.Error(pg.Detail)
	}
	if n, err := releaseMedia(t, product, "post/1", b.ID, a.ID); err != nil || n != 2 {
		t.Errorf("released %d, %v", n, err)
	}
	if n, err := releaseMedia(t, product, "post/1", b.ID, a.ID, held.ID); err != nil || n != 1 {
		t.Errorf("released %d, %v", n, err)
	}
}

// TestClaimMediaArguments: a claim is refused exactly when the rule in the proto refuses it, and nothing is passed over.
func TestClaimMediaArguments(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	product := f.product(t, alice.Tenant)
	m := f.bring(t, media.StateUploaded)
	refused := 0
	texts := []string{
		"", " ", "post/1", strings.Repeat("x", 200), strings.Repeat("x", 201), strings.Repeat("é", 200), strings.Repeat("é", 201),
		strings.Repeat("😀", 200), "a\tb", "a\n", "\r", "\x01", "\x1f", "\x7f", "a\u0085b", "\u00a0", "\\x41", "'; --", "[", "~ ",
	}
	for _, claim := range texts {
		rule := protovalidate.Validate(&coatcheckv1.ConfirmMediaRequest{MediaId: m.ID.String(), Claim: claim})
		_, err := claimMedia(t, product, claim)
		if rule == nil && err != nil {
			t.Errorf("%.20q: the API takes it, SQL says %v", claim, err)
		}
		if rule != nil {
			refused++
			refusedAs(t, err, invalidClaim)
			_, err = releaseMedia(t, product, claim)
			refusedAs(t, err, invalidClaim)
		}
	}
	if refused < 8 {
		t.Errorf("the proto refuses %d of the texts only", refused)
	}
	many := make([]uuid.UUID, 1001)
	for i := range many {
		many[i] = m.ID
	}
	for _, call := range []struct {
		ids   any
		claim any
		says  string
	}{
		{[]uuid.UUID{m.ID}, nil, "claim: "}, {nil, "post/1", "ids: must be an array"},
		{[]*uuid.UUID{&m.ID, nil}, "post/1", "ids: one of them is NULL"}, {many, "post/1", "ids: there are 1001"},
	} {
		for _, function := range []string{"claim_media", "release_media"} {
			_, err := product.Exec(t.Context(), "SELECT coatcheck."+function+"($1, $2)", call.ids, call.claim)
			if pg := refusedAs(t, err, invalidClaim); !strings.HasPrefix(pg.Message, call.says) || pg.Hint == "" {
				t.Errorf("%s: %q, hint %q", function, pg.Message, pg.Hint)
			}
		}
	}
	if n, err := claimMedia(t, product, "post/1", many[:1000]...); err != nil || n != 1 {
		t.Errorf("1000 times the same: %d, %v", n, err)
	}
}

// TestClaimMediaTime: a call has one time, which is its own: a transaction that began before the landing does not
// confirm before it.
func TestClaimMediaTime(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	product := f.product(t, alice.Tenant)
	a, b := f.bring(t, media.StateUploaded), f.bring(t, media.StateUploaded)
	do(t, product, "BEGIN")
	var began, called time.Time
	if err := product.QueryRow(t.Context(), "SELECT now()").Scan(&began); err != nil {
		t.Fatal(err)
	}
	do(t, product, "SELECT pg_sleep(0.01)")
	err := product.QueryRow(t.Context(), "SELECT statement_timestamp() FROM coatcheck.claim_media($1, 'post/1')", []uuid.UUID{a.ID, b.ID}).Scan(&called)
	if err != nil {
		t.Fatal(err)
	}
	do(t, product, "COMMIT")
	for _, m := range []*media.Media{f.get(t, a.ID), f.get(t, b.ID)} {
		if !m.ConfirmedAt.Equal(called) || !m.ConfirmedAt.After(began) {
			t.Errorf("confirmed at %s; the transaction began at %s, the call at %s", m.ConfirmedAt, began, called)
		}
	}
	if _, err := releaseMedia(t, product, "post/1", a.ID, b.ID); err != nil {
		t.Fatal(err)
	}
	if a, b := f.get(t, a.ID), f.get(t, b.ID); !a.DeletingAt.After(called) || !a.DueAt.Equal(a.DeletingAt) || !b.DeletingAt.Equal(a.DeletingAt) {
		t.Errorf("released\n%s\n%s", text(a), text(b))
	}
}

// TestClaimMediaIsDescribed: the contract is written where a product's developer finds it.
func TestClaimMediaIsDescribed(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	for function, codes := range map[string][]string{
		"coatcheck.claim_media(uuid[], text)":   {invalidClaim, notFound, notLanded, gone, claimConflict, notAllowed},
		"coatcheck.release_media(uuid[], text)": {notConfirmed},
	} {
		var comment, result string
		err := f.connect(t, f.url).QueryRow(t.Context(), `SELECT obj_description(oid, 'pg_proc'), pg_get_function_result(oid)
			FROM pg_proc WHERE oid = $1::text::regprocedure`, function).Scan(&comment, &result)
		if err != nil || result != "integer" {
			t.Errorf("%s returns %s, %v", function, result, err)
		}
		if slices.ContainsFunc(codes, func(c string) bool { return !strings.Contains(comment, c) }) || !strings.Contains(comment, "docs/claiming.md") {
			t.Errorf("%s is described as %q", function, comment)
		}
	}
}
