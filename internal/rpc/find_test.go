package rpc_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/rpc"
)

// TestFindMedia by id, by key and by its beginning, of whatever tenant.
func TestFindMedia(t *testing.T) {
	t.Parallel()
	s := newService(t)
	id := s.uploaded(t)
	theirs := s.must(t, globex, "UploadService/CreateUpload", map[string]any{"contentType": "text/plain", "sizeBytes": 5})["media"].(map[string]any)
	find := func(request map[string]any) (found []map[string]any, token string) {
		t.Helper()
		answer := s.must(t, operator, "AdminService/FindMedia", request)
		list, _ := answer["media"].([]any)
		for _, r := range list {
			found = append(found, r.(map[string]any))
		}
		token, _ = answer["nextPageToken"].(string)
		return found, token
	}
	for _, query := range []string{id, strings.ToUpper(id)} {
		found, _ := find(map[string]any{"query": query})
		if len(found) != 1 {
			t.Fatalf("%s: found %v", query, found)
		}
		r := found[0]
		if m := r["media"].(map[string]any); m["id"] != id || m["state"] != "MEDIA_STATE_UPLOADED" || r["tenant"] != "acme" || r["notified"] != true || r["dueAt"] == nil || r["urlExpiresAt"] == nil {
			t.Errorf("found %v", r)
		}
	}
	found, _ := find(map[string]any{"query": theirs["key"]})
	if len(found) != 1 || found[0]["tenant"] != "globex" || found[0]["notified"] != nil {
		t.Errorf("found %v", found)
	}
	found, token := find(map[string]any{"query": "media/", "pageSize": 1})
	if len(found) != 1 || found[0]["media"].(map[string]any)["id"] != theirs["id"] || token == "" {
		t.Fatalf("the newest is %v, then %q", found, token)
	}
	if found, _ = find(map[string]any{"query": "media/", "pageSize": 1, "pageToken": token}); len(found) != 1 || found[0]["media"].(map[string]any)["id"] != id {
		t.Errorf("the next is %v", found)
	}
	if found, _ = find(map[string]any{"query": uuid.NewString()}); len(found) != 0 {
		t.Errorf("found %v", found)
	}
	for _, request := range []map[string]any{{"query": "me"}, {"query": "media/", "pageToken": "!"}, {"query": "media/", "pageSize": 101}} {
		if got := s.call(t, operator, "AdminService/FindMedia", request); got.code != "invalid_argument" {
			t.Errorf("%v: %s %s", request, got.code, got.message)
		}
	}
}

// TestListDeadLetters shows them so that JSON can hold them, and says what is not set up where there are none to see.
func TestListDeadLetters(t *testing.T) {
	t.Parallel()
	var asked int
	s := newService(t, func(c *rpc.Config) {
		c.DeadLetters = func(ctx context.Context, limit int) ([]rpc.DeadLetter, error) {
			if asked = limit; limit == 7 {
				return nil, rpc.ErrNoDeadLetterQueue
			}
			if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > time.Minute {
				t.Errorf("there is no end to it: %v", deadline)
			}
			return []rpc.DeadLetter{{MessageID: "m", SentAt: time.Now(), Receives: 6, Reason: "no JSON \xff", Body: strings.Repeat("\xe2\x82\xac", 5000)}}, nil
		}
	})
	letters := s.must(t, operator, "AdminService/ListDeadLetters", map[string]any{})["deadLetters"].([]any)
	l := letters[0].(map[string]any)
	if asked != 20 || len(letters) != 1 || l["messageId"] != "m" || l["receives"] != 6.0 || l["sentAt"] == nil || l["reason"] != "no JSON \uFFFD" || !strings.HasPrefix(l["body"].(string), "\u20ac\u20ac") || len(l["body"].(string)) > 4100 {
		t.Errorf("asked for %d, got %.200v", asked, letters)
	}
	none := newService(t)
	for _, got := range []answer{
		s.call(t, operator, "AdminService/ListDeadLetters", map[string]any{"limit": 7}),
		none.call(t, operator, "AdminService/ListDeadLetters", map[string]any{}),
	} {
		if got.code != "failed_precondition" || len(got.infos) != 1 || got.infos[0]["reason"] != "ERROR_REASON_NOT_SET_UP" {
			t.Errorf("got %s %s %v", got.code, got.message, got.infos)
		}
	}
	failing := newService(t, func(c *rpc.Config) {
		c.DeadLetters = func(context.Context, int) ([]rpc.DeadLetter, error) { return nil, errors.New("SQS is down") }
	})
	if got := failing.call(t, operator, "AdminService/ListDeadLetters", map[string]any{}); got.code != "unavailable" || strings.Contains(got.message, "SQS") {
		t.Errorf("got %s %s", got.code, got.message)
	}
}
