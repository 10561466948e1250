package torture

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/uptrace/bun"

	"github.com/coatcheck/coatcheck/internal/media"
)

// auditSQL makes the database itself take note of every change of a media: what is polled could be missed. The numbers
// of one media's changes are in the order in which they were made, since its row is locked meanwhile.
const auditSQL = `
CREATE TABLE public.audit (
	n bigserial PRIMARY KEY, id uuid NOT NULL,
	old_state text, state text, old_reason text, reason text, old_claim text, claim text,
	old_etag text, etag text, old_version text, version text, overwritten boolean
);
CREATE FUNCTION public.audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.audit (id, old_state, state, old_reason, reason, old_claim, claim, old_etag, etag, old_version, version, overwritten)
	VALUES (coalesce(NEW.id, OLD.id), OLD.state, NEW.state, OLD.reason, NEW.reason, OLD.claim, NEW.claim, OLD.etag, NEW.etag,
		OLD.version_id, NEW.version_id, NEW.overwritten_at IS NOT NULL);
	RETURN NULL;
END $$;
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON coatcheck.media FOR EACH ROW EXECUTE FUNCTION public.audit()`

// change is one row of the audit. An empty old state is a creation, an empty state a purge.
type change struct {
	N           int64        `bun:"n"`
	ID          uuid.UUID    `bun:"id,type:uuid"`
	OldState    media.State  `bun:"old_state"`
	State       media.State  `bun:"state"`
	OldReason   media.Reason `bun:"old_reason"`
	Reason      media.Reason `bun:"reason"`
	OldClaim    string       `bun:"old_claim"`
	Claim       string       `bun:"claim"`
	OldETag     string       `bun:"old_etag"`
	ETag        string       `bun:"etag"`
	OldVersion  string       `bun:"old_version"`
	Version     string       `bun:"version"`
	Overwritten bool         `bun:"overwritten"`
}

func (c change) String() string {
	return fmt.Sprintf("%s: %s %s → %s %s", c.ID, c.OldState, c.OldReason, c.State, c.Reason)
}

// moves reports whether the media entered another state; others change only what is known of it, or its lease.
func (c change) moves() bool { return c.OldState != c.State }

// events returns the events that the table of transitions explains the change by; none when it is illegal.
func (c change) events() []media.Event {
	var events []media.Event
	for _, t := range media.Transitions {
		reason := t.Reason
		if t.Event == media.EventGone {
			reason = c.OldReason
		}
		if t.From == c.OldState && t.To == c.State && reason == c.Reason {
			events = append(events, t.Event)
		}
	}
	return events
}

// illegal says what is wrong with the change by itself, or nothing.
func (c change) illegal() string {
	switch {
	case c.OldState == "":
		if c.State != media.StatePending {
			return "was created in another state than pending"
		}
	case c.State == "":
		if c.OldState != media.StateDeleted {
			return "was forgotten without being a tombstone"
		}
	case c.moves():
		if len(c.events()) == 0 {
			return "no transition of the table"
		}
	case c.OldReason != c.Reason:
		return "the reason changed without the state"
	case c.State == media.StateConfirmed && (c.OldClaim != c.Claim || c.OldETag != c.ETag || c.OldVersion != c.Version):
		return fmt.Sprintf("what was confirmed changed: claim %q to %q, etag %q to %q, version %q to %q (R3)",
			c.OldClaim, c.Claim, c.OldETag, c.ETag, c.OldVersion, c.Version)
	}
	return ""
}

// installAudit begins the audit of a world's database.
func installAudit(ctx context.Context, db *bun.DB) error {
	if _, err := db.ExecContext(ctx, auditSQL); err != nil {
		return fmt.Errorf("installing the audit: %w", err)
	}
	return nil
}

// readAudit returns the changes after one number, in their order.
func readAudit(ctx context.Context, db *bun.DB, after int64) ([]change, error) {
	var changes []change
	err := db.NewRaw(`SELECT n, id, coalesce(old_state, '') AS old_state, coalesce(state, '') AS state,
			coalesce(old_reason, '') AS old_reason, coalesce(reason, '') AS reason, coalesce(old_claim, '') AS old_claim,
			coalesce(claim, '') AS claim, coalesce(old_etag, '') AS old_etag, coalesce(etag, '') AS etag,
			coalesce(old_version, '') AS old_version, coalesce(version, '') AS version, overwritten
		FROM public.audit WHERE n > ? ORDER BY n`, after).Scan(ctx, &changes)
	if err != nil {
		return nil, fmt.Errorf("reading the audit: %w", err)
	}
	return changes, nil
}

// entered counts the changes as coatcheck_media_entered_total does.
func entered(changes []change) map[string]float64 {
	n := map[string]float64{}
	for _, c := range changes {
		if !c.moves() || c.State == "" {
			continue
		}
		reason := c.Reason
		if c.State == media.StateDeleted {
			reason = "" // the counter has it from when the media became DELETING
		}
		n[string(c.State)+" "+string(reason)]++
	}
	return n
}

// enteredMetric reads coatcheck_media_entered_total.
func (w *world) enteredMetric() (map[string]float64, error) {
	families, err := w.reg.Gather()
	if err != nil {
		return nil, fmt.Errorf("gathering metrics: %w", err)
	}
	n := map[string]float64{}
	for _, f := range families {
		if f.GetName() != "coatcheck_media_entered_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			n[labels["state"]+" "+labels["reason"]] += m.GetCounter().GetValue()
		}
	}
	return n, nil
}

// differences tells the two counts apart, for a message; it is empty when they are the same.
func differences(audited, counted map[string]float64) []string {
	var out []string
	for k := range counted {
		if _, ok := audited[k]; !ok {
			audited[k] = 0
		}
	}
	for k, n := range audited {
		if counted[k] != n {
			out = append(out, fmt.Sprintf("entered %s: %v by the rows, %v by the counter", k, n, counted[k]))
		}
	}
	slices.Sort(out)
	return out
}
