package torture

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/auth"
)

// crashClient is a client of the API: what it is not answered it asks again, as a client has to.
type crashClient struct {
	w       *crashWorld
	child   *crashChild
	api     string
	token   string
	line    string // the token's, for the service
	watched bool
}

func (w *crashWorld) client() *crashClient {
	w.t.Helper()
	c := &crashClient{w: w, watched: true}
	var err error
	c.token, c.line, err = auth.NewToken("test", crashTenant)
	w.must(err)
	return c
}

// up starts the service, and again when it is killed before it serves.
func (c *crashClient) up() {
	c.w.t.Helper()
	c.child = c.w.start(c.watched, "serve", "--roles", "api", "--tokens", c.line)
	c.watched = false
	select {
	case address, ok := <-c.child.address:
		if !ok {
			<-c.child.exited
			c.again()
			return
		}
		c.api = "http://" + address
	case <-time.After(crashLimit):
		c.w.t.Fatalf("the service does not serve after %s", crashLimit)
	}
}

// again starts the service once more after it was killed.
func (c *crashClient) again() {
	c.w.t.Helper()
	if !c.child.done(5*time.Second) || !c.w.buried(c.child) {
		c.w.t.Fatalf("the service does not answer, and was not killed: %v", c.child.err)
	}
	c.up()
}

// call makes one call in JSON until it is answered, with a success.
func (c *crashClient) call(procedure string, request map[string]any) map[string]any {
	c.w.t.Helper()
	if c.child == nil {
		c.up()
	}
	for {
		status, answer, err := crashCall(c.w.t, c.api, c.token, procedure, request)
		if err != nil {
			c.again()
			continue
		}
		if status != http.StatusOK {
			c.w.t.Fatalf("%s %v: status %d: %v", procedure, request, status, answer)
		}
		return answer
	}
}

// crashCall makes one call in JSON for the tenant's owner. An error means that there was no answer.
func crashCall(t testing.TB, api, token, procedure string, request map[string]any) (status int, answer map[string]any, err error) {
	t.Helper()
	body, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, api+"/coatcheck.v1."+procedure, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+token)
	if strings.HasPrefix(procedure, "UploadService/") {
		r.Header.Set(auth.OwnerHeader, crashOwner)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, nil, err
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return res.StatusCode, nil, fmt.Errorf("status %d, and not JSON: %.200q", res.StatusCode, text)
	}
	return res.StatusCode, answer, nil
}

// crashPut sends the presigned request of an answer, and returns the status.
func crashPut(t testing.TB, request map[string]any, body string) (int, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), request["method"].(string), request["url"].(string), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range request["headers"].(map[string]any) {
		r.Header.Set(name, value.(string))
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode, res.Body.Close()
}

const crashText = "the coat of somebody"

// upload puts what a created upload asks for, and returns its id.
func (c *crashClient) upload(created map[string]any) uuid.UUID {
	c.w.t.Helper()
	id := uuid.MustParse(created["media"].(map[string]any)["id"].(string))
	if status, err := crashPut(c.w.t, created["request"].(map[string]any), crashText); err != nil || status != http.StatusOK {
		c.w.t.Fatalf("the PUT: %d, %v", status, err)
	}
	return id
}

func crashCreate(key string) map[string]any {
	r := map[string]any{"contentType": "text/plain", "sizeBytes": len(crashText)}
	if key != "" {
		r["idempotencyKey"] = key
	}
	return r
}

func crashClaim(id uuid.UUID) map[string]any {
	return map[string]any{"mediaId": id.String(), "claim": "post/" + id.String()}
}

// crashAPI is each kind of call, by a client that asks again what it was not answered.
func crashAPI(w *crashWorld) {
	c := w.client()
	first := c.upload(c.call("UploadService/CreateUpload", crashCreate("one")))
	c.call("MediaService/ConfirmMedia", crashClaim(first)) // before the notification: S3 is asked
	w.claimed[first] = crashText
	c.call("MediaService/ConfirmMedia", crashClaim(first))
	second := c.upload(c.call("UploadService/CreateUpload", crashCreate("")))
	c.call("UploadService/CancelUpload", map[string]any{"mediaId": second.String()})

	batch := c.call("UploadService/BatchCreateUploads", map[string]any{"uploads": []any{crashCreate("a"), crashCreate("b")}})
	var ids []uuid.UUID
	var claims []any
	for _, item := range batch["uploads"].([]any) {
		id := c.upload(item.(map[string]any))
		ids, claims = append(ids, id), append(claims, crashClaim(id))
	}
	c.call("MediaService/BatchConfirmMedia", map[string]any{"items": claims})
	w.claimed[ids[0]], w.claimed[ids[1]] = crashText, crashText
	delete(w.claimed, ids[0]) // before the call, which may have done it when the process is killed
	c.call("MediaService/ReleaseMedia", crashClaim(ids[0]))
	third := c.upload(c.call("UploadService/CreateUpload", crashCreate("")))
	c.call("MediaService/ConfirmMedia", crashClaim(third))
	c.call("MediaService/DeleteMedia", map[string]any{"mediaId": third.String()})
	w.watch.leave()
	c.child.kill()
	w.quiet()
	w.checkInstant()
}
